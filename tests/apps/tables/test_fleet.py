"""Heartbeats of a record, and the expected accuracy of a fleet whose truth is known."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sensemble_apps.cli import main
from sensemble_apps.errors import InputError
from sensemble_apps.tables.fleet import fleet
from sensemble_apps.tables.heartbeats import Heartbeat, heartbeats, write_heartbeats
from sensemble_runtime.auditing.intervals import wilson
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.writer import Records, fingerprint
from sensemble_runtime.scores import SubsetScore
from sensemble_sensors.supervision.events import Event

from tests.apps.shipped import manifest, write_audit, write_run

TRUE = {"audio+video": 0.95, "audio": 0.8, "video": 0.6}
SHARES = {"audio+video": 0.7, "audio": 0.2, "video": 0.1}  # of the time in the field
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def row(device: str, live: str, seconds: float, hour: int = 0, bundle: str = "b" * 64) -> Heartbeat:
    return Heartbeat(MONDAY + timedelta(hours=hour), device, bundle, live, seconds, int(seconds), 3)


def score(right: float, n: int = 400) -> SubsetScore:
    return SubsetScore(right / n, n, *wilson(right, n))


def test_heartbeats_split_a_session_by_hour_and_live_set(tmp_path: Path) -> None:
    made = SimpleNamespace(manifest=manifest(), fingerprint="b" * 64)
    began, even = time.monotonic(), np.full(2, 0.5, np.float32)
    at = [(0, ("audio",)), (10, ("audio", "video")), (25, ())]
    with Records(tmp_path / "r.sqlite") as records:
        run = records.begin("session", made)  # type: ignore[arg-type]
        lives = [Event(began + s, "live", text="+".join(live)) for s, live in at]
        said = [
            Prediction(began + s, ("audio",), {}, even, even, {}, {}, labels=("zero", "one")) for s in (1, 2)
        ]
        records.add_items(run, [*lives, *said])
    rows = heartbeats(tmp_path / "r.sqlite", "watch 7")
    seconds = {
        live: sum(one.seconds for one in rows if one.live == live) for live in ("audio", "audio+video")
    }
    assert seconds == pytest.approx({"audio": 10, "audio+video": 15}, abs=0.2)
    assert sum(one.answers for one in rows) == sum(one.unsure for one in rows) == 2
    assert {(one.device, one.bundle) for one in rows} == {("watch 7", "b" * 64)}
    assert all(one.hour.minute == one.hour.second == 0 for one in rows)


def test_each_set_counts_by_its_time_and_what_was_never_audited_is_named(tmp_path: Path) -> None:
    write_heartbeats(tmp_path / "a.parquet", [row("a", "audio", 3600), row("a", "text", 1800, 24 * 7)])
    write_heartbeats(tmp_path / "b.parquet", [row("b", "video", 7200), row("b", "", 99)])
    audited = {"b" * 64: {"audio": score(360), "video": score(240)}}
    found = fleet(sorted(tmp_path.glob("*.parquet")), audited)
    (whole,) = found.bundles
    assert (whole.devices, whole.hours, whole.audited) == (2, 3.5, pytest.approx(3 / 3.5))
    assert whole.accuracy is not None
    assert whole.accuracy.value == pytest.approx((0.9 + 2 * 0.6) / 3)
    assert found.unaudited == {"b" * 64: {"text": 0.5}}
    assert [(one.week, one.accuracy is None) for one in found.weeks] == [
        ("2026-11-23", False),
        ("2026-11-30", True),
    ]
    assert [one.device for one in found.devices] == ["b", "a"]


def test_the_expected_accuracy_holds_the_truth_that_made_it(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    truth = sum(SHARES[live] * TRUE[live] for live in TRUE)
    held = 0
    for _ in range(20):
        rows = [
            row(f"d{i}", live, 3600 * share * draw.uniform(0.9, 1.1))
            for i in range(50)
            for live, share in SHARES.items()
        ]
        write_heartbeats(tmp_path / "f.parquet", rows)
        scores = {live: score(draw.binomial(400, right)) for live, right in TRUE.items()}
        (whole,) = fleet([tmp_path / "f.parquet"], {"b" * 64: scores}).bundles
        assert whole.accuracy is not None
        held += whole.accuracy.low <= truth <= whole.accuracy.high
    assert held >= 19


def test_a_fleet_is_read_from_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    write_audit(write_run(tmp_path / "run"))
    bundle = fingerprint(tmp_path / "run" / "bundle")
    write_heartbeats(tmp_path / "a.parquet", [row("a", "audio", 3600, bundle=bundle)])
    options = ["fleet", str(tmp_path), "--audit", str(tmp_path / "run" / "audit.sqlite")]
    assert main([*options, "--json"]) == 0
    (whole,) = json.loads(capsys.readouterr().out)["bundles"]
    assert whole["accuracy"]["value"] == pytest.approx(0.542)
    assert main(options) == 0
    assert "Expected accuracy as deployed" in capsys.readouterr().out


def test_what_holds_no_heartbeats_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("no parquet")
    with pytest.raises(InputError, match=r"x\.parquet: no Parquet file"):
        fleet([tmp_path / "x.parquet"], {})
