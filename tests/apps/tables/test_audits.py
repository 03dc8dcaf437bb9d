"""An audit is found by the bundle that it was made of."""

from dataclasses import replace
from pathlib import Path

from sensemble_apps.tables.audits import audits
from sensemble_runtime.bundle.manifest_file import write_manifest
from sensemble_runtime.record.writer import fingerprint

from tests.apps.shipped import manifest, write_audit, write_run


def test_it_holds_for_a_bundle_that_was_only_added_to(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    write_audit(run)
    first, found, made = fingerprint(run / "bundle"), audits(run), manifest()
    assert found.scores
    for extends, scores in (((first,), found.scores), (None, {})):
        provenance = replace(made.provenance, created="2026-11-25T12:00:00+00:00", extends=extends)
        write_manifest(replace(made, provenance=provenance), run / "bundle" / "manifest.json")
        assert audits(run).scores == scores
