"""The report's first page: what it costs to decide without reading the appendix."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sensemble_apps.commands.report import Report, main
from sensemble_apps.errors import GateUnmetError
from sensemble_apps.report import run_contents, run_page
from sensemble_apps.report.first_page import first_page
from sensemble_apps.report.run_contents import amount
from sensemble_runtime.bundle import signature
from sensemble_runtime.errors import BundleUntrustedError
from sensemble_runtime.record.writer import fingerprint

from tests.apps.html_page import Page
from tests.apps.shipped import condition_scores, under, write_audit, write_run
from tests.runtime.bundle.altered import pair

MADE = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
SESSION = {
    "memory_mb": 161, "cpu_seconds_a_minute": 1.1, "age_ms": {"p50": 21.4, "p99": 107.2},
    "window_ms": {"audio": 12.14}, "noticed_s": [0.4, 1.0],
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_audit(write_run(tmp_path))
    return tmp_path


def shown(run: Path, require: str | None = None) -> str:
    found = under(run_contents.of_run(run, require), condition_scores())
    return Page(run_page.render(found, MADE)).text.partition("Appendix")[0]


def test_it_shows_the_worst_conditions_of_each_sensor_with_the_live_policy_and_without(run: Path) -> None:
    text = shown(run)
    assert "none is bad 80 75 to 85 10 80 80" in text
    assert "a noisy microphone by 5 64 59 to 69 18 64 64" in text
    assert "a camera in the dark by 5 64" in text


def test_what_was_measured_stands_beside_limits_and_what_was_not(run: Path) -> None:
    assert "Unplugged not measured" in shown(run)
    assert "Memory, processor time not measured" in shown(run)
    (run / "session.json").write_text(json.dumps(SESSION), encoding="utf-8")
    text = shown(run)
    assert "Unplugged 1.0 s at most (measured 2 times)" in text
    assert "Frozen picture 2 s" in text
    assert "To encode a window of microphone 12.1 ms" in text
    assert "Processor time a minute 1.1 s of one core" in text


def test_it_names_the_bundle_the_data_and_what_nobody_tested(run: Path) -> None:
    text = shown(run)
    assert f"Bundle SHA-256 {fingerprint(run / 'bundle')} of its manifest, unsigned" in text
    assert "400 examples of the split eval" in text
    assert "Two sensors degraded at once." in text
    assert "Limits of your own: none was required" in text
    bare = first_page(run_contents.of_run(run)).untested
    assert "Degraded sensors: microphone, captions and camera." in bare


def test_a_signature_counts_only_where_it_was_checked(run: Path, tmp_path: Path) -> None:
    (run / "bundle" / "manifest.json.sig").write_text("junk")
    assert "of its manifest, its signature not checked" in shown(run)
    private, public = pair(tmp_path, "ours")
    with pytest.raises(BundleUntrustedError, match="not a signature of this manifest"):
        run_contents.of_run(run, trust=public)
    manifest = run / "bundle" / "manifest.json"
    manifest.with_name(signature.FILE_NAME).write_bytes(signature.sign(manifest.read_bytes(), private))
    main(Report(run=run, trust=public))
    text = Page((run / "report.html").read_text(encoding="utf-8")).text
    assert "of its manifest, signed with the key to ours.pub.pem" in text


def test_it_says_how_many_people_it_rests_on_and_how_sure_it_is_without_a_sensor(run: Path) -> None:
    text = shown(run)
    assert "of 400 examples of the split eval, whose people are not named, and" in text
    assert "Whose examples these are: they have no group" in text
    assert "6 to 14 points lost unsure 100 → 100 %, sure and wrong 0.0 → 0.0 %" in text
    audit = run_contents.of_run(run).audit
    for count, words in ((8, "8 people or groups"), (1, "1 person or group")):
        known = replace(audit, answered=replace(audit.answered, named=[("anna",)] * 400), groups=count)
        assert amount(known) == f"400 examples of the split eval, of {words}"


def test_what_is_required_is_judged_on_the_page_and_by_the_exit_status(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(run, "P>=0.5,drop.microphone<=0.01")
    assert "P>=0.5: met: the mean over all sets of sensors is 60 % (56 to 64) of 400 examples" in text
    assert "drop.microphone<=0.01: failed: without microphone (audio), accuracy falls by" in text
    assert "none was required" not in text
    with pytest.raises(GateUnmetError, match="the gate failed: drop"):
        main(Report(run=run, require="P>=0.5,drop.microphone<=0.01"))
    assert capsys.readouterr().out == f"{run / 'report.html'}\n", "the page is written all the same"
