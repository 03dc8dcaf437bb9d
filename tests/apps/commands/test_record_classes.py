"""`sensemble record --classes` and `sensemble data split`: from named classes to takes that are held out."""

import io
import re
import signal
import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sensemble_apps.commands import record
from sensemble_apps.commands.record import Record
from sensemble_apps.running import take_recorder
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.recording.takes import read_takes

from tests.apps.conftest import Refusal, Sensemble
from tests.waiting import wait_until

pytestmark = pytest.mark.real

NetworkCamera = Any
Made = list[tuple[int, str, tuple[str, ...], bool]]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(take_recorder, "COUNTDOWN", 0)


def made(folder: Path) -> Made:
    return [(take.number, take.split, take.labels, take.background) for take in read_takes(folder)]


def sit(
    camera: NetworkCamera, out: Path, answers: str, monkeypatch: pytest.MonkeyPatch, **options: float | str
) -> None:
    """Record short takes of a network camera, answering by standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(answers))
    given: dict[str, Any] = {"classes": "yes,no", "takes": 1, "seconds": 1.5, "segment": 0.5, **options}
    record.main(Record(out=out, camera=(camera.address,), in_process=True, **given))


@pytest.mark.usefixtures("at_once")
def test_classes_take_turns_and_what_is_bad_is_deleted_and_recorded_again(
    network_camera: NetworkCamera,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    # yes; no, which is deleted and recorded again; a background; something unlabelled; a slip; the end
    answers = "\n\nd\n\n\n\nx\n\n"
    sit(network_camera, out, answers, monkeypatch, backgrounds=1, unlabelled=1)
    assert made(out) == [
        (1, "train", ("yes",), False),
        (3, "train", ("no",), False),
        (4, "train", (), True),
        (5, "pretrain", (), False),
    ]
    assert {len(take.segments) for take in read_takes(out)} <= {1, 2, 3, 4}, "a second and a half"
    printed = capsys.readouterr()
    assert printed.out == (
        f"4 takes in {out}: 1 yes, 1 no, 1 background (none of the classes), 1 unlabelled (anything)\n"
    )
    asked = "\n".join(line for line in printed.err.splitlines() if line.endswith("q quits"))
    named = ["yes", "no", "background", "no", "background", "unlabelled"]
    assert re.findall(r"Next: (\w+)", asked) == named
    assert re.findall(r"d deletes take (\d)", asked) == list("1213455")
    assert "deleted take 2 (no)" in printed.err
    assert "x: no such key" in printed.err


@pytest.mark.usefixtures("at_once")
def test_a_later_sitting_goes_on_and_the_end_of_input_lets_takes_follow(
    network_camera: NetworkCamera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    sit(network_camera, out, "\nq\n", monkeypatch, takes=2, classes="caf\u00e9,no")
    assert [labels for _, _, labels, _ in made(out)] == [("caf\u00e9",)]
    sit(network_camera, out, "", monkeypatch, takes=2, classes="cafe\u0301,no")  # as a Mac names a file
    assert [labels for _, _, labels, _ in made(out)] == [("caf\u00e9",), ("no",), ("caf\u00e9",), ("no",)]


@pytest.mark.usefixtures("at_once")
def test_a_take_that_ctrl_c_breaks_off_is_deleted(
    network_camera: NetworkCamera,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    sit(network_camera, out, "\nq\n", monkeypatch)
    kept = len(list((out / "segments").iterdir()))

    def interrupt() -> None:
        wait_until(lambda: len(list((out / "segments").iterdir())) > kept)  # until it is recorded
        signal.raise_signal(signal.SIGINT)

    Thread(target=interrupt).start()
    sit(network_camera, out, "", monkeypatch, seconds=300.0)
    assert made(out) == [(1, "train", ("yes",), False)]
    assert len(list((out / "segments").iterdir())) == 2 * len(read_dataset(out).examples)
    assert capsys.readouterr().out.splitlines()[-1] == f"1 takes in {out}: 1 yes"


def test_a_countdown_is_kept_to_and_the_answers_may_be_piped(
    sensemble: Sensemble, network_camera: NetworkCamera, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ("--classes", "clap", "--takes", "1", "--seconds", "1", "--camera", network_camera.address)
    began = time.monotonic()
    result = sensemble("record", out, *options, text="\n\n")
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - began > take_recorder.COUNTDOWN + 1
    assert result.stdout == f"1 takes in {out}: 1 clap\n"
    assert made(out) == [(1, "train", ("clap",), False)]


def test_a_dataset_is_divided_by_group(here: Sensemble, refusal: Refusal, tmp_path: Path) -> None:
    lines = [
        f'{{"id": "{label}{i}", "split": "train", "labels": ["{label}"], "group": "take {i // 3}{label}", '
        '"text": "t"}\n'
        for label, count in (("yes", 30), ("no", 6))
        for i in range(count)
    ]
    index = tmp_path / "index.jsonl"
    index.write_text("".join(lines))
    shown = here("data", "split", tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"yes.* 6 \(18\).* 2 \(6\).* 2 \(6\)", shown.stdout)
    assert re.search(r"no .* 1 \(3\).* 0 \(0\).* 1 \(3\)", shown.stdout)
    assert shown.stderr == "no: 2 groups, so there is none for calibrate; record 2 more of it\n"
    assert [len(read_dataset(tmp_path).split(s)) for s in ("train", "calibrate", "eval")] == [21, 6, 9]
    held = index.read_text()
    assert here("data", "split", tmp_path).returncode == 0
    assert index.read_text() == held, "what is held out stays so"
    assert here("data", "split", tmp_path, "--seed", "5").returncode == 0
    assert index.read_text() != held
    index.write_text('{"id": "a", "split": "train", "labels": ["yes"], "text": "t"}\n')
    assert "nothing can be held out" in refusal("data", "split", tmp_path)
    index.write_text('{"id": "a", "split": "pretrain", "text": "t"}\n')
    assert "no example to train on has a label" in refusal("data", "split", tmp_path)
