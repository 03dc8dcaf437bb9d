"""`sensemble record`, and what can be done with what it leaves."""

import json
import math
import os
import pty
import re
import signal
import time
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Timer
from typing import Any

import numpy as np
import pytest
from sensemble_apps.commands import record
from sensemble_apps.commands.record import Record
from sensemble_apps.errors import InputError
from sensemble_apps.running.capture import Capture
from sensemble_apps.running.inputs import FORM, forms
from sensemble_apps.running.recorder import Recorder
from sensemble_sensors.devices import registry
from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.push_series import PushSeries
from sensemble_sensors.health import health
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.streams import read_streams
from sensemble_sensors.recording.reader import Recorded
from sensemble_sensors.recording.writer import Recording
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import Channel, InputSpec
from sensemble_sensors.thresholds import Thresholds

from tests.apps.conftest import Sensemble, Started
from tests.sensors.made_up import MadeUp
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.real

NetworkCamera = Any


def test_a_recording_is_replayed_the_same_each_time_labelled_and_audited(
    here: Sensemble, bundle_folder: Path, dataset_folder: Path, tmp_path: Path
) -> None:
    out, clip = tmp_path / "out", dataset_folder / "eval-one-0.mkv"
    recorded = here("record", out, "--media", clip, "--bundle", bundle_folder)
    assert recorded.returncode == 0, recorded.stderr
    assert re.search(rf"segments of 1 s in {out}: \d\.\d s of audio, \d\.\d s of video\n$", recorded.stdout)
    assert "camera eval-one-0.mkv video ended: eval-one-0.mkv: all is played" in recorded.stderr

    replay = ("run", bundle_folder, "--replay", out, "--json")
    first, second = (here(*replay, "--fast") for _ in range(2))
    assert first.returncode == 0, first.stderr
    fast = [{**json.loads(line), "latencies": 0} for line in first.stdout.splitlines()]
    assert fast
    assert [{**json.loads(line), "latencies": 0} for line in second.stdout.splitlines()] == fast
    assert fast[-1]["live"] == ["audio", "video"]
    real = here(*replay)
    assert real.returncode == 0, real.stderr
    answers = map(json.loads, real.stdout.splitlines())
    last = [s["probabilities"] for s in answers if s.get("live") == ["audio", "video"]][-1]
    assert last == fast[-1]["probabilities"], "in real time it hears and sees the same bits"

    index = out / "index.jsonl"
    lines = [
        json.loads(line) | {"split": "eval", "labels": ["one"]} for line in index.read_text().splitlines()
    ]
    index.write_text("".join(json.dumps(line) + "\n" for line in lines))
    audited = here("audit", bundle_folder, "--data", out, "--json")
    assert audited.returncode == 0, audited.stderr
    assert json.loads(audited.stdout)["examples"] == len(lines)
    labelled = here(*replay, "--fast", "--split", "eval")
    assert {tuple(json.loads(line)["labels"]) for line in labelled.stdout.splitlines()} == {("one",)}


def test_a_recording_of_nothing_is_a_stream_to_count_false_events_in(
    here: Sensemble, dataset_folder: Path, tmp_path: Path
) -> None:
    out, clip = tmp_path / "room", dataset_folder / "eval-one-0.mkv"
    recorded = here("record", out, "--media", clip, "--background")
    assert recorded.returncode == 0, recorded.stderr
    assert f"1 segments of 60 s in {out}" in recorded.stdout
    (stream,) = read_streams(out)
    assert (stream.split, stream.modalities, stream.spans) == ("calibrate", ("audio", "video"), ())
    assert [example.split for example in read_dataset(out).background("calibrate")] == ["calibrate"]
    refused = here("record", out, "--media", clip, "--background", "--classes", "a,b")
    assert "give --backgrounds N" in refused.stderr


def test_interrupting_a_recording_keeps_it(tmp_path: Path) -> None:
    options = "--captions", "-", "--label", "talk", "--split", "train"
    with Started("record", tmp_path / "out", *options) as process:
        process.say("one person\n")
        assert "captions - attached" in process.stderr.readline()
        index = tmp_path / "out" / "index.jsonl"
        wait_until(lambda: process.poll() is not None or (index.exists() and index.read_text()))
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert output == f"1 segments of 1 s in {tmp_path / 'out'}: 1 caption\n"
    (example,) = read_dataset(tmp_path / "out").examples
    assert (example.value("text"), example.labels, example.split) == ("one person", ("talk",), "train")
    assert [s.data for s in Recorded(tmp_path / "out", [example]).segments[0].samples()] == ["one person"]


paced = partial(MadeUp, pause=0.05)


def recorded_by(health: Thresholds, folder: Path, awaited: str, *sensors: MadeUp) -> Recorded:
    """Record sensors until an event of the `awaited` kind, and then 40 samples of each."""
    capture = Capture(FORM, health)
    recorder = Recorder(capture, FORM)
    recorder.start(folder, segment=0.5)
    kinds: list[str] = []
    with capture:
        capture.subscribe(lambda event: kinds.append(getattr(event, "kind", "")))
        for sensor in sensors:
            capture.attach(sensor)
        wait_until(lambda: awaited in kinds)
        before = [sensor.reads for sensor in sensors]
        wait_until(lambda: all(s.reads > n + 40 for s, n in zip(sensors, before, strict=True)))
        recorder.stop()
    return Recorded(folder, read_dataset(folder).examples)


def test_what_is_frozen_is_left_out_and_reported(tmp_path: Path) -> None:
    picture = np.full((128, 128, 3), 99, np.uint8)
    frozen = paced("video", lambda now, _: Sample("video", picture, now))
    limits = Thresholds(frozen=0.3, stalled=60.0, picture_rate=0.0)
    recorded = recorded_by(limits, tmp_path / "out", "unhealthy", frozen)
    lines = (tmp_path / "out" / "events.jsonl").read_text().splitlines()
    *events, unhealthy = map(json.loads, lines)  # which may lie behind the last segment
    assert [event["kind"] for event in (*events, unhealthy)] == ["began", "attached", "unhealthy"]
    assert all(s.time <= unhealthy["time"] for segment in recorded.segments for s in segment.samples())


def test_what_drifts_is_kept_and_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "DRIFTS", 0.5)

    def sound(now: float, reads: int) -> Sample:
        return Sample("audio", np.full(800, 0.1, np.float32), now - 0.9 * min(reads / 40, 1.0))

    def picture(now: float, _: int) -> Sample:
        data = np.random.default_rng(0).integers(90, 110, (128, 128, 3)).astype(np.uint8)
        data[0, 0, 0] = int(1e3 * now) % 250  # no two are equal
        return Sample("video", data, now)

    limits = Thresholds(sound_rate=math.inf, picture_rate=0.0, stalled=60.0)
    sources = paced("audio", sound), paced("video", picture)
    recorded = recorded_by(limits, tmp_path / "out", "doubtful", *sources)
    doubts = [plug for plug in recorded.events if plug.kind not in ("began", "attached")]
    assert [(p.modality, p.kind, p.text) for p in doubts] == [
        ("audio", "doubtful", "it drifts, 0.5 s behind the picture")
    ]
    times = [s.time for segment in recorded.segments for s in segment.samples() if s.modality == "audio"]
    assert sum(time > doubts[0].time for time in times) > 10, "it is kept"


def test_a_port_stays_open_while_its_phone_is_silent() -> None:
    """Reopening it refused the posts of a phone that came back, for up to ten seconds."""
    channels = Channel("ax"), Channel("ay")
    spec = InputSpec("imu", "float32", (1, 100, 2), 100.0, 1.0, 1.0, 2.0, "series", channels)
    phone, kinds = PushSeries("http://127.0.0.1:0", modality="imu"), list[str]()
    with Capture({"imu": spec}, Thresholds(stalled=0.5)) as capture:
        capture.subscribe(lambda event: kinds.append(getattr(event, "kind", "")))
        capture.attach(phone)
        for _ in range(2):
            wait_until(lambda: kinds[-1:] == ["unhealthy"])
            rows = [[i, 1] for i in range(10)]
            for _ in range(3):
                connection = HTTPConnection(*phone.address)
                connection.request("POST", "/", json.dumps(rows))
                assert connection.getresponse().status == 200
                connection.close()
            wait_until(lambda: "recovered" in kinds[-2:])
    assert "lost" not in kinds


def test_where_nothing_is_recorded_nothing_is_left(here: Sensemble, tmp_path: Path) -> None:
    def refused(out: Path) -> str:
        result = here("record", out, "--captions", tmp_path / "none.txt")
        assert (result.returncode, result.stdout) == (2, "")
        return result.stderr.splitlines()[-1]

    new, empty, begun = (tmp_path / name for name in ("new", "empty", "begun"))
    assert "none.txt" in refused(new)
    assert not new.exists()
    empty.mkdir()
    assert "none.txt" in refused(empty)
    assert list(empty.iterdir()) == []
    with Recording(begun, {"audio": (16000,)}) as recording:
        recording.put(Sample("text", "one person", time.monotonic()))
    assert "none.txt" in refused(begun)
    assert len(read_dataset(begun).examples) == 1


def test_sensors_that_give_nothing_are_a_line_and_no_dataset(sensemble: Sensemble, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = sensemble("record", out, "--captions", "-")
    assert result.returncode == 2
    line = f"sensemble: {out}: nothing was recorded; captions - gave nothing: "
    assert result.stderr.splitlines()[-1].startswith(line)
    assert not out.exists()


def test_nothing_is_recorded_while_the_last_search_for_devices_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe, out = tmp_path / "captions", tmp_path / "out"
    os.mkfifo(pipe)

    def search(stop: Event) -> list[Device]:
        with pipe.open("w") as writer:  # when somebody reads
            writer.write("in time\n")
            writer.flush()
            stop.wait()
            writer.write("too late\n")
            writer.flush()
            time.sleep(1)
        return []

    monkeypatch.setattr(registry, "returning", lambda *_: [search])
    record.main(Record(out=out, captions=(str(pipe),), seconds=1, segment=0.5))
    assert [example.value("text") for example in read_dataset(out).examples] == ["in time"]


def test_the_time_counts_from_the_first_sample_and_who_gave_nothing_is_named(
    here: Sensemble, network_camera: NetworkCamera, tmp_path: Path
) -> None:
    out, missing = tmp_path / "out", tmp_path / "none.txt"
    network_camera.act = "stall"
    Timer(4, setattr, (network_camera, "act", "well")).start()  # its first picture comes after three seconds
    result = here("record", out, "--camera", network_camera.address, "--captions", missing, "--seconds", "3")
    assert result.returncode == 0, result.stderr
    seconds = re.search(r": (\d\.\d) s of video\n$", result.stdout)
    assert seconds is not None, result.stdout
    assert float(seconds[1]) >= 0.5
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"captions {missing} gave nothing: ")
    assert "no such file" in last.lower()
    assert "waiting" not in result.stderr, "only a terminal has a status line"


def test_a_terminal_shows_how_it_goes(dataset_folder: Path, tmp_path: Path) -> None:
    screen, theirs = pty.openpty()
    given = "--media", dataset_folder / "eval-one-0.mkv"
    size = {**os.environ, "COLUMNS": "80", "LINES": "24", "TERM": "xterm"}
    with Started("record", tmp_path / "out", *given, stderr=theirs, env=size) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the writer has closed it
            while text := os.read(screen, 1 << 16):
                shown += text
        assert process.stdout.read().endswith("s of video\n"), "results go elsewhere"
    os.close(screen)
    assert process.returncode == 0
    assert re.search(rb"s  \d segments  microphone -\d+ dB  camera \d+ pictures", shown)


def test_a_series_is_recorded_as_the_folder_declares_it(here: Sensemble, tmp_path: Path) -> None:
    rows, out = tmp_path / "rows.csv", tmp_path / "out"
    rows.write_text("ax,ay\n" + "".join(f"{i},{-i}\n" for i in range(40)))
    out.mkdir()
    declared = {"imu": {"kind": "series", "rate": 20, "channels": ["ax", "ay"]}}
    (out / "modalities.json").write_text(json.dumps(declared))
    empty = here("record", out, "--sensor", "imu=tcp://localhost:9", "--seconds", "0.1")
    assert empty.returncode != 0
    assert json.loads((out / "modalities.json").read_text()) == declared
    recorded = here("record", out, "--sensor", f"imu=pipe:{rows}")
    assert recorded.returncode == 0, recorded.stderr
    dataset = read_dataset(out)
    assert dataset.modalities == ("imu",)
    assert dataset.modality("imu").rate == 20


def test_a_series_without_a_rate_is_asked_for_one(tmp_path: Path) -> None:
    (tmp_path / "modalities.json").write_text(json.dumps({"imu": {"kind": "series"}}))
    with pytest.raises(InputError, match="imu: rate and channels are not known"):
        forms([("imu", "iio:0")], tmp_path)
