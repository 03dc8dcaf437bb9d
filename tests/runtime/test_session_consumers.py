"""What those get who read predictions, listen to events and keep a record, and what breaks."""

import sqlite3
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime.bundle import Bundle
from sensemble_runtime.errors import EncoderError, RecordError, SessionError
from sensemble_runtime.events import Event, LiveSetEvent
from sensemble_runtime.history import read_predictions, read_runs
from sensemble_runtime.session import QUEUE

from .puppets import Puppet, Session, wait_for

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def test_readers_never_wait_for_the_encoder(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    go, busy, real = threading.Event(), threading.Event(), bundle.encode

    def slow(modality: str, window: np.ndarray) -> np.ndarray:
        busy.set()
        assert go.wait(20)
        return real(modality, window)

    monkeypatch.setattr(bundle, "encode", slow)
    captions = Puppet("text")
    with Session(bundle) as running:
        running.attach(captions)
        captions.say()
        assert busy.wait(20)
        for _ in range(10):
            captions.say()
        running.detach(running.attach(Puppet("video")))  # nor does who attaches and detaches
        assert running.live == ()
        wait_for(lambda: running._composition._windows["text"]._untaken == 10)
        go.set()
        predictions = iter(running)
        assert next(predictions).dropped == {"text": 0}
        assert next(predictions).dropped == {"text": 9}


def test_a_slow_consumer_gets_the_newest_and_is_told_what_it_missed(bundle: Bundle) -> None:
    captions = Puppet("text")
    with Session(bundle) as running:
        running.attach(captions)
        while running.missed < 3:
            captions.say()
            time.sleep(0.001)
    found = list(running)
    assert len(found) == QUEUE
    assert [p.time for p in found] == sorted(p.time for p in found)


def broken(*_: object) -> np.ndarray:
    raise EncoderError("the delegate failed")


def test_what_breaks_the_encoder_surfaces_to_the_consumer(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "encode", broken)
    captions = Puppet("text")
    with Session(bundle) as running:
        running.attach(captions)
        captions.say()
        with pytest.raises(EncoderError, match="the delegate failed"):
            list(running)
        with pytest.raises(SessionError, match="closed"):
            running.attach(Puppet("audio"))


def test_what_breaks_the_encoder_surfaces_on_closing_if_nobody_listened(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "encode", broken)
    captions = Puppet("text")
    running = Session(bundle)
    running.attach(captions)
    captions.say()
    wait_for(lambda: not captions.holders)
    with pytest.raises(EncoderError):
        running.close()
    running.close()


def test_every_prediction_is_recorded(bundle: Bundle, tmp_path: Path) -> None:
    path, captions = tmp_path / "record.sqlite", Puppet("text")
    with Session(bundle, record=path) as running:
        running.attach(captions)
        predictions = iter(running)
        made = []
        for caption in ("one", "two", "zero"):
            captions.say(caption)
            made.append(next(predictions))
    (run,) = read_runs(path)
    assert run.ended is not None
    recorded = read_predictions(path, run.id)
    assert [(p.time, p.live, p.ages, p.latencies) for p in recorded] == [
        (p.time, p.live, p.ages, p.latencies) for p in made
    ]
    assert [p.probabilities.tolist() for p in recorded] == [p.probabilities.tolist() for p in made]


def test_a_record_that_cannot_be_written_surfaces(bundle: Bundle, tmp_path: Path) -> None:
    path, captions = tmp_path / "record.sqlite", Puppet("text")
    with Session(bundle, record=path) as running:
        with sqlite3.connect(path) as other:
            other.execute("DROP TABLE predictions")
        other.close()
        running.attach(captions)
        captions.say()
        with pytest.raises(RecordError, match=r"record\.sqlite"):
            list(running)


def test_an_events_listener_may_close_the_session_and_its_errors_surface(bundle: Bundle) -> None:
    def close(event: Event) -> None:
        if isinstance(event, LiveSetEvent):
            running.close()

    captions = Puppet("text")
    running = Session(bundle, on_event=close)
    running.attach(captions)
    captions.say()
    assert len(list(running)) <= 1
    running.close()

    def fail(_: Event) -> None:
        raise OSError("the terminal is gone")

    with Session(bundle, on_event=fail) as running:
        running.attach(captions)
        with pytest.raises(OSError, match="the terminal is gone"):
            list(running)


def test_what_is_being_encoded_when_it_is_closed_is_neither_seen_nor_recorded(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, busy, real = threading.Event(), threading.Event(), bundle.encode

    def slow(modality: str, window: np.ndarray) -> np.ndarray:
        busy.set()
        assert go.wait(20)
        return real(modality, window)

    monkeypatch.setattr(bundle, "encode", slow)
    path, captions = tmp_path / "record.sqlite", Puppet("text")
    running = Session(bundle, record=path)
    running.attach(captions)
    captions.say()
    assert busy.wait(20)
    closer = threading.Thread(target=running.close)
    closer.start()
    wait_for(lambda: running._closed)
    assert list(running) == []
    go.set()
    closer.join()
    (run,) = read_runs(path)
    assert read_predictions(path, run.id) == []
