"""Heartbeats of a record, and the expected accuracy of a fleet whose truth is known."""

import json
import math
import os
import re
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from sensemble_apps.cli import main
from sensemble_apps.errors import InputError
from sensemble_apps.integrations.heartbeats import recorded
from sensemble_apps.tables import heartbeat_files
from sensemble_apps.tables.fleet import fleet, left_out
from sensemble_apps.tables.fleet_simulation import SimulatedFleet
from sensemble_apps.tables.heartbeats import Heartbeat, write_heartbeats
from sensemble_runtime.auditing.intervals import wilson
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.writer import RecordWriter, fingerprint
from sensemble_runtime.scores import SubsetScore
from sensemble_sensors.supervision.events import Event

from tests.apps.browser.hosting import hosted
from tests.apps.conftest import COMMAND
from tests.apps.html_page import Page
from tests.apps.shipped import manifest, write_audit, write_run
from tests.runtime.record.times import began

TRUE = {"audio+video": 0.95, "audio": 0.8, "video": 0.6}
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # starts soon; nothing runs for long
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def row(device: str, live: str, seconds: float, hour: int = 0, bundle: str = "b" * 64) -> Heartbeat:
    return Heartbeat(MONDAY + timedelta(hours=hour), device, "pi", bundle, live, seconds, int(seconds), 3)


def score(right: float, n: int = 400) -> SubsetScore:
    return SubsetScore(right / n, n, *wilson(right, n))


def test_heartbeats_split_a_session_by_hour_and_live_set(tmp_path: Path) -> None:
    made = SimpleNamespace(manifest=manifest(), fingerprint="b" * 64)
    even = np.full(2, 0.5, np.float32)
    at = [(0, ("audio",)), (10, ("audio", "video")), (25, ())]
    with RecordWriter(tmp_path / "r.sqlite") as records:
        run = records.begin("session", made)  # type: ignore[arg-type]
        start = began(records, run)
        lives = [Event(start + s, "live", text="+".join(live)) for s, live in at]
        predictions = [
            Prediction(start + s, ("audio",), {}, even, even, {}, {}, labels=("zero", "one")) for s in (1, 2)
        ]
        records.add_items(run, [*lives, *predictions])
    rows = recorded(tmp_path / "r.sqlite", "watch 7")
    seconds = {
        live: sum(one.seconds for one in rows if one.live == live) for live in ("audio", "audio+video")
    }
    assert seconds == pytest.approx({"audio": 10, "audio+video": 15}, abs=0.2)
    assert sum(one.answers for one in rows) == sum(one.unsure for one in rows) == 2
    assert {(one.device, one.bundle) for one in rows} == {("watch 7", "b" * 64)}
    assert all(one.hour.minute == one.hour.second == 0 for one in rows)


def test_each_set_counts_by_its_time_and_what_was_never_audited_is_named(tmp_path: Path) -> None:
    asleep = replace(row("a", "audio", 3600), asleep={"video": 2700.0})
    write_heartbeats(tmp_path / "a.parquet", [asleep, row("a", "text", 1800, 24 * 7)])
    write_heartbeats(tmp_path / "b.parquet", [row("b", "video", 7200), row("b", "", 99)])
    audited = {"b" * 64: {"audio": score(360), "video": score(240)}}
    found = fleet([str(tmp_path)], audited)
    (whole,) = found.bundles
    assert (whole.devices, whole.hours, whole.audited) == (2, 3.5, pytest.approx(3 / 3.5))
    assert whole.accuracy is not None
    assert whole.accuracy.value == pytest.approx((0.9 + 2 * 0.6) / 3)
    assert found.unaudited == {"b" * 64: {"text": 0.5}}
    assert found.asleep == {"b" * 64: {"video": 0.75}}
    assert [(one.week, one.accuracy is None) for one in found.weeks] == [
        ("2026-11-23", False),
        ("2026-11-30", True),
    ]
    assert [one.device for one in found.devices] == ["b", "a"]


def test_the_expected_accuracy_holds_the_truth_that_made_it(tmp_path: Path) -> None:
    draw, runs = np.random.default_rng(0), 100
    faults = {"video": ("lost", 0.1), "audio": ("unhealthy", 0.2)}
    fleets = [SimulatedFleet(f"{run:064}", TRUE, faults, devices=8, hours=12) for run in range(runs)]
    rows = pa.concat_tables(rows for run, one in enumerate(fleets) for rows in one.heartbeats(run))
    parquet.write_table(rows, tmp_path / "f.parquet")
    scores = {
        one.bundle: {live: score(draw.binomial(400, right)) for live, right in TRUE.items()} for one in fleets
    }
    found = fleet([str(tmp_path)], scores)
    held = [
        one.accuracy is not None and one.accuracy.low <= fleets[0].truth <= one.accuracy.high
        for one in found.bundles
    ]
    assert len(held) == runs
    assert sum(held) >= 90
    # Of 100 fleets of like devices, about 5 have one that seems unlike the others.
    assert len({one.bundle for one in found.unlike}) <= 12
    camera = [one for one in found.faults if one.fault == "video lost"]
    assert np.mean([one.answers for one in camera]) == pytest.approx(0.08, abs=0.02)
    # Without a camera, 15 points fewer are right while the microphone is there.
    assert np.mean([one.lost or 0 for one in camera]) == pytest.approx(0.08 * 0.15, abs=0.004)


def test_a_device_unlike_its_peers_is_named(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    rows = [row(f"d{i}", "audio", 36000 + i) for i in range(12)]
    rows = [replace(one, unsure=int(1800 * draw.uniform(0.8, 1.2))) for one in rows]
    rows += [replace(one, device=f"calm {one.device}", model="quiet", unsure=0) for one in rows]
    rows[-1] = replace(rows[-1], unsure=40)  # far beyond the others, and of no importance
    rows += [replace(row("odd", "audio", 36000), unsure=9000), replace(row("idle", "audio", 60), unsure=50)]
    write_heartbeats(tmp_path / "f.parquet", rows)
    (one,) = fleet([str(tmp_path)], {}).unlike
    assert (one.device, one.measure, one.value) == ("odd", "unsure", 0.25)


def test_leaving_one_out_is_the_outlier_test_of_statsmodels() -> None:
    from statsmodels.api import OLS  # only here, for it takes 2 s

    values = np.random.default_rng(0).normal(size=9)
    fitted = OLS(values, np.ones(9)).fit()
    assert left_out(values) == pytest.approx(fitted.outlier_test()[:, 1], rel=1e-5)
    assert min(left_out(np.array([1.0, 1.0, 1.0, 1.0, 2.0]))) < 1e-6
    assert left_out(np.ones(5)) == pytest.approx([1.0] * 5)


def test_a_fleet_is_read_from_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    write_audit(write_run(tmp_path / "run"))
    bundle = fingerprint(tmp_path / "run" / "bundle")
    faults = {"video lost": 1, "record failed": 1}
    one = replace(row("a", "audio", 3600, bundle=bundle), model="", faults=faults)
    for name, row_of in (("week[1]", one), ("week1", replace(one, live="video"))):  # the first is no pattern
        (tmp_path / name).mkdir()
        write_heartbeats(tmp_path / name / "a.parquet", [row_of])
    shutil.copy(tmp_path / "run" / "audit.sqlite", tmp_path / "older.sqlite")
    with closing(sqlite3.connect(tmp_path / "older.sqlite")) as db, db:
        db.execute("UPDATE runs SET began = began - 60, ended = ended - 60")
        db.execute("UPDATE scores SET accuracy = 0, low = 0")
        db.execute("UPDATE estimates SET value = 0, low = -1 WHERE name = 'P'")
    audit = ["--audit", str(tmp_path / "run" / "audit.sqlite"), "--audit", str(tmp_path / "older.sqlite")]
    options = ["fleet", str(tmp_path / "week[1]"), *audit]
    (tmp_path / "week[1]" / "a.parquet.damaged").touch()
    for source in ("week[1]", "week[1]/*.parquet", "week[1]/*", "week[*"):
        assert main(["fleet", str(tmp_path / source), *audit, "--json"]) == 0
        (whole,) = json.loads(capsys.readouterr().out)["bundles"]
        assert whole["accuracy"]["value"] == pytest.approx(0.542)
    assert main(options) == 0
    output = capsys.readouterr().out
    for expected in ("Expected accuracy as deployed", "unknown", "camera lost", "record failed"):
        assert expected in output
    with closing(sqlite3.connect(tmp_path / "run" / "audit.sqlite")) as db, db:
        db.execute("DELETE FROM answers")
    simulation = ["fleet", "simulate", str(tmp_path / "week2"), *audit[:2]]
    for refused in (options, simulation):
        assert main(refused) == 2
        assert "answers: 0 of audio" in capsys.readouterr().err


def test_a_file_counts_once_by_whatever_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "beats"
    for name, beats in (("a", [row("a", "audio", 3600)]), ("b", [row("b", "audio", 3600)])):
        write_heartbeats(folder / f"{name}.parquet", beats)
    whole = fleet([str(folder)], {})
    assert capsys.readouterr().err == ""
    (folder / "link.parquet").symlink_to(folder / "a.parquet")
    (folder / "backup").mkdir()
    shutil.copy(folder / "b.parquet", folder / "backup")
    assert fleet([str(folder), str(folder / "a.parquet")], {}) == whole
    assert "3 of 5 files repeat others" in capsys.readouterr().err


def test_the_bounds_that_a_lone_file_states_are_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_heartbeats(path, [replace(row("a", "audio", -82800), answers=10**15)])
    data = path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    stated = data[footer:]
    for form, true, false in (("<d", -82800.0, 3600.0), ("<q", 10**15, 60)):
        assert struct.pack(form, true) in stated
        stated = stated.replace(struct.pack(form, true), struct.pack(form, false))
    path.write_bytes(data[:footer] + stated)
    with pytest.raises(InputError, match="impossible or missing"):
        fleet([str(path)], {})


@pytest.mark.real
@pytest.mark.needs("spark")
def test_spark_gives_the_same_figures(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    write_audit(write_run(tmp_path / "run"))
    record, beats, events = tmp_path / "run" / "audit.sqlite", tmp_path / "be[a]ts", tmp_path / "events"
    simulated = ["--fault", "video=lost:0.1", "--fault", "text=ended:0.3", "--devices", "6", "--hours", "200"]
    assert main(["fleet", "simulate", str(beats), "--audit", str(record), *simulated]) == 0
    slept = replace(row("a", "imu", 3600), asleep={"video": 60.0})
    write_heartbeats(beats / "other.parquet", [slept, row("a", "", 60)])
    events.mkdir()
    options = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": events.as_uri(),
        "spark.eventLog.rolling.enabled": "false",
        "spark.scheduler.minRegisteredResourcesRatio": "1",  # both executors are there before the first task
        "spark.scheduler.maxRegisteredResourcesWaitingTime": "600s",
        "spark.sql.shuffle.partitions": "2",
    } | dict.fromkeys(("spark.driver.extraJavaOptions", "spark.executor.extraJavaOptions"), QUICK_JAVA)
    (tmp_path / "spark-defaults.conf").write_text("".join(f"{k} {v}\n" for k, v in options.items()))
    command = [sys.executable, COMMAND, "fleet", beats, "--audit", record, "--json"]
    duckdb, spark = (
        json.loads(subprocess.run([*command, *more], capture_output=True, check=True, env=environment).stdout)
        for environment in [
            os.environ | {"SPARK_CONF_DIR": str(tmp_path), "SPARK_LOCAL_HOSTNAME": "localhost"}
        ]
        for more in ([], ["--engine", "local-cluster[2,1,1024]"])
    )
    assert list(figures(spark)) == [(k, pytest.approx(v, rel=1e-9)) for k, v in figures(duckdb)]
    assert {name for name in duckdb if duckdb[name]} == {*duckdb} - {"unlike"}
    lines = [json.loads(line) for file in events.iterdir() for line in file.read_text().splitlines()]
    tasks = {one["Task Info"]["Executor ID"] for one in lines if one["Event"] == "SparkListenerTaskEnd"}
    assert tasks == {"0", "1"}


def figures(found: object) -> Iterator[tuple[str, Any]]:
    """Yield each value of a JSON value, with the path to it."""
    if isinstance(found, dict | list):
        for key, value in found.items() if isinstance(found, dict) else enumerate(found):
            yield from ((f"{key}.{path}", one) for path, one in figures(value))
    else:
        yield "", found


def test_a_simulated_fleet_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    write_audit(write_run(tmp_path / "run"))
    record, folder = str(tmp_path / "run" / "audit.sqlite"), tmp_path / "beats" / "board"
    simulated = ["--audit", record, "--fault", "video=lost:0.1", "--devices", "6", "--hours", "3"]
    assert main(["fleet", "simulate", str(folder), *simulated]) == 0
    assert main(["fleet", "simulate", str(folder), *simulated]) == 2  # its devices would be added
    out = tmp_path / "fleet.html"
    assert main(["fleet", str(folder.parent), "--audit", record, "--out", str(out)]) == 0
    html = out.read_text(encoding="utf-8")
    page = Page(html)
    for expected in ("camera lost", "model A", "2026-01-05"):
        assert expected in page.text
    assert not re.search(r"https?://|<script", html)


def test_files_are_read_by_url(tmp_path: Path) -> None:
    write_heartbeats(tmp_path / "a.parquet", [row("a", "audio", 3600)])
    write_heartbeats(tmp_path / "b.parquet", [row("b", "video", 7200)])
    stored = f"memory://{tmp_path.name}"
    for path in tmp_path.glob("*.parquet"):
        with fsspec.open(f"{stored}/2026/{path.name}", "wb") as file:
            file.write(path.read_bytes())
    here = fleet([str(tmp_path)], {})
    with hosted(tmp_path) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        for sources in ([stored], [address], [f"{address}/a.parquet", f"{stored}/*/b.parquet"]):
            assert fleet(sources, {}) == here
        assert main(["fleet", f"{address}/none.parquet"]) == 2


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x.parquet", "nosuch://x", "memory://none"])
def test_a_url_that_cannot_be_read_is_one_line(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", url]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"sensemble: {url}: ")


def test_a_silent_web_server_is_given_up_soon(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(heartbeat_files, "_PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert main(["fleet", address]) == 2
        assert main(["fleet", f"{address}/a.parquet"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"sensemble: {address}: cannot be read")
    assert second.startswith(f"sensemble: {address}/a.parquet: cannot be read")


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": math.nan},
        {"seconds": -1.0},
        {"seconds": 1e9},
        {"unsure": 9999},
        {"live": "", "answers": 2**40},
        {"faults": {"audio lost": -1}},
        {"without": {"audio lost": -1}},
    ],
)
def test_impossible_numbers_are_refused_and_their_device_is_named(
    wrong: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row("sound", "audio", 3600), replace(row("broken", "audio", 3600, 1), **wrong)]
    write_heartbeats(tmp_path / "a.parquet", rows)
    assert main(["fleet", str(tmp_path), "--json"]) == 2
    assert "device 'broken', week 2026-11-23" in capsys.readouterr().err


def test_the_names_of_devices_send_nothing_to_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_heartbeats(tmp_path / "a.parquet", [row("a\x1b[31m", "audio", 3600, bundle="\x1b]0;b")])
    assert main(["fleet", str(tmp_path)]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_what_holds_no_heartbeats_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.parquet")  # to open it would wait for ever
    with pytest.raises(InputError, match=r"pipe\.parquet"):
        fleet([str(tmp_path)], {})
    (tmp_path / "pipe.parquet").unlink()
    (tmp_path / "x.parquet").write_text("no parquet")
    with pytest.raises(InputError, match=r"x\.parquet: no Parquet file"):
        fleet([str(tmp_path)], {})
    parquet.write_table(pa.table({"hour": [0]}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"x\.parquet: holds no heartbeats"):
        fleet([str(tmp_path / "*.parquet")], {})
    write_heartbeats(tmp_path / "x.parquet", [row("a", "audio", 3600)])
    table = parquet.read_table(tmp_path / "x.parquet")
    for name, odd, expected in (
        ("seconds", pa.array(["x"]), "seconds must be double"),
        ("seconds", pa.nulls(1, pa.float64()), "impossible or missing"),
        ("device", pa.nulls(1, pa.string()), "impossible or missing"),
        ("hour", pa.nulls(1, table["hour"].type), "impossible or missing"),
    ):
        wrong = table.set_column(table.schema.get_field_index(name), name, odd)
        parquet.write_table(wrong, tmp_path / "x.parquet")
        with pytest.raises(InputError, match=expected):
            fleet([str(tmp_path)], {})
