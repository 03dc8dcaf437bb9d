"""Tests of the views when sensors die, or are several: in a terminal, in lines and in JSON."""

import io
import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Timer
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rich
from sensemble_apps.console.wording import answer, answer_as_json
from sensemble_apps.running.outputs import LineOutput
from sensemble_apps.running.terminal import TerminalOutput
from sensemble_apps.running.view_events import Opened, Predicted, ViewEvent, event_as_json, view_event
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.engine.view import View
from sensemble_runtime.prediction import Doubt, Opinion, Prediction
from sensemble_runtime.scores import SubsetScore
from sensemble_runtime.session.virtual import VirtualSession
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.decoding import samples, span
from sensemble_sensors.supervision.events import Event
from sensemble_sensors.supervision.sensor_view import SensorView

from tests.apps.conftest import Started
from tests.waiting import PATIENCE

pytestmark = pytest.mark.real


def test_json_reports_that_nothing_is_live_any_more(bundle_folder: Path) -> None:
    with Started("run", bundle_folder, "--captions", "-", "--json", stderr=subprocess.DEVNULL) as process:
        deadline = Timer(PATIENCE, process.kill)
        deadline.start()
        there = json.loads(process.stdout.readline())
        process.say("one person\n")
        prediction = json.loads(process.stdout.readline())
        gone = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        deadline.cancel()
    text = {"kind": "attached", "modality": "text", "sensor": "captions -", "text": ""}
    assert there == {"time": there["time"], **text}
    assert prediction["live"] == ["text"]
    assert gone == {"time": gone["time"], "live": []}
    assert gone["time"] > prediction["time"] + 1, "a caption holds for a while"


@contextmanager
def in_a_terminal(*arguments: str | Path, term: str = "xterm") -> Iterator[tuple[Started, int]]:
    """Run the command in a terminal of 80 x 24; give its process and the other end."""
    screen, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "LINES": "24", "TERM": term}
    with Started(*arguments, stdout=theirs, stderr=subprocess.DEVNULL, env=environment) as process:
        os.close(theirs)
        deadline = Timer(PATIENCE, process.kill)
        deadline.start()
        yield process, screen
        process.send_signal(signal.SIGINT)
        _read(screen, lambda _: False)
        deadline.cancel()
    os.close(screen)


def test_a_terminal_shows_no_class_of_what_is_dead(bundle_folder: Path) -> None:
    with in_a_terminal("run", bundle_folder, "--captions", "-") as (process, screen):
        process.say("one person\n")
        shown = _read(screen, lambda text: "● captions" in text and "%" in text)
        assert "nothing is live" not in shown
        shown = _read(screen, lambda text: "nothing is live" in text.rpartition("encoded in")[2])
    picture = shown.rpartition("encoded in")[2]
    assert "○ captions" in picture
    assert "●" not in picture
    assert "%" not in picture


def sensor(modality: str, name: str, state: str = "attached", **more: Any) -> SensorView:  # noqa: ANN401
    known: dict[str, Any] = {
        "device": "",
        "why": "",
        "since": 0.0,
        "active": False,
        "standby": False,
        "retry_at": None,
    }
    return SensorView(modality=modality, name=name, state=state, **known | more)


def test_a_standby_that_dies_does_not_make_the_live_one_lost(bundle_folder: Path) -> None:
    bundle = Bundle.open(bundle_folder)
    cameras = (
        sensor("video", "camera 0", "lost", why=80 * "x", standby=True),
        sensor("video", "front door", active=True),
    )
    rows = _picture(bundle, 80, _view(bundle, sensors=cameras, live=("video",)))
    rows = rows[rows.index("● camera") + 1 :]
    named = [row.split()[:3] for row in rows if row[4:5].strip()]  # a long reason goes on below the name
    assert named[:2] == [["camera", "0", "lost:"], ["●", "front", "door"]]


def _view(bundle: Bundle, prediction: Prediction | None = None, **given: Any) -> View:  # noqa: ANN401
    live = () if prediction is None else prediction.live
    latencies = {} if prediction is None else prediction.latencies
    known: dict[str, Any] = {"time": 1.0, "sensors": (), "live": live, "faults": (), "latencies": latencies}
    return View(prediction=prediction, bundle=bundle, **known | given)


def _picture(
    bundle: Bundle, width: int, view: View | Callable[[], View], items: Iterable[ViewEvent] = ()
) -> list[str]:
    """Return the last lines that a terminal of that width shows."""
    out = io.StringIO()
    rich.reconfigure(file=out, force_terminal=True, width=width, color_system=None)
    with TerminalOutput(bundle) as shown:
        shown.show(Opened(0.0, view if callable(view) else lambda: view))
        for item in items:
            shown.show(item)
    rich.reconfigure()
    return [line.rstrip() for line in ("sensor" + out.getvalue().rpartition("sensor ")[2]).splitlines()]


def test_a_terminal_says_that_the_record_fails_while_it_does(bundle_folder: Path) -> None:
    bundle, failed = Bundle.open(bundle_folder), Event(1.0, "record failed", text="r.sqlite: no room")
    others = [Event(1.5, "lost", "audio", "desk", str(n)) for n in range(60)]
    assert "! record failed: r.sqlite: no room" in _picture(
        bundle, 80, _view(bundle, faults=(failed,)), [failed, *others]
    )
    lines = _picture(bundle, 80, _view(bundle), [failed, *others, Event(2.0, "recorded")])
    assert not any(line.startswith("! record failed") for line in lines)


def _prediction(**latencies: float) -> Prediction:
    ages, chances = dict.fromkeys(("audio", "video"), 0.25), np.full(3, 1 / 3, np.float32)
    live, labels = ("audio", "video"), ("zero", "one", "two")
    return Prediction(1.0, live, ages, chances, chances, latencies, {}, labels=labels)


def test_of_several_sensors_the_active_one_is_marked(bundle_folder: Path) -> None:
    bundle = Bundle.open(bundle_folder)
    sensors = (sensor("audio", "desk", standby=True), sensor("audio", "door", active=True))
    takes_over = Event(0.1, "active", "audio", "door")
    rows = _picture(bundle, 80, _view(bundle, _prediction(audio=0.01), sensors=sensors), [takes_over])
    assert [row.split() for row in rows[1:4]] == [
        ["●", "microphone", "0.2", "s", "10.0", "ms"],
        ["desk", "attached"],
        ["●", "door", "attached"],
    ]
    assert "    0.10 s  ---- microphone door is the active sensor" in rows
    rows = _picture(bundle, 80, _view(bundle, sensors=sensors))
    assert not any("●" in row for row in rows)


def test_a_terminal_that_begins_late_shows_what_one_from_the_start_shows(
    bundle_folder: Path, dataset_folder: Path
) -> None:
    bundle, [example, *_] = Bundle.open(bundle_folder), read_dataset(dataset_folder).examples
    session = VirtualSession(bundle, Policy(unfamiliar="pool"))
    specs = {modality: bundle.specs[modality] for modality in ("audio", "video")}

    def happens() -> Iterator[ViewEvent]:
        for modality in specs:
            session.plug(modality, f"desk {modality}", 0.0)
        for sample in samples(example, specs, 0.0):
            session.give(sample, sample.time)
        end = span(specs) + 0.1
        yield from (view_event(item, 0.0) for item in session.advance(end))
        session.engine.lose("desk video", "no picture came", end)
        yield from (view_event(item, 0.0) for item in session.advance(end))

    shown, late = (
        [row for row in _picture(bundle, 140, session.view, items) if row and row[0].isprintable()]
        for items in (happens(), ())
    )
    assert late == [row for row in shown if "----" not in row]
    assert any("camera desk video" in row and "lost: no" in row for row in late)
    assert any("● microphone desk audio" in row for row in late)


def test_a_real_terminal_says_when_a_sensor_is_tried_again(bundle_folder: Path) -> None:
    sources = "--captions", "-", "--camera", "/dev/there-is-none"
    with in_a_terminal("run", bundle_folder, *sources) as (process, screen):
        _read(screen, lambda text: "retry in 2 s" in text and "retry in 1 s" in text)
    assert process.returncode == 130


def test_a_terminal_that_cannot_redraw_gets_lines(bundle_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "said.txt").write_text("one person\n")
    with in_a_terminal(
        "run", bundle_folder, "--captions", tmp_path / "said.txt", "--windows", term="dumb"
    ) as (_, screen):
        shown = _read(screen, lambda _: False)
    plugged, *rest = shown.splitlines()
    assert plugged.endswith("said.txt attached")
    assert any(line.endswith(" ms") for line in rest), "the file may be over before what it said is encoded"
    assert "\x1b" not in shown


def _read(screen: int, until: Callable[[str], bool]) -> str:
    """Read a pseudo-terminal until what came is enough, or nothing more will."""
    text = b""
    while not until(text.decode(errors="replace")):
        try:
            text += os.read(screen, 1 << 16)
        except OSError:  # the writer has closed it
            break
    return text.decode(errors="replace")


def test_a_terminal_says_what_is_unsure_and_what_each_sensor_says(bundle_folder: Path) -> None:
    labels, live = ("zero", "one", "two"), ("audio", "video")
    chances = np.array([0.125, 0.25, 0.625], np.float32)
    audio, video = Opinion(chances, 0.8, labels, "several"), Opinion(chances, 0.5, labels, None)
    made = Prediction(
        1.0, live, {}, chances, chances, {}, {}, labels=labels, threshold=0.8, doubt="several",
        opinions={"audio": audio, "video": video}, audited=SubsetScore(0.75, 40, 0.6, 0.86),
        levels={"audio": -20.0, "video": 0.45},
    )  # fmt: skip
    bundle = Bundle.open(bundle_folder)
    shown = "\n".join(_picture(bundle, 100, _view(bundle, made)))
    assert "unsure: two or one  microphone + camera: scores 75% on 40 examples (60 to 86%)" in shown
    assert "two? 62%" in shown
    assert "two 62%" in shown
    assert "▆ -20 dB" in shown
    assert "▄ 45 %" in shown


def test_a_terminal_says_that_a_sensor_is_unfamiliar(bundle_folder: Path) -> None:
    labels, chances = ("zero", "one", "two"), np.array([0.125, 0.25, 0.625], np.float32)
    opinion = Opinion(chances, 0.5, labels, None)
    nothing = Opinion(np.full(3, 1 / 3, np.float32), 0.9, labels, "unfamiliar")
    made = Prediction(
        1.0, ("video",), {"video": 0.1}, chances, chances, {}, {}, labels=labels, threshold=0.5, doubt=None,
        opinions={"audio": nothing, "video": opinion}, unfamiliar=("audio",),
    )  # fmt: skip
    bundle = Bundle.open(bundle_folder)
    reported = Event(1.0, "unfamiliar", "audio", text="it is unlike what the encoder was trained on")
    shown = _picture(bundle, 140, _view(bundle, made, faults=(reported,)))
    (row,) = (line for line in shown if line.startswith("○ microphone"))
    assert "hears nothing it knows" in row
    assert "? 33%" in row, "it has no evidence"
    shown = _picture(bundle, 140, _view(bundle, made))
    assert not any("nothing" in line for line in shown if "microphone" in line[:14])


@pytest.mark.parametrize(
    ("threshold", "doubt", "written"),
    [
        (0.5, None, "a"),
        (0.6, "several", "unsure: a or b"),
        (0.8, "several", "unsure: a, b or c"),
        (0.99, "several", "unsure: a or 4 others"),
        (0.6, "disagreement", "unsure: the sensors disagree: a or b"),
        (0.9, "unfamiliar", "unsure: nothing it has learned, most like a"),
    ],
)
def test_an_answer_is_written_in_few_words(threshold: float, doubt: Doubt | None, written: str) -> None:
    chances = np.array([0.5, 0.2, 0.125, 0.1, 0.075], np.float32)
    assert answer(Opinion(chances, threshold, tuple("abcde"), doubt)) == written


@pytest.mark.parametrize(
    ("shares", "written"),
    [
        ((0.52, 0.48), "unsure: nothing it has learned, most like mug"),
        ((0.5, 0.4, 0.06, 0.04), "unsure: mug or book"),
    ],
)
def test_it_says_none_where_a_sensor_is_unfamiliar_and_the_others_leave_all_open(
    shares: tuple[float, ...], written: str
) -> None:
    """A desk was "unsure: mug or book", by a microphone that heard nothing of either."""
    chances, labels = np.array(shares, np.float32), ("mug", "book", "cup", "pen")[: len(shares)]
    prediction = Prediction(
        1.0, ("audio",), {}, chances, chances, {}, {}, labels=labels, threshold=0.9, unfamiliar=("video",)
    )
    assert answer(prediction) == written
    assert answer_as_json(prediction)["none"] == ("nothing" in written)
    assert answer(replace(prediction, unfamiliar=())) == "unsure: mug or book"


def test_lines_tell_what_begins_and_states_that_end_and_windows_on_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    word = Event(13.0, "began", label="three", began=13.0, confidence=0.999, sensors=("audio", "video"))
    state = replace(word, label="walking", began=20.0, ended=47.8)
    predicted = Predicted(13.0, _prediction(audio=0.01, video=0.01), None)
    for windows in (False, True):
        output = LineOutput(windows=windows)
        for item in (predicted, word, replace(word, kind="ended", ended=13.5), replace(state, kind="ended")):
            output.show(view_event(item, 1.0) if isinstance(item, Event) else item)
        lines = capsys.readouterr().out.splitlines()
        assert lines[windows:] == [
            "   12.00 s  three  99 %  microphone + camera",
            "   46.80 s  walking ended after 27.8 s",
        ]


def test_lines_of_devices_begin_with_the_time_of_day(capsys: pytest.CaptureFixture[str]) -> None:
    noon = datetime.strptime("12:03:04", "%H:%M:%S").replace(year=2026).timestamp()  # noqa: DTZ007 - local
    clock = SimpleNamespace(wall=lambda at: noon + at - 113.0)  # the session began at 100 s
    session = SimpleNamespace(clock=clock)
    word = Event(113.2, "began", label="three", began=113.0, confidence=0.97, sensors=("audio", "video"))
    lost = Event(120.0, "lost", "video", "video 0", text="no picture came")
    for devices in (True, False):
        output = LineOutput(windows=False, devices=devices)
        for item in (Opened(100.0, lambda: None, session), view_event(word, 100.0), view_event(lost, 100.0)):  # type: ignore[arg-type, return-value]
            output.show(item)
    assert [line[:12] for line in capsys.readouterr().out.splitlines()] == [
        "12:03:04  th",
        "12:03:11  --",
        "   13.00 s  ",
        "   20.00 s  ",
    ]


def test_a_moment_is_an_event_with_more_fields() -> None:
    event = Event(2.0, "began", text="three, 97 %, audio", label="three", began=1.75, confidence=0.97)
    assert event_as_json(event) == {
        "time": 2.0, "kind": "began", "modality": None, "sensor": None, "text": "three, 97 %, audio",
        "label": "three", "began": 1.75, "ended": None, "confidence": 0.97, "sensors": [],
    }  # fmt: skip
    assert event_as_json(Event(2.0, "record failed")).keys() == {"time", "kind", "modality", "sensor", "text"}
