"""Tests of the consumers of a session: readers of the stream, subscribers and records, and their failures."""

import threading
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import RecordError
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.reader import read_events, read_predictions, read_runs
from sensemble_runtime.record.writer import RecordWriter
from sensemble_runtime.session import sensor_host
from sensemble_runtime.session.stream_queue import EVENTS, PREDICTIONS, StreamQueue
from sensemble_sensors.supervision.events import Event

from tests.runtime.puppets import Log, Puppet, Session, held
from tests.runtime.record.test_background import prediction, unwritable
from tests.waiting import PATIENCE, wait_until

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("no_thread_is_left")]


def of_record(log: Log) -> list[Event]:
    return [event for event in log.events if event.kind.startswith("record")]


def test_a_consumer_cannot_alter_the_record(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, add = threading.Event(), RecordWriter.add_items
    monkeypatch.setattr(RecordWriter, "add_items", lambda *items: (go_on.wait(PATIENCE), add(*items)))
    path, captions = tmp_path / "record.sqlite", Puppet("text")
    with Session(bundle, record=path) as running:
        running.attach(captions)
        captions.say()
        made = next(iter(running))
        before = made.probabilities.tolist()
        with pytest.raises(ValueError, match="read-only"):
            made.probabilities.sort()
        for field in (made.ages, made.latencies, made.dropped, made.lost):
            field["text"] = 7
        go_on.set()
    (run,) = read_runs(path)
    (kept,) = read_predictions(path, run.id)
    assert kept.probabilities.tolist() == before
    assert 7 not in {*kept.ages.values(), *kept.latencies.values(), *kept.dropped.values()}


def test_a_record_that_cannot_be_written_ends_nothing_and_is_reported(
    bundle: Bundle, log: Log, tmp_path: Path
) -> None:
    path, captions = tmp_path / "record.sqlite", Puppet("text")
    running = Session(bundle, record=path)
    running.subscribe(log)
    with unwritable(path):
        running.attach(captions)
        predictions = iter(running)
        for caption in ("one", "two"):
            captions.say(caption)
            assert next(predictions).live == ("text",)
        wait_until(lambda: of_record(log))
        (event,) = of_record(log)
        assert "record.sqlite" in event.text
        with pytest.raises(RecordError, match=r"record\.sqlite.* lacks \d+ "):
            running.close()
        running.close()


def test_a_slow_subscriber_delays_no_record_and_gets_the_newest(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensor_host, "WAITING", 4)
    go_on, heard = threading.Event(), []

    def listen(event: Event) -> None:
        assert go_on.wait(PATIENCE)
        heard.append(event)

    path, captions = tmp_path / "record.sqlite", Puppet("text")
    with Session(bundle, record=path) as running:
        subscriber = running.subscribe(listen)
        for _ in range(10):
            running.detach(running.attach(captions))
        (run,) = read_runs(path)
        wait_until(lambda: [e.kind for e in read_events(path, run.id)].count("detached") == 10)
        go_on.set()
    assert subscriber.dropped > 0
    assert heard[-1].kind == "detached"


def test_a_subscriber_may_close_the_session(bundle: Bundle) -> None:
    def close(event: Event) -> None:
        if isinstance(event, Event) and event.kind == "live":
            running.close()

    captions = Puppet("text")
    running = Session(bundle)
    running.subscribe(close)
    running.attach(captions)
    captions.say()
    assert len(list(running)) <= 1
    running.close()


def test_what_is_being_encoded_when_it_is_closed_is_neither_seen_nor_recorded(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, busy = held(bundle, monkeypatch, "text")
    path, captions = tmp_path / "record.sqlite", Puppet("text")
    running = Session(bundle, record=path)
    running.attach(captions)
    captions.say()
    assert busy.wait(PATIENCE)
    closer = threading.Thread(target=running.close)
    closer.start()
    assert list(running) == []
    go.set()
    closer.join()
    (run,) = read_runs(path)
    assert read_predictions(path, run.id) == []


def taken(queue: StreamQueue) -> list[Prediction | Event]:
    items = []
    while queue:
        items.append(queue.get())
    return items


PUTS = st.tuples(st.sampled_from([Prediction, Event, None]), st.sampled_from([1, 20, 1100]))


@given(st.lists(PUTS))
def test_what_is_put_comes_in_order_the_newest_at_least_and_the_rest_is_counted(
    puts: list[tuple[type | None, int]],
) -> None:
    queue, got, clock = StreamQueue(), [], count()
    put: dict[type, list[float]] = {Prediction: [], Event: []}
    for kind, times in puts:
        for _ in range(times):
            if kind is None:
                got += [queue.get()] if queue else []
            else:
                put[kind].append(next(clock))
                queue.put(prediction(put[kind][-1]) if kind is Prediction else Event(put[kind][-1], "live"))
    waiting = taken(queue)
    got += waiting
    assert [item.time for item in got] == sorted(item.time for item in got)
    missed = {Prediction: queue.missed, Event: queue.missed_events}
    for kind, most in ((Prediction, PREDICTIONS), (Event, EVENTS)):
        left = [item.time for item in waiting if isinstance(item, kind)]
        assert len(left) <= most
        newest = put[kind][-len(left) :] if left else []
        assert left == newest
        assert missed[kind] == len(put[kind]) - sum(isinstance(item, kind) for item in got)
        assert missed[kind] <= max(0, len(put[kind]) - most)
