import json
from pathlib import Path

import pytest
from sensemble_apps.cli import main

from tests.apps.conftest import Refusal, Sensemble


@pytest.fixture(scope="module")
def many(dataset_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evaluation examples thirty times, so that intervals are narrow."""
    folder = tmp_path_factory.mktemp("many")
    lines = [json.loads(line) for line in (dataset_folder / "index.jsonl").read_text().splitlines()]
    copies = [
        {**line, "id": f"{line['id']}-{i}", "group": f"{line['id']}-{i}"}
        for line in lines
        if line["split"] == "eval"
        for i in range(30)
    ]
    for name in {copy["video"] for copy in copies}:
        (folder / name).hardlink_to(dataset_folder / name)
    (folder / "index.jsonl").write_text("".join(json.dumps(copy) + "\n" for copy in copies))
    return folder


def test_a_gate_judges_what_the_json_says(sensemble: Sensemble, bundle_folder: Path, many: Path) -> None:
    result = sensemble("audit", bundle_folder, "--data", many, "--require", "R>=0,drop.camera<=1", "--json")
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    assert [one["verdict"] for one in said["gate"]] == ["met", "met"]
    assert said["groups"] == said["examples"] == 180
    assert set(said["drops"]) == {"audio", "text", "video"}
    for one in said["subsets"].values():
        assert one["low"] <= one["accuracy"] <= one["high"]
        assert one["chance"] == pytest.approx(1 / 3)


def test_a_gate_that_fails_ends_with_3(
    bundle_folder: Path, many: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", str(bundle_folder), "--data", str(many), "--require", "microphone>=1,P>=0"]) == 3
    output, errors = capsys.readouterr()
    assert "microphone>=1: failed: with microphone (audio), accuracy is " in output
    assert "P>=0: met: the mean over all sets of sensors is " in output
    assert errors.splitlines()[-1] == "sensemble: the gate failed: microphone>=1"


def test_six_examples_are_too_few_and_end_with_4(
    bundle_folder: Path, dataset_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audit = ["audit", str(bundle_folder), "--data", str(dataset_folder)]
    assert main([*audit, "--require", "drop.camera<=0"]) == 4
    output, errors = capsys.readouterr()
    assert "too few examples: 6" in output
    assert errors.splitlines()[-1].startswith(
        "sensemble: too few examples to judge drop.camera<=0: audit more"
    )


def test_what_is_required_is_read_before_anything_is_encoded(
    refusal: Refusal, bundle_folder: Path, dataset_folder: Path
) -> None:
    line = refusal("audit", bundle_folder, "--data", dataset_folder, "--require", "webcam>=0.5")
    assert line == (
        "sensemble: webcam>=0.5: no sensor is called 'webcam'; there are audio, text, video, microphone, "
        "captions, camera, and P, R"
    )
