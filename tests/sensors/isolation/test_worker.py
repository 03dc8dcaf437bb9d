"""Samples cross the pipe between two processes bit for bit, and errors keep their traces."""

import json
import os
import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from sensemble_sensors.isolation import worker
from sensemble_sensors.sample_queue import SampleQueue
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

arrays: Callable[..., st.SearchStrategy[object]] = nps.arrays
DATA = st.one_of(
    st.text(),
    arrays(np.uint8, nps.array_shapes(min_dims=3, max_dims=3, min_side=0)),
    arrays(np.float32, nps.array_shapes(min_dims=1, max_dims=2, min_side=0)),
)


@given(DATA, st.floats(allow_nan=False), st.booleans(), st.integers(0, 1 << 40))
def test_a_sample_crosses_bit_for_bit(data: object, time: float, cut: bool, lost: int) -> None:
    sample = Sample("any", data, time, cut, lost)  # type: ignore[arg-type]
    fields, packed = worker._packed(sample)
    found = worker.unpacked("any", json.loads(json.dumps(fields)), packed)
    assert (found.time, found.cut, found.lost) == (time, cut, lost)
    np.testing.assert_array_equal(found.data, sample.data)
    assert getattr(found.data, "dtype", None) == getattr(data, "dtype", None)
    assert found.frozen() is found, "nothing copies it again"


def test_a_slow_reader_delays_no_sensor_and_the_lost_ones_are_counted() -> None:
    reading, writing = os.pipe()
    sender = worker._Sender(writing)
    sender.queue = SampleQueue(2)
    sender.start()
    picture = np.zeros((300, 300, 3), np.uint8)  # more than the pipe holds
    for i in range(100):
        sender.queue.put(Sample("video", picture, float(i)))
    sender.queue.end(worker.SensorEndedError("over"))
    received = bytearray()
    drained = threading.Thread(
        target=lambda: [received.extend(x) for x in iter(lambda: os.read(reading, 1 << 16), b"")]
    )
    drained.start()
    sender.join(60)
    os.close(writing)
    drained.join(60)
    os.close(reading)
    found = []
    while received:
        first, second = worker.SIZES.unpack_from(received)
        found.append(json.loads(received[8 : 8 + first]))
        del received[: 8 + first + second]
    *samples, over = [one for one in found if one["kind"] != "alive"]
    assert over["kind"] == "SensorEndedError"
    assert [one["time"] for one in samples[-2:]] == [98.0, 99.0]
    assert len(samples) + sum(one["lost"] for one in samples) == 100
    assert len(samples) <= 4


@pytest.mark.parametrize("data", [np.zeros(4, np.float64), [1, 2]])
def test_what_no_sample_can_be_is_refused(data: object) -> None:
    spec = InputSpec("audio", "float32", (1, 1600), 16000, 0.1, 0.1, 1.0)
    with pytest.raises(ValueError, match=r"gave .*, no sound"):
        worker._check(Sample("audio", data, 0.0), spec)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sample of text"):
        worker._check(Sample("text", "hello", 0.0), spec)
