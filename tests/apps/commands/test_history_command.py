"""`sensemble history`: a record, read back for people and for scripts."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from sensemble_apps.tables.heartbeats import parsed
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.writer import RecordWriter
from sensemble_sensors.supervision.events import Event

from tests.apps.conftest import DemoRun, Refusal, Sensemble
from tests.runtime.record.times import began


def test_a_session_is_summed_up(bundle_folder: Path, tmp_path: Path, here: Sensemble) -> None:
    record = tmp_path / "record.sqlite"
    bundle = Bundle.open(bundle_folder)
    one = np.ones(3, np.float32)
    with RecordWriter(record) as records:
        run = records.begin("session", bundle)
        start = began(records, run)
        live_sets = [(1, ("audio", "video")), (3, ("video",)), (7, ("audio", "video")), (8, ("audio",))]
        predictions = [
            Prediction(start + at, live, {}, one, one, {}, {}, labels=bundle.manifest.labels)
            for at, live in live_sets
        ]
        lives = [Event(start + at, "live", text="+".join(live)) for at, live in live_sets]
        why = "microphone desk: gives no more sound"
        lost = Event(start + 3, "lost", "audio", "microphone desk", why)
        begins = {"label": "walking", "began": start + 5, "confidence": 0.9, "sensors": ("video",)}
        walking = Event(start + 6, "began", **begins)  # type: ignore[arg-type]
        records.add_items(run, [*predictions, *lives, lost, walking])
    (reported,) = json.loads(here("history", record, "--json").stdout)["runs"]
    assert (reported["kind"], reported["ended"]) == ("session", None)
    assert reported["predictions"] == {"audio": 1, "audio+video": 2, "video": 1}
    assert (reported["seconds"], reported["gap"]) == pytest.approx((8, 4), abs=0.01)
    audio, video = reported["modalities"]["audio"], reported["modalities"]["video"]
    assert audio == pytest.approx({"live": 3, "away": 5, "longest": 4}, abs=0.01)
    event, _ = reported["events"]
    assert event.keys() == {"at", "time", "kind", "modality", "sensor", "text"}
    assert (event["kind"], event["text"]) == ("lost", "gives no more sound")
    assert video == pytest.approx({"live": 7, "away": 1, "longest": 1}, abs=0.01)
    result = here("history", record)
    assert result.returncode == 0
    assert "session 1" in result.stdout
    assert "without an end" in result.stdout
    assert re.search(r" 3\.0\d s  ---- microphone desk lost: gives no more sound\n", result.stdout)
    assert re.search(r" 5\.0\d s  walking  90 %  camera\n", result.stdout)
    assert ["microphone", "3.0", "5.0", "4.0"] in [line.split() for line in result.stdout.splitlines()]


def test_an_audit_is_read_back(demo: DemoRun, here: Sensemble) -> None:
    (audit,) = json.loads(here("history", demo.folder / "audit.sqlite", "--json").stdout)["runs"]
    assert (audit["kind"], audit["predictions"], len(audit["scores"])) == ("audit", {}, 7)
    assert (audit["dataset"], audit["split"]) == ("colours", "eval")
    reported = here("history", demo.folder / "audit.sqlite").stdout
    assert "on colours, split eval" in reported
    assert "microphone + captions + camera" in reported


def test_a_record_in_which_nothing_began_says_so(tmp_path: Path, here: Sensemble) -> None:
    record = tmp_path / "record.sqlite"
    RecordWriter(record).close()
    result = here("history", record)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr.startswith(f"{record}: holds no session and no audit; ")
    assert len(result.stderr.splitlines()) == 1
    result = here("history", record, "--json")
    assert (json.loads(result.stdout), result.stderr) == ({"runs": []}, "")


def test_heartbeats_make_the_folder_above_them(tmp_path: Path, here: Sensemble) -> None:
    record, beats = tmp_path / "record.sqlite", tmp_path / "new" / "folder" / "beats.parquet"
    RecordWriter(record).close()
    result = here("history", record, "--heartbeats", beats)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{beats}\n", "")
    assert parsed(beats.read_bytes()) == []


def test_heartbeats_do_not_replace_a_record(tmp_path: Path, refusal: Refusal) -> None:
    record = tmp_path / "record.sqlite"
    RecordWriter(record).close()
    before = record.read_bytes()
    assert "is a record, which would be lost; name another" in refusal(
        "history", record, "--heartbeats", record
    )
    assert record.read_bytes() == before
