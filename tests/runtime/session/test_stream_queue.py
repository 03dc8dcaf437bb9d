"""The queue between a session and its consumer."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime.events import Event, LiveSetEvent
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.stream_queue import EVENTS, PREDICTIONS, StreamQueue


def prediction(time: float) -> Prediction:
    one = np.ones(1, np.float32)
    return Prediction(time, ("audio",), {}, one, one, {}, {})


def taken(queue: StreamQueue) -> list[Prediction | Event]:
    items = []
    while queue:
        items.append(queue.get())
    return items


def test_a_slow_consumer_gets_the_newest_predictions_and_every_event() -> None:
    queue = StreamQueue()
    for i in range(100):
        queue.put(prediction(float(i)))
        queue.put(LiveSetEvent(i + 0.5, ()))
    assert (queue.missed, queue.missed_events) == (100 - PREDICTIONS, 0)
    items = taken(queue)
    assert [i.time for i in items if isinstance(i, Prediction)] == list(range(100 - PREDICTIONS, 100))
    assert len(items) == PREDICTIONS + 100
    assert [item.time for item in items] == sorted(item.time for item in items)


def test_events_are_bounded_and_counted_too() -> None:
    queue = StreamQueue()
    for i in range(EVENTS + 3):
        queue.put(LiveSetEvent(float(i), ()))
    assert (queue.missed, queue.missed_events) == (0, 3)
    assert [item.time for item in taken(queue)] == list(range(3, EVENTS + 3))


@given(st.lists(st.sampled_from(["prediction", "event", "take"])))
def test_whatever_is_put_and_taken_comes_in_order_and_is_taken_or_counted(acts: list[str]) -> None:
    queue, got = StreamQueue(), []
    for time, act in enumerate(acts):
        if act == "prediction":
            queue.put(prediction(float(time)))
        elif act == "event":
            queue.put(LiveSetEvent(float(time), ()))
        elif queue:
            got.append(queue.get())
    got += taken(queue)
    assert [item.time for item in got] == sorted(item.time for item in got)
    put = len(acts) - acts.count("take")
    assert len(got) + queue.missed + queue.missed_events == put
