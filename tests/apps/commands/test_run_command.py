import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from sensemble_apps.running import virtual_time
from sensemble_apps.running.inputs import FORM
from sensemble_apps.running.real_time import Options, come_and_go, plugged_at
from sensemble_apps.running.view_events import Opened
from sensemble_runtime import Bundle, Policy, subsets
from sensemble_runtime.bundle.head import Familiarity, save_head
from sensemble_runtime.bundle.manifest_file import write_manifest
from sensemble_runtime.record.reader import read_runs
from sensemble_runtime.record.writer import RecordWriter

from tests.apps.conftest import Sensemble, Started
from tests.runtime.manifests import entry
from tests.waiting import PATIENCE

pytestmark = pytest.mark.real

SoundServer = Any
KEYS = {
    "time", "at", "live", "ages", "label", "confidence", "best", "doubt", "none", "words", "why", "among",
    "candidates",
    "opinions", "audited", "unfamiliar", "suspect", "adapted", "levels", "probabilities", "example", "labels",
    "latencies", "dropped", "skipped", "lost",
}  # fmt: skip


def predictions(output: str) -> list[dict[str, Any]]:
    """Return the predictions of JSON output, without events and without empty live sets."""
    return [item for item in map(json.loads, output.splitlines()) if item.get("live")]


def test_fast_replay_prints_json_lines(here: Sensemble, bundle_folder: Path, dataset_folder: Path) -> None:
    command = ("run", bundle_folder, "--replay", dataset_folder, "--fast", "--unplug", "--json")
    first = here(*command)
    assert first.returncode == 0
    answers = [json.loads(line) for line in first.stdout.splitlines()]
    threshold = Bundle.open(bundle_folder).manifest.calibration.threshold
    assert [s["example"] for s in answers] == [
        f"eval-{c}-{i}" for i in (0, 1) for c in ("zero", "one", "two")
    ]
    for s in answers:
        assert s.keys() == KEYS
        best = max(s["probabilities"], key=s["probabilities"].__getitem__)
        assert s["confidence"] == s["probabilities"][best]
        assert s["candidates"][0] == s["best"] == best
        assert (s["label"] is None) == (s["confidence"] < threshold) == (len(s["candidates"]) > 1)
        assert s["opinions"].keys() == set(s["live"])
        assert 0 <= s["audited"]["low"] <= s["audited"]["accuracy"] <= s["audited"]["high"] <= 1
        assert s["levels"].keys() == set(s["live"]) - {"text"}
        assert sum(s["probabilities"].values()) == pytest.approx(1)
        assert s["labels"] == [s["example"].split("-")[1]]
        assert set(s["ages"]) == set(s["latencies"]) == set(s["live"])
    everything = ["audio", "text", "video"]
    expected = [everything, everything, ["audio", "text"], ["text"], ["text", "video"], everything]
    assert [s["live"] for s in answers] == expected
    assert "camera unplugged" in first.stderr
    by = "executorch-xnnpack"
    assert f"executors: audio by {by}, text by {by}, video by {by}\n" in first.stderr


def test_an_audit_and_a_fast_replay_take_conditions(
    here: Sensemble, bundle_folder: Path, dataset_folder: Path
) -> None:
    audit = ("audit", bundle_folder, "--data", dataset_folder)
    result = here(*audit, "--conditions", "microphone=noise:5,captions=misspelt:5", "--json")
    assert result.returncode == 0, result.stderr
    found = {(s["condition"], s["subset"]): s for s in json.loads(result.stdout)["conditions"]}
    assert len(found) == 7 + 4 + 4
    replay = ("run", bundle_folder, "--replay", dataset_folder, "--fast", "--json")
    answers = predictions(here(*replay, "--condition", "microphone=noise:5").stdout)
    stated = fmean(s["confidence"] for s in answers)
    assert found["noise", "audio+text+video"]["confidence"] == pytest.approx(stated, abs=1e-5)
    table = here(*audit, "--conditions", "microphone")
    assert "microphone degraded: accuracy, %, mean of the severities (worst)" in table.stdout
    assert "\nwith a" in table.stdout
    table = here(*audit, "--unknown")
    assert "What it cannot know, %" in table.stdout
    assert "\n mixed " in table.stdout


def test_a_media_file_is_heard_and_seen(here: Sensemble, bundle_folder: Path, dataset_folder: Path) -> None:
    result = here("run", bundle_folder, "--media", dataset_folder / "eval-one-0.mkv", "--json")
    answers = predictions(result.stdout)
    assert result.returncode == 0
    assert answers
    assert all(set(s["live"]) <= {"audio", "video"} and s["example"] is None for s in answers)
    assert "microphone eval-one-0.mkv audio attached" in result.stderr
    assert "camera eval-one-0.mkv video attached" in result.stderr
    assert answers[-1]["live"] == ["audio", "video"], "what the picture said holds when its track has ended"
    assert re.search(
        r"^from capture to prediction: median [\d.]+ ms, p99 [\d.]+ ms$", result.stderr, re.MULTILINE
    )


def test_a_duty_says_what_it_saved(here: Sensemble, bundle_folder: Path, dataset_folder: Path) -> None:
    command = ("run", bundle_folder, "--replay", dataset_folder, "--fast", "--json")
    plain, duty = here(*command), here(*command, "--duty")
    answers = [json.loads(line) for line in duty.stdout.splitlines()]
    right = sum(s["label"] in s["labels"] for s in map(json.loads, duty.stdout.splitlines()))
    skipped = 3 * len(answers) - sum(len(s["latencies"]) for s in answers)
    saved = re.findall(r"(\d+) of 6", next(line for line in duty.stderr.splitlines() if "saved" in line))
    assert sum(map(int, saved)) == skipped
    unsure = sum(s["label"] is None for s in answers)
    wrong = 6 - right - unsure
    counted = f"right in {right} of 6 labelled predictions, unsure in {unsure}, wrong in {wrong}"
    assert duty.stderr.splitlines()[-1] == counted
    assert "duty" not in plain.stderr


def test_a_microphone_that_is_plugged_in_is_attached(
    bundle_folder: Path, sound_server: SoundServer, minute_of_speech: Path
) -> None:
    with Started("run", bundle_folder, "--watch", "--json") as process:
        assert any("microphone Monitor of speaker attached" in line for line in process.stderr)
        sound_server.plug("desk")
        player = sound_server.play(minute_of_speech, "desk")
        assert any("microphone Monitor of desk attached" in line for line in process.stderr)
        assert next(predictions(line) for line in process.stdout if "label" in line)[0]["live"] == ["audio"]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    player.terminate()
    player.wait(PATIENCE)
    assert process.returncode == 130


def test_a_fast_replay_has_the_threads_that_are_asked_for(bundle_folder: Path) -> None:
    bundle = Bundle.open(bundle_folder)
    (opened,) = virtual_time.replay(bundle, [], Options(Policy(threads=3)))
    assert isinstance(opened, Opened)
    assert bundle.threads == 3


def test_debug_shows_where_it_failed(sensemble: Sensemble, tmp_path: Path) -> None:
    result = sensemble("run", tmp_path, "--captions", "-", "--debug")
    assert result.returncode == 2
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("sensemble: ")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_in_one_line_and_its_record_as_complete(
    bundle_folder: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    ours, theirs = os.pipe()  # a caption source that never says anything more
    record = tmp_path / "record.sqlite"
    options = "--captions", "-", "--json", "--record", record
    with Started("run", bundle_folder, *options, stdin=ours) as process:
        os.write(theirs, b"one person\n")
        assert json.loads(process.stdout.readline())["kind"] == "attached"
        assert json.loads(process.stdout.readline())["live"] == ["text"]
        process.send_signal(sent)
        time.sleep(0.02)  # while it closes; `timeout`, for one, signals a process and then its group
        process.send_signal(sent)
        _, errors = process.communicate(timeout=PATIENCE)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 128 + sent, errors
    assert errors.splitlines()[-1].startswith("1 windows encoded"), "it is no failure, so no more is said"
    assert "Traceback" not in errors
    assert "nanobind" not in errors
    assert read_runs(record)[0].ended is not None


LOCKS = """
from functools import partial
from itertools import count
from signal import SIGTERM, raise_signal

def condition(self, lock=None, made=Condition.__init__):
    made(self, lock)
    self._release_save = partial(freed, self._release_save)

def freed(free):
    state = free()
    if current_thread() is main_thread() and next(waits) == WAIT:
        raise_signal(SIGTERM)
    return state

Condition.__init__, waits = condition, count()
"""
RUN = """
import sys, threading
threading.WAIT = int(sys.argv[1])
exec(sys.argv[2], vars(threading))
from sensemble_apps.cli import main
sys.exit(main(sys.argv[3:]))
"""


@pytest.mark.parametrize("wait", [0, 6, 7])
def test_a_signal_between_the_freeing_of_a_lock_and_the_wait_is_one_as_any_other(
    bundle_folder: Path, tmp_path: Path, wait: int
) -> None:
    """Python then leaves `Condition.wait` without the lock: it was a RuntimeError, and a failure."""
    ours, theirs = os.pipe()
    options = "run", bundle_folder, "--captions", "-", "--record", tmp_path / "record.sqlite"
    run = [sys.executable, "-c", RUN, str(wait), LOCKS, *options]
    stopped = subprocess.run(run, stdin=ours, capture_output=True, text=True, check=False, timeout=PATIENCE)
    os.close(ours)
    os.close(theirs)
    assert stopped.returncode == 128 + signal.SIGTERM, stopped.stderr
    assert "sensemble: " not in stopped.stderr
    assert read_runs(tmp_path / "record.sqlite")[0].ended is not None


def test_a_signal_while_a_session_is_made_ends_its_record_as_complete(
    here: Sensemble, bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(*arguments: object, made: Callable[..., int] = RecordWriter.begin) -> int:
        run = made(*arguments)
        signal.raise_signal(signal.SIGTERM)
        return run

    monkeypatch.setattr(RecordWriter, "begin", begin)
    captions, record = tmp_path / "captions.txt", tmp_path / "record.sqlite"
    captions.write_text("one person\n", encoding="utf-8")
    stopped = here("run", bundle_folder, "--captions", captions, "--record", record)
    assert stopped.returncode == 128 + signal.SIGTERM, stopped.stderr
    assert read_runs(record)[0].ended is not None


def test_a_reader_that_has_enough_ends_it_quietly(bundle_folder: Path, dataset_folder: Path) -> None:
    with Started("run", bundle_folder, "--replay", dataset_folder, "--fast", "--json") as process:
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("modalities", subsets.subsets(("audio", "text", "video")))
def test_the_schedule_ends_as_it_began_and_never_leaves_nothing(modalities: subsets.Subset) -> None:
    schedule = come_and_go({m: FORM[m] for m in modalities})
    assert schedule[0] == schedule[-1] == modalities
    assert all(schedule)
    unplugged = {m for plugged in schedule for m in set(modalities) - set(plugged)}
    assert len(unplugged) == len(modalities) - 1
    assert plugged_at(schedule, 0.0) is schedule[0]
    assert plugged_at(schedule, 1.5) is schedule[-1]


def test_the_sensors_of_a_device_are_unplugged_together() -> None:
    specs = {m: replace(FORM["audio"], modality=m, device=m[:5]) for m in ("phone.a", "watch.a", "watch.b")}
    assert come_and_go(specs) == [tuple(specs), ("watch.a", "watch.b"), tuple(specs)]


@pytest.fixture(scope="module")
def deaf(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle with a score of familiarity by which every sound is unfamiliar, and nothing else."""
    out = tmp_path_factory.mktemp("deaf") / "bundle"
    shutil.copytree(bundle_folder, out)
    made = Bundle.open(out)
    rows = len(made.modalities)
    scores = Familiarity(np.zeros((rows, made.manifest.embedding), np.float32), np.zeros(rows, np.float32))
    path = made.manifest.head.path
    save_head(replace(made.head, familiarity=scores), out / path)
    thresholds = {m: 1.0 if m == "audio" else -1.0 for m in made.modalities}
    calibration = replace(made.manifest.calibration, familiar=thresholds)
    write_manifest(
        replace(made.manifest, head=entry(out, path), calibration=calibration), out / "manifest.json"
    )
    return out


@pytest.mark.parametrize("option", [(), ("--unfamiliar", "pool")])
def test_a_run_leaves_an_unfamiliar_sensor_out_or_pools_it(
    here: Sensemble, deaf: Path, dataset_folder: Path, option: tuple[str, ...]
) -> None:
    result = here("run", deaf, "--replay", dataset_folder, "--json", *option)
    assert result.returncode == 0, result.stderr
    found = [one for one in predictions(result.stdout) if one["unfamiliar"] == ["audio"]]
    assert found, "two seconds of it are enough"
    assert {"audio" in one["live"] for one in found} == {bool(option)}
    assert "microphone hears nothing it knows" in result.stderr
