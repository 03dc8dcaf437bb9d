"""A ring between two processes: whole, in order, and never torn, whatever order the writes are seen in."""

import mmap
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_sensors.errors import SensorEndedError
from sensemble_sensors.isolation import worker
from sensemble_sensors.isolation.ring import Ring
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

AUDIO = InputSpec("audio", "float32", (1, 1600), 16000, 0.1, 0.1, 1.0)
VIDEO = InputSpec("video", "uint8", (1, 2, 4, 6, 3), 10, 0.2, 0.1, 1.0)
TEXT = InputSpec("text", "int64", (1, 8), 0, 0.0, 0.0, 1.0)


def ring(spec: InputSpec) -> Ring:
    return Ring(mmap.mmap(-1, Ring.size(spec)), spec)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 4000), max_size=12))
def test_sound_crosses_the_ring_whole_whatever_its_pieces(sizes: list[int]) -> None:
    shared, rng = ring(AUDIO), np.random.default_rng(0)
    pieces = [rng.uniform(-1, 1, size).astype(np.float32) for size in sizes]
    end, got = 0.0, []
    for i, piece in enumerate(pieces):
        end += len(piece) / AUDIO.rate
        shared.put(Sample("audio", piece, end, cut=i == 0))
        while (sample := shared.get()) is not None:
            got.append(sample)
    assert all(sample.frozen() is sample for sample in got), "nothing copies it again"
    np.testing.assert_array_equal(
        np.concatenate([np.zeros(0, np.float32), *(np.asarray(s.data, np.float32) for s in got)]),
        np.concatenate([np.zeros(0, np.float32), *pieces]),
    )
    ends = np.cumsum([len(s.data) for s in got]) / AUDIO.rate
    np.testing.assert_allclose([s.time for s in got], ends, atol=1e-9)
    assert [s.cut for s in got] == [True] * bool(got) + [False] * (len(got) - 1)


@pytest.mark.parametrize("spec", [AUDIO, VIDEO, TEXT])
@settings(max_examples=30)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=6))
def test_a_late_getter_has_the_newest_and_knows_of_the_hole(spec: InputSpec, bursts: list[int]) -> None:
    shared, count, before, lost = ring(spec), 0, -1, 0
    for burst in bursts:
        for _ in range(burst):
            data = {
                "audio": np.full(10, count, np.float32),
                "video": np.full(VIDEO.shape[2:], count % 256, np.uint8),
                "text": f"{count} é",
            }[spec.modality]
            shared.put(Sample(spec.modality, data, float(count), lost=count % 3))
            lost += count % 3
            count += 1
        while (sample := shared.get()) is not None:
            index = round(sample.time)
            if isinstance(sample.data, str):
                assert sample.data == f"{index} é"
            else:
                assert np.all(sample.data == (index if spec is AUDIO else index % 256))
            hole = index > before + 1
            assert index > before
            lost -= sample.lost - (index - before - 1)
            assert sample.cut == (before == -1 or (hole and spec is AUDIO))
            before = index
        assert before == count - 1
        assert lost == 0, "each that was lost, here or before, is counted once"


def test_what_is_not_of_the_specs_form_is_refused() -> None:
    for data in (np.zeros(4, np.float64), np.zeros((2, 4), np.float32)):
        with pytest.raises(ValueError, match="gave float"):
            ring(AUDIO).put(Sample("audio", data, 0.0))
    with pytest.raises(ValueError, match="sample of text"):
        ring(AUDIO).put(Sample("text", "hello", 0.0))


@settings(max_examples=150)
@given(
    st.sampled_from([AUDIO, VIDEO, TEXT]),
    st.integers(0, 150),
    st.integers(1, 3),
    st.floats(0, 1),
    st.integers(0, 1 << 30),
)
def test_whatever_order_a_put_is_seen_in_a_sample_is_whole_or_is_not_there_yet(
    spec: InputSpec, before: int, more: int, share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    memory = mmap.mmap(-1, Ring.size(spec))
    putter, getter = Ring(memory, spec), Ring(memory, spec)
    for i in range(before):
        putter.put(numbered(spec, i))
        if rng.random() < share:
            getter.get()
    old = np.frombuffer(bytes(memory), "u8")
    for i in range(before, before + more):
        putter.put(numbered(spec, i))
    new = np.frombuffer(bytes(memory), "u8")
    # Any of the writes may be seen already: a processor orders them as it likes, word by word.
    changed = np.flatnonzero(old != new)
    seen = changed[rng.random(len(changed)) < share]
    mixed = old.copy()
    mixed[seen] = new[seen]
    memory[:] = mixed.tobytes()
    taken = [sample for sample in iter(getter.get, None) if is_whole(spec, sample)]
    memory[:] = new.tobytes()
    taken += [sample for sample in iter(getter.get, None) if is_whole(spec, sample)]
    assert [s.time for s in taken] == sorted({s.time for s in taken})
    assert taken[-1].time == before + more - 1, "what was not there yet is there once all is seen"


def numbered(spec: InputSpec, number: int) -> Sample:
    """Return a sample of which every part says which one it is."""
    data = {
        "audio": np.full(10, number, np.float32),
        "video": np.full(VIDEO.shape[2:], number % 256, np.uint8),
        "text": f"{number} " * 5,
    }[spec.modality]
    return Sample(spec.modality, data, float(number))


def is_whole(spec: InputSpec, sample: Sample) -> bool:
    """True if every part of it says the same; a torn one fails the test."""
    expected = numbered(spec, round(sample.time)).data
    np.testing.assert_array_equal(sample.data, expected)
    return True


def test_a_slot_that_repeats_is_refused() -> None:
    memory = mmap.mmap(-1, Ring.size(VIDEO))
    putter, getter = Ring(memory, VIDEO), Ring(memory, VIDEO)
    for i in range(9):
        putter.put(numbered(VIDEO, i))
    putter._slots[:] = putter._slots[9 % 4]
    with pytest.raises(ValueError, match="sample 9 lies where sample"):
        list(iter(getter.get, None))


HAMMER = """
import mmap, sys
import numpy as np
from sensemble_sensors.isolation.ring import Ring
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

spec = InputSpec("video", "uint8", (1, 1, 64, 64, 3), 10, 0.1, 0.1, 1.0)
ring = Ring(mmap.mmap(int(sys.argv[1]), Ring.size(spec)), spec)
for number in range(5000):
    ring.put(Sample("video", np.full((64, 64, 3), number % 251, np.uint8), float(number)))
"""


def test_a_putter_that_hammers_tears_nothing() -> None:
    spec = InputSpec("video", "uint8", (1, 1, 64, 64, 3), 10, 0.1, 0.1, 1.0)
    file = os.memfd_create("hammered")
    os.truncate(file, Ring.size(spec))
    getter = Ring(mmap.mmap(file, Ring.size(spec)), spec)
    times: list[float] = []
    lost = 0

    def take() -> None:
        nonlocal lost
        while (sample := getter.get()) is not None:
            assert np.all(sample.data == round(sample.time) % 251)
            times.append(sample.time)
            lost += sample.lost

    with subprocess.Popen([sys.executable, "-c", HAMMER, str(file)], pass_fds=(file,)) as putter:
        while putter.poll() is None:
            take()
    os.close(file)
    take()
    assert putter.returncode == 0
    assert times == sorted(set(times))
    assert times[-1] == 4999
    assert len(times) > 10
    assert len(times) + lost == 5000


def test_a_thread_that_captures_writes_into_the_ring_and_a_flood_is_counted() -> None:
    memory = mmap.mmap(-1, Ring.size(VIDEO))
    reading, writing = os.pipe()
    queue, reader = worker._RingQueue(Ring(memory, VIDEO), writing, 200), Ring(memory, VIDEO)
    picture = np.zeros(VIDEO.shape[2:], np.uint8)
    queue.put(Sample("video", picture, 0.0))
    first = reader.get()
    assert first is not None
    assert (first.time, first.cut, first.lost) == (0.0, True, 0)
    for i in range(1, 200):
        queue.put(Sample("video", picture, float(i)))
    assert len(os.read(reading, 1 << 16)) < 200, "a flood wakes nobody"
    time.sleep(0.1)
    queue.put(Sample("video", picture, 200.0))
    found = []
    while (sample := reader.get()) is not None:
        found.append(sample)
    assert (found[-1].time, found[-1].cut) == (200.0, False)
    assert len(found) + sum(sample.lost for sample in found) == 200
    queue.end(SensorEndedError("over"))
    with pytest.raises(SensorEndedError, match="over"):
        queue.get(1.0)
    for descriptor in (reading, writing):
        os.close(descriptor)
