"""The thread that keeps a session's record: disks that are full, pulled out, or do not answer."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import RecordError
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record import background
from sensemble_runtime.record.background import BackgroundWriter
from sensemble_runtime.record.reader import read_events, read_predictions, read_runs
from sensemble_runtime.record.retention import Retention
from sensemble_runtime.record.writer import RecordWriter
from sensemble_sensors.supervision.events import Event

from tests.waiting import PATIENCE, wait_until

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("no_thread_is_left", "soon")]


def prediction(time: float) -> Prediction:
    one = np.ones(3, np.float32) / 3
    return Prediction(time, ("audio",), {"audio": 0.1}, one, one, {}, {}, labels=("zero", "one", "two"))


class Writing:
    """A writer, whose reports are recorded too, as in a session."""

    def __init__(self, bundle: Bundle, path: Path) -> None:
        self.bundle, self.path = bundle, path
        self.reports: list[Event] = []
        self.errors: list[BaseException] = []
        self.writer = BackgroundWriter(
            bundle, path, Retention(), report=self.report, failed=self.errors.append
        )

    def report(self, event: Event) -> None:
        self.reports.append(event)
        self.writer.queue.put(event)

    def put(self, time: float) -> None:
        self.writer.queue.put(prediction(time))

    def recorded(self) -> list[float]:
        """Return the times of the last run's predictions."""
        return [made.time for made in read_predictions(self.path, read_runs(self.path)[-1].id)]


@pytest.fixture
def writing(bundle: Bundle, tmp_path: Path) -> Writing:
    return Writing(bundle, tmp_path / "record.sqlite")


@contextmanager
def unwritable(path: Path) -> Iterator[None]:
    """While it lasts, no prediction can be added to the record, as on a full disk."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("ALTER TABLE predictions RENAME TO hidden")
        yield
        other.execute("ALTER TABLE hidden RENAME TO predictions")


def test_what_waited_for_a_disk_is_recorded_once_it_can_be(writing: Writing) -> None:
    with unwritable(writing.path):
        writing.put(1.0)
        wait_until(lambda: writing.reports)
    wait_until(lambda: len(writing.reports) == 2)
    assert writing.writer.finish(complete=True) is None
    assert [event.kind for event in writing.reports] == ["record failed", "recorded"]
    (run,) = read_runs(writing.path)
    assert run.ended is not None
    assert writing.recorded() == [1.0]
    assert [event.kind for event in read_events(writing.path, run.id)] == ["record failed", "recorded"]


def test_what_waited_is_tried_once_more_at_the_end(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background.Backoff, "next", lambda _: 1000.0)
    with unwritable(writing.path):
        writing.put(1.0)
        wait_until(lambda: writing.reports)
    assert writing.writer.finish(complete=True) is None
    assert writing.recorded() == [1.0]


def test_what_can_never_be_written_is_counted(writing: Writing) -> None:
    with unwritable(writing.path):
        writing.put(1.0)
        wait_until(lambda: writing.reports)
        error = writing.writer.finish(complete=True)
    assert isinstance(error, RecordError)
    assert "lacks 2 predictions and events" in str(error)
    assert read_runs(writing.path)[0].ended is None


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
def test_a_record_that_is_removed_is_reported_and_another_is_begun(
    writing: Writing, *, replaced: bool
) -> None:
    writing.put(1.0)
    wait_until(writing.recorded)
    for file in writing.path.parent.glob("record.sqlite*"):
        file.unlink()
    if replaced:  # by another card, on which there is a run of this number
        with RecordWriter(writing.path) as records:
            records.begin("session", writing.bundle)
    writing.put(2.0)
    wait_until(lambda: len(writing.reports) == 2)
    assert writing.writer.finish(complete=True) is None
    failed, again = writing.reports
    assert "record.sqlite: was removed or replaced" in failed.text
    assert again.kind == "recorded"
    assert len(read_runs(writing.path)) == 1 + replaced
    assert writing.recorded() == [2.0]


def test_while_a_disk_is_stuck_the_oldest_give_way_and_are_counted(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "WAITING", 4)
    busy, go, add = threading.Event(), threading.Event(), RecordWriter.add_items
    monkeypatch.setattr(
        RecordWriter, "add_items", lambda *items: (busy.set(), go.wait(PATIENCE), add(*items))
    )
    writing = Writing(bundle, tmp_path / "record.sqlite")
    writing.put(0.0)
    assert busy.wait(PATIENCE)
    for time in range(1, 20):
        writing.put(float(time))
    go.set()
    wait_until(lambda: len(writing.reports) == 2)  # the first report takes a place, too
    assert writing.writer.finish(complete=True) is None
    assert writing.recorded() == [0.0, 17.0, 18.0, 19.0]
    lost = [event.text for event in read_events(writing.path, 1) if event.kind == "recorded"]
    assert lost[-1] == "16 predictions and events are lost", "the record says what it lacks"


def test_a_disk_that_does_not_answer_is_waited_for_once(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, go, add = threading.Event(), threading.Event(), RecordWriter.add_items
    monkeypatch.setattr(
        RecordWriter, "add_items", lambda *items: (busy.set(), go.wait(PATIENCE), add(*items))
    )
    writing.put(1.0)
    assert busy.wait(PATIENCE)
    for seconds in (0.2, 1000.0):
        monkeypatch.setattr(background, "LAST", seconds)
        error = writing.writer.finish(complete=True)
        assert "record.sqlite: its disk does not answer" in str(error)
    go.set()
    assert writing.writer.queue.join(PATIENCE)
