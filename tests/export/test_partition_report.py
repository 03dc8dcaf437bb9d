"""The report of what the delegates took is what lowering found, and reads as one line an artifact."""

import json
from pathlib import Path

from sensemble_export.partition_report import (
    FILE_NAME,
    Delegation,
    describe_lowering,
    described,
    write_lowering,
)

from tests.export.conftest import JOBS, Export


def test_a_bundle_holds_the_report_of_its_lowering(exported: Export) -> None:
    report = json.loads((exported.out / FILE_NAME).read_text(encoding="utf-8"))
    jobs = [job for job in JOBS if job.target.startswith("executorch-")]
    artifacts = {job: exported.manifest.modalities[job.modality].artifacts[job.target].path for job in jobs}
    assert report.keys() == set(artifacts.values())
    for job, artifact in artifacts.items():
        delegation = exported.lowered[job].delegation
        assert delegation is not None
        assert report[artifact] == {
            "subgraphs": delegation.subgraphs,
            "delegated": sum(delegation.delegated.values()),
            "not_delegated": delegation.remaining,
        }


def test_what_is_outside_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lowering.json"
    text = Delegation(1, {"aten.linear.default": 5, "aten.bmm.default": 2}, {"aten.embedding.default": 1})
    audio = Delegation(2, {"aten.linear.default": 1}, {})
    write_lowering({"text:int8": described(text), "audio:int8": described(audio)}, path)
    assert list(describe_lowering(path)) == [
        "audio:int8: 1 operators in 2 subgraphs; outside: none",
        "text:int8: 7 operators in 1 subgraph; outside: 1 aten.embedding.default",
    ]
