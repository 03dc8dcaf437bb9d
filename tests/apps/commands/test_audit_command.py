"""`sensemble audit`: its gate, its workflow, and the sets that `--subsets` adds to those always measured."""

import json
import shlex
import shutil
from dataclasses import replace
from math import comb
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from sensemble_apps.cli import main
from sensemble_apps.commands.audit import further_subsets
from sensemble_apps.errors import InputError
from sensemble_runtime.bundle.manifest import SetThreshold, SparingCalibration, TimelineCalibration
from sensemble_runtime.bundle.manifest_file import read_manifest, write_manifest
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.writer import RecordWriter

from tests.apps.conftest import DemoRun, Sensemble


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


def test_a_gate_judges_what_the_json_says(here: Sensemble, bundle_folder: Path, many: Path) -> None:
    result = here("audit", bundle_folder, "--data", many, "--require", "R>=0,drop.camera<=1", "--json")
    assert result.returncode == 0, result.stderr
    scores = json.loads(result.stdout)
    assert [one["verdict"] for one in scores["gate"]] == ["met", "met"]
    assert scores["groups"] == scores["examples"] == 180
    assert set(scores["drops"]) == {"audio", "text", "video"}
    for one in scores["subsets"].values():
        assert one["low"] <= one["accuracy"] <= one["high"]
        assert one["chance"] == pytest.approx(1 / 3)


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


def test_two_bundles_are_audited_to_be_compared(
    bundle_folder: Path, dataset_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [str(bundle_folder), str(bundle_folder), "--data", str(dataset_folder)]
    assert main(["compare", *both, "--out", str(tmp_path / "page.html")]) == 0
    assert "no answer became right or wrong" in capsys.readouterr().out
    assert (tmp_path / "page.html").is_file()


@pytest.mark.real
def test_the_workflow_of_the_gate_runs(
    bundle_folder: Path, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bundle").symlink_to(bundle_folder)
    Path("data").symlink_to(many)
    audit = "audit bundle --data data"
    assert main([*audit.split(), "--template", "gate.toml"]) == 0
    assert main([*audit.split(), "--record", "released.sqlite"]) == 0
    workflow = (Path(__file__).parents[3] / "apps" / "examples" / "gate.yml").read_text(encoding="utf-8")
    steps = [step["run"] for step in yaml.safe_load(workflow)["jobs"]["gate"]["steps"] if "run" in step]
    for step in (shlex.split(step) for step in steps if step.startswith("sensemble ")):
        assert main(step[1:]) == 0, step
    assert {path.name for path in tmp_path.iterdir()} >= {"gate.xml", "change.xml", "compare.html"}


SEVEN = tuple("abcdefg")


def test_all_of_seven_are_scored_when_asked_for() -> None:
    assert further_subsets(SEVEN, None, None) == further_subsets(SEVEN, "singles,leave-one-out", None) == []
    found = further_subsets(SEVEN, "all", None)
    assert len(found) == 127 - 15
    assert {len(one) for one in found} == {2, 3, 4, 5}
    assert sum(len(one) == 3 for one in found) == comb(7, 3)
    assert further_subsets(SEVEN[:6], "all", None) == [], "of six, all are measured"


def test_the_live_sets_of_a_record_are_scored(tmp_path: Path) -> None:
    path, numbers = tmp_path / "record.sqlite", np.array([1.0], np.float32)
    made = SimpleNamespace(modalities={}, labels=("one",), task="multi-class")
    bundle = SimpleNamespace(fingerprint="0" * 64, manifest=made)
    with RecordWriter(path) as records:
        run = records.begin("session", bundle)  # type: ignore[arg-type]
        for live in (("a", "b"), ("a", "b"), ("a",), ("x", "y")):
            prediction = Prediction(
                1.0, live, dict.fromkeys(live, 0.0), numbers, numbers, {}, {}, labels=("one",)
            )
            records.add_items(run, [prediction])
    assert further_subsets(SEVEN, "singles,leave-one-out,seen", path) == [("a", "b")]


@pytest.mark.parametrize(("wanted", "message"), [("pairs", "pairs: give all"), ("seen", "give --record")])
def test_what_cannot_be_scored_is_one_line(wanted: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        further_subsets(SEVEN, wanted, None)


def test_streams_are_audited_and_judged(
    bundle_folder: Path, dataset_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, bundle = Path(shutil.copytree(dataset_folder, tmp_path / "data")), tmp_path / "bundle"
    shutil.copytree(bundle_folder, bundle)
    line = {"id": "s", "split": "eval", "spans": [[0.2, 0.8, "one"]]}
    line |= {"audio": "eval-one-0.mkv", "video": "eval-one-0.mkv"}
    (data / "streams.jsonl").write_text(json.dumps(line) + "\n")
    audit = ["audit", str(bundle), "--data", str(data), "--streams"]
    assert main(audit) == 2
    assert "no streams of the split calibrate" in capsys.readouterr().err
    assert main([*audit, "--unknown"]) == 2
    assert "--unknown: is of examples" in capsys.readouterr().err
    contents = read_manifest(bundle / "manifest.json")
    sets = {"audio+video": SetThreshold(-20.0, 0.5, 0, 1.0)}
    timeline = TimelineCalibration(3.2, 1.0, {}, 1.0, sets)
    fitted = replace(contents, calibration=replace(contents.calibration, timeline=timeline))
    write_manifest(fitted, bundle / "manifest.json")
    require = "found>=0.0,false_per_hour.audio<=100000,false_per_hour<=0"
    assert main([*audit, "--json", "--require", require]) in {3, 4}
    scores = json.loads(capsys.readouterr().out)
    assert {one["subset"] for one in scores["streams"]} == {"audio", "video", "audio+video"}
    every = next(one for one in scores["streams"] if one["subset"] == "audio+video")
    assert every["spans"] == 1
    assert every["mistaken"] <= every["false"]
    assert every["low"] <= every["false_per_hour"] <= every["high"]
    assert every["curve"]
    assert [one["verdict"] for one in scores["gate"]][:2] == ["met", "met"]
    assert main(audit) == 0
    printed = capsys.readouterr().out.lower()
    assert "promised to 6" in printed
    assert "mistaken/h" in printed


def test_streams_are_recorded_listed_and_drawn(
    demo: DemoRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, data = shutil.copytree(demo.folder, tmp_path / "run"), shutil.copytree(demo.data, tmp_path / "data")
    line = {"id": "s", "split": "eval", "spans": [[0.2, 0.8, "one"]], "audio": "eval-one-0.mkv"}
    (data / "streams.jsonl").write_text(json.dumps(line | {"video": "eval-one-0.mkv"}) + "\n")
    contents = read_manifest(run / "bundle" / "manifest.json")
    timeline = TimelineCalibration(3.2, 1.0, {}, 1.0, {"audio+video": SetThreshold(-20.0, 0.5, 0, 1.0)})
    fitted = replace(contents, calibration=replace(contents.calibration, timeline=timeline))
    write_manifest(fitted, run / "bundle" / "manifest.json")
    record = str(run / "audit.sqlite")
    audit = ["audit", str(run / "bundle"), "--data", str(demo.data), "--record", record]
    assert main(audit) == 0
    assert main(["audit", str(run / "bundle"), "--data", str(data), "--record", record, "--streams"]) == 0
    capsys.readouterr()
    assert main(["history", record]) == 0
    assert "Streams: " in capsys.readouterr().out
    assert main(["history", record, "--json"]) == 0
    *_, heard = json.loads(capsys.readouterr().out)["runs"]
    assert (heard["kind"], heard["dataset"], heard["split"]) == ("streams", "data", "eval")
    assert {one["subset"] for one in heard["streams"]} == {"audio", "video", "audio+video"}
    assert main(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert "Whole recordings of data, split eval" in page
    assert "Promised to 6 false events an hour, not 1: 0.5 of the 3 hours needed" in page
    assert "Found against false events an hour" in page


def test_sensors_that_sleep_are_audited_recorded_and_reported(
    demo: DemoRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(demo.folder, tmp_path / "run"))
    bundle, record = run / "bundle", run / "audit.sqlite"
    audit = ["audit", str(bundle), "--data", str(demo.data), "--record", str(record), "--sparing"]
    contents = read_manifest(bundle / "manifest.json")
    asleep = replace(contents, calibration=replace(contents.calibration, sparing=None))
    write_manifest(asleep, bundle / "manifest.json")
    assert main(audit) == 2
    assert "no sensor may sleep" in capsys.readouterr().err
    order, shares = (("audio", "text"), ("video",)), (1.0, 0.2)
    sparing = SparingCalibration(
        order, (2.0, 10.0), 0.9, 1.0, 0.9, 3, 1.0, False, shares, 0.9, 0.8, 0.0, 0.9, 0.8, 0.0
    )
    fitted = replace(contents, calibration=replace(contents.calibration, sparing=sparing))
    write_manifest(fitted, bundle / "manifest.json")
    assert main([*audit, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["sparing"]
    assert 0 < scores["chosen"]["spent"] <= scores["every"]["spent"] == 1
    assert scores["curve"][0]["spent"] < scores["curve"][-1]["spent"]
    assert scores["fixed"]["spent"] <= scores["chosen"]["spent"]
    assert main(audit[:-1]) == 0  # a later audit without it keeps the score of the report
    assert main(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert "Sensors that sleep" in page
    assert "With the camera asleep" in page
    assert "Not promised for new people: 3 of the 19 needed." in page
    assert "Right answers by what is spent" in page
    assert main(audit) == 0
    assert "woken by chance" in capsys.readouterr().out
