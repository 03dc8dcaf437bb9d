import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_sensors.errors import SampleError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.kinds.waveform import MAX_LEVEL
from sensemble_sensors.kinds.windows import Window, WindowRing
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import Channel, InputSpec

RATE = 100
AUDIO = InputSpec("audio", "float32", (1, 50), rate=RATE, window=0.5, hop=0.2, ttl=1)
VIDEO = InputSpec("video", "uint8", (1, 4, 2, 2, 3), rate=10, window=0.4, hop=0.2, ttl=1)
TEXT = InputSpec("text", "int64", (1, 6), rate=0, window=0, hop=0, ttl=1)
IMU = InputSpec("imu", "float32", (1, 50, 1), RATE, 0.5, 0.2, 1, "series", (Channel("ax"),))


def frame(value: int) -> np.ndarray:
    return np.full((2, 2, 3), value, np.uint8)


def seen(window: Window | None) -> list[int]:
    assert window is not None
    assert isinstance(window.data, np.ndarray)
    assert window.data.dtype == np.uint8
    assert window.data.shape == VIDEO.shape
    assert (window.data == window.data[..., :1, :1, :1]).all()
    return window.data[0, :, 0, 0, 0].tolist()


def speak(ring: WindowRing, signal: np.ndarray, sizes: list[int]) -> list[Window]:
    """Push `signal` in chunks of `sizes` (the last takes the rest), taking what is ready after each."""
    found, at = [], 0
    for size in [*sizes, len(signal)]:
        chunk = signal[at : at + size]
        at += len(chunk)
        ring.push(Sample("audio", chunk, at / RATE))
        window = ring.pop()
        if window is not None:
            found.append(window)
    return found


@given(st.integers(0, 400), st.lists(st.integers(0, 20), max_size=60), st.integers(1, 60), st.integers(1, 30))
def test_any_chunking_of_a_signal_gives_the_same_windows(
    n: int, sizes: list[int], size: int, hop: int
) -> None:
    spec = InputSpec("audio", "float32", (1, size), RATE, size / RATE, hop / RATE, ttl=1)
    signal = np.arange(n, dtype=np.float32)
    ring = kind_of(spec).windows(spec)
    found = speak(ring, signal, sizes)
    ends = range(size, n + 1, hop)
    by_end = {end: signal[end - size : end] for end in ends}
    for window in found:
        end = round(window.time * RATE)
        np.testing.assert_array_equal(window.data, by_end[end][None])
    assert [w.time for w in found] == sorted(w.time for w in found)
    assert len(found) + ring.dropped == len(ends)
    if ends:
        assert round(found[-1].time * RATE) == ends[-1], "the newest wins"


def test_the_audio_ring_keeps_its_own_copy() -> None:
    ring, chunk = kind_of(AUDIO).windows(AUDIO), np.ones(50, np.float32)
    ring.push(Sample("audio", chunk, 0.5))
    chunk[:] = 0
    window = ring.pop()
    assert window is not None
    ring.push(Sample("audio", np.zeros(70, np.float32), 1.2))
    assert np.asarray(window.data).all()


@pytest.mark.parametrize("spec", [AUDIO, VIDEO], ids=["audio", "video"])
def test_no_window_spans_a_cut(spec: InputSpec) -> None:
    ring = kind_of(spec).windows(spec)

    def record(value: int, begin: float, steps: int, *, cut: bool) -> None:
        for i in range(1, steps + 1):
            audio = np.full(10, value, np.float32)
            data = audio if spec is AUDIO else frame(value)
            ring.push(Sample(spec.modality, data, begin + i / 10, cut=cut and i == 1))

    record(1, 0.0, 3, cut=True)
    assert ring.pop() is None
    record(2, 0.3, 5, cut=True)
    record(3, 0.8, 2, cut=True)
    complete = ring.pop()
    assert complete is not None, "what was complete before the cut was really seen"
    assert np.unique(np.asarray(complete.data)).tolist() == [2]
    assert ring.pop() is None
    record(3, 1.0, 3, cut=False)
    following = ring.pop()
    assert following is not None
    assert np.unique(np.asarray(following.data)).tolist() == [3]
    assert following.time == pytest.approx(1.3)


@pytest.mark.parametrize("later", [0.5, 100.0], ids=["back in time", "after a long gap"])
@pytest.mark.parametrize("spec", [AUDIO, VIDEO], ids=["audio", "video"])
def test_no_window_spans_a_break_in_time(spec: InputSpec, later: float) -> None:
    ring = kind_of(spec).windows(spec)
    for i in range(3):
        data = np.zeros(10, np.float32) if spec is AUDIO else frame(0)
        ring.push(Sample(spec.modality, data, 1 + i / 10))
    for i in range(3):
        data = np.ones(10, np.float32) if spec is AUDIO else frame(1)
        ring.push(Sample(spec.modality, data, later + i / 10))
    assert not ring.ready


@given(st.lists(st.floats(-0.02, 0.02), min_size=40, max_size=40))
def test_jitter_changes_neither_the_frames_nor_the_hops(jitter: list[float]) -> None:
    ring = kind_of(VIDEO).windows(VIDEO)
    found = []
    for i, by in enumerate(jitter):
        ring.push(Sample("video", frame(i), i / 10 + by))
        if ring.ready:
            found.append(seen(ring.pop()))
    assert found == [[i - 3, i - 2, i - 1, i] for i in range(3, 40, 2)]
    assert ring.dropped == 0


@given(st.integers(1, 240), st.floats(0, 1))
def test_whatever_the_cameras_rate_frames_are_the_nearest(fps: int, phase: float) -> None:
    ring = kind_of(VIDEO).windows(VIDEO)
    times = [phase + i / fps for i in range(2 * fps)]
    taken = 0
    for i, time in enumerate(times):
        ring.push(Sample("video", frame(i % 256), time))
        window = ring.pop()
        if window is None:
            continue
        taken += 1
        assert window.time == time
        shown = np.array([times[i - (i - v) % 256] for v in seen(window)])
        wanted = time - np.array([0.3, 0.2, 0.1, 0])
        # The ring thins a fast camera to four frames a step; a slow one gives no nearer frame than it has.
        assert (np.abs(shown - wanted) <= max(0.05 + 1 / fps, 0.5 / fps) + 1e-9).all()
        assert shown[-1] == time
    if fps >= 5:
        assert taken >= min(8, fps // 2 - 1)


def test_an_image_is_a_window_of_one_frame() -> None:
    spec = InputSpec("video", "uint8", (1, 1, 2, 2, 3), rate=1, window=1, hop=0.5, ttl=1)
    ring = kind_of(spec).windows(spec)
    found = []
    for i in range(8):
        ring.push(Sample("video", frame(i), i / 4))
        window = ring.pop()
        if window is not None:
            found.append((window.time, int(np.asarray(window.data)[0, 0, 0, 0, 0])))
    assert found == [(0.0, 0), (0.5, 2), (1.0, 4), (1.5, 6)]


def test_each_caption_is_a_window_and_of_many_the_newest_wait() -> None:
    ring = kind_of(TEXT).windows(TEXT)
    ring.push(Sample("text", "one", 1.0))
    ring.push(Sample("text", "two", 2.0, cut=True, lost=2))
    assert ring.end == 1.0
    assert [ring.pop(), ring.pop()] == [Window("one", 1.0), Window("two", 2.0)]
    assert not ring.ready
    assert ring.pop() is None
    for i in range(18):
        ring.push(Sample("text", str(i), 3.0 + i))
    assert ring.pop() == Window("2", 5.0)
    assert (ring.dropped, ring.lost) == (2, 2)


@pytest.mark.parametrize(
    ("spec", "data", "message"),
    [
        (AUDIO, np.zeros(5), r"float64 \[5\], not float32"),
        (AUDIO, np.zeros((1, 5), np.float32), r"float32 \[1, 5\]"),
        (AUDIO, np.array([0, np.nan], np.float32), "NaN"),
        (AUDIO, np.array([0, -2e6], np.float32), "more than 1e\\+06 times full scale"),
        (AUDIO, "hello", "str"),
        (VIDEO, np.zeros((3, 2, 3), np.uint8), r"uint8 \[3, 2, 3\], not uint8 \[2, 2, 3\]"),
        (VIDEO, np.zeros((2, 2, 3), np.float32), "float32"),
        (TEXT, np.zeros(3, np.float32), "not a caption"),
        (IMU, np.zeros((3, 2), np.float32), r"float32 \[3, 2\], not float32 \[n, 1\]"),
        (IMU, np.zeros((3, 1)), r"float64 \[3, 1\], not float32"),
        (IMU, "a caption", "str, not float32"),
        (IMU, np.full((3, 1), np.nan, np.float32), "NaN"),
    ],
)
def test_a_sample_of_the_wrong_form_is_refused(spec: InputSpec, data: object, message: str) -> None:
    ring = kind_of(spec).windows(spec)
    with pytest.raises(SampleError, match=message):
        ring.push(Sample(spec.modality, data, 0.0))  # type: ignore[arg-type]
    assert not ring.ready


@pytest.mark.parametrize("time", [math.nan, math.inf, -math.inf])
def test_a_time_that_is_not_finite_is_refused(time: float) -> None:
    with pytest.raises(SampleError, match=f"text: its time is {time}"):
        kind_of(TEXT).windows(TEXT).push(Sample("text", "one", time))


def test_the_loudest_sound_that_is_taken_has_a_level() -> None:
    kind, ring = kind_of(AUDIO), kind_of(AUDIO).windows(AUDIO)
    ring.push(Sample("audio", np.full(AUDIO.shape[1], MAX_LEVEL, np.float32), 0.0))
    window = ring.pop()
    assert window is not None
    assert kind.level(window.data) == pytest.approx(120)
    assert np.isfinite(np.asarray(kind.summary(window.data), np.float32)).all()


@pytest.mark.parametrize("by", [0.003, 0.1])
@pytest.mark.parametrize("spec", [AUDIO, VIDEO, TEXT], ids=["audio", "video", "text"])
def test_a_clock_that_jitters_starves_nobody(spec: InputSpec, by: float) -> None:
    steady, jittering = kind_of(spec).windows(spec), kind_of(spec).windows(spec)
    counts = [0, 0]
    for i in range(200):
        data = {"audio": np.zeros(2, np.float32), "video": frame(i), "text": "one"}[spec.modality]
        for j, (ring, time) in enumerate(((steady, i / 50), (jittering, i / 50 - by * (i % 2)))):
            ring.push(Sample(spec.modality, data, time))
            window = ring.pop()
            if window is not None:
                counts[j] += 1
                assert window.time == pytest.approx(i / 50, abs=0.2)
    assert counts[1] == pytest.approx(counts[0], abs=2)
