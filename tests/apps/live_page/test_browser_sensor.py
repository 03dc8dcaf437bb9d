"""A browser as a sensor: its clock, its samples, and what happens to the session when it leaves."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from threading import Event, Thread
from time import monotonic

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_apps.web.browser_sensor import BrowserSensor, ClockOffset
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.errors import SampleError
from sensemble_sensors.spec import Channel, InputSpec

from tests.waiting import PATIENCE

from .serving import Served, Viewer, noise, packed

pytestmark = pytest.mark.real

SOUND = InputSpec("audio", "float32", (1, 1600), 16000, 0.1, 0.05, 1.0)
PICTURE = InputSpec("video", "uint8", (1, 2, 4, 6, 3), 10, 0.2, 0.1, 1.0)
MOTION = InputSpec(
    "imu", "float32", (1, 50, 3), 50, 1.0, 0.5, 2.0, "series", tuple(map(Channel, ("ax", "ay", "az")))
)
TEXT = InputSpec("text", "int64", (1, 8), 0, 0, 0, 2.0)
_DELAYS = st.floats(0.0, 1.0)


@given(
    st.floats(-1e6, 1e6), st.lists(st.tuples(st.floats(0, 1e4), _DELAYS, _DELAYS), min_size=1, max_size=40)
)
def test_the_offset_is_wrong_by_half_the_quickest_round_trip_at_most(
    offset: float, rounds: list[tuple[float, float, float]]
) -> None:
    clock = ClockOffset()
    for sent, there, back in rounds:
        clock.add(sent, sent + there + offset, sent + there + back)
    assert clock.value is not None
    assert clock.error is not None
    assert clock.error <= max(there + back for _, there, back in rounds[-16:]) / 2 + 1e-6
    assert abs(clock.value - offset) <= clock.error + 1e-6


def opened(spec: InputSpec, offset: float = 0.0) -> BrowserSensor:
    clock = ClockOffset()
    clock.add(0.0, offset, 0.0)
    sensor = BrowserSensor(spec, "phone", clock)
    sensor.open(spec)
    return sensor


def test_a_sample_has_its_form_its_time_and_the_gap_before_it() -> None:
    offset = monotonic() - 100
    sensor = opened(SOUND, offset)
    wave = np.linspace(-1, 1, 800).astype(np.float32)
    for number in 0, 1, 4:
        sensor.put(number, 90.0 + number, memoryview(wave.tobytes()))
    samples = [sensor.read(0) for _ in range(3)]
    assert [(sample.time, sample.cut, sample.lost) for sample in samples if sample] == [
        (pytest.approx(offset + 90), True, 0),
        (pytest.approx(offset + 91), False, 0),
        (pytest.approx(offset + 94), True, 2),
    ]
    assert samples[0] is not None
    np.testing.assert_array_equal(samples[0].data, wave)
    assert sensor.read(0) is None


def test_pictures_and_captions_have_theirs() -> None:
    pixels = np.arange(72, dtype=np.uint8)
    camera, text = opened(PICTURE), opened(TEXT)
    camera.put(0, 0.0, memoryview(pixels.tobytes()))
    camera.put(2, 0.1, memoryview(pixels.tobytes()))
    text.put(0, 0.0, memoryview("f\xfcnf".encode()))
    first, second, caption = camera.read(0), camera.read(0), text.read(0)
    assert first is not None
    assert second is not None
    assert caption is not None
    np.testing.assert_array_equal(first.data, pixels.reshape(4, 6, 3))
    assert (second.cut, second.lost, caption.data) == (False, 1, "f\xfcnf")


@pytest.mark.parametrize(
    ("spec", "data"),
    [
        (SOUND, b"123"), (SOUND, bytes(4 * 1601)), (PICTURE, bytes(71)), (PICTURE, bytes(73)),
        (TEXT, bytes(1 << 17)),
    ],
)  # fmt: skip
def test_what_is_not_of_the_specs_form_is_refused(spec: InputSpec, data: bytes) -> None:
    with pytest.raises(SampleError):
        opened(spec).put(0, 0.0, memoryview(data))


def test_what_a_page_fills_in_after_it_stood_still_is_a_sample() -> None:
    """It was refused, and with its motion the page lost its camera and its microphone."""
    sensor = opened(MOTION)
    rows = np.arange(0.5 * MOTION.rate * 3, dtype=np.float32)  # `GAP` of motion.js
    sensor.put(0, 0.0, memoryview(rows.tobytes()))
    sample = sensor.read(0)
    assert sample is not None
    np.testing.assert_array_equal(sample.data, rows.reshape(-1, 3))


def test_a_time_ahead_of_the_clock_counts_as_now_and_none_before_an_exchange() -> None:
    sensor = opened(TEXT, monotonic() + 50)
    sensor.put(0, 0.0, memoryview(b"one"))
    sample = sensor.read(0)
    assert sample is not None
    assert sample.time <= monotonic()
    early = BrowserSensor(TEXT, "phone", ClockOffset())
    early.open(TEXT)
    early.put(0, 0.0, memoryview(b"one"))
    assert early.read(0) is None


@contextmanager
def feeding(viewer: Viewer, bundle: Bundle, sensor: int, modality: str, caption: str = "") -> Iterator[None]:
    """Let a browser's sensor give noise, or a caption, meanwhile."""
    over = Event()

    def feed() -> None:
        for number in count():
            viewer.sample(sensor, number, packed(bundle, modality, caption or noise(bundle, modality)))
            viewer.skip()
            if over.wait(0.1):
                return

    thread = Thread(target=feed)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_browsers_sensor_is_live_and_leaves_with_its_page(empty: Served, bundle: Bundle) -> None:
    with empty.viewer() as watcher:
        with empty.viewer() as giver:
            sensor, name = giver.give("audio")
            with feeding(giver, bundle, sensor, "audio"):
                state = watcher.next("state", lambda state: state["live"] == ["audio"])
            assert [sensor["name"] for sensor in state["sensors"]] == [name]
            assert 0 <= state["answer"]["age"] < PATIENCE
            watcher.send(type="unplug", sensor=name)
            watcher.next("state", lambda state: state["live"] == [])
            watcher.send(type="plug", sensor=name)
            with feeding(giver, bundle, sensor, "audio"):
                watcher.next("state", lambda state: state["live"] == ["audio"])
        gone = watcher.next("state", lambda state: state["live"] == [])
        assert watcher.next("state", lambda state: not state["sensors"])
    assert gone["answer"] is None


def test_a_browser_that_stands_still_is_left_out_and_leaves(empty: Served, bundle: Bundle) -> None:
    with empty.viewer() as watcher, empty.viewer() as giver:
        sensor, _ = giver.give("audio")
        with feeding(giver, bundle, sensor, "audio"):
            watcher.next("state", lambda state: state["live"] == ["audio"])
        giver.socket.protocol.send_frame = lambda _: None  # type: ignore[method-assign] # it answers no ping
        watcher.next("state", lambda state: state["live"] == [])
        watcher.next("state", lambda state: not state["sensors"])
