"""Real processes that hang, crash, leak, flood and are killed, and the pipe that samples cross."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from select import select
from threading import Thread, active_count
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from sensemble_sensors import Isolated, Limits, polling
from sensemble_sensors.devices.captions import Captions
from sensemble_sensors.errors import SensorEndedError, SensorLostError, SensorUnavailableError
from sensemble_sensors.isolation import isolated, worker
from sensemble_sensors.kinds.registry import installed, kind_of
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import Channel, InputSpec

from tests.processes import children
from tests.sensors.reading import install, read_on
from tests.sensors.studio import Specs
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.real

Make = Callable[..., Isolated]


def held() -> tuple[int, int, int]:
    """Count what a process must not collect: child processes, open files and threads."""
    return len(children(os.getpid())), len(list(Path("/proc/self/fd").iterdir())), active_count()


def is_alive(pid: int) -> bool:
    """True if the process runs; one that has ended and was not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def unruly(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """A function that makes an isolated `Unruly`; nothing of it may be left when the test ends."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    from unruly import Unruly

    made: list[Isolated] = []

    def make(act: str, **limits: float) -> Isolated:
        made.append(Isolated(Unruly, act, limits=Limits(**limits)))
        return made[-1]

    before = held()
    yield make
    pids = [sensor.pid for sensor in made if sensor.pid is not None]
    for sensor in made:
        sensor.close()
    assert not any(map(is_alive, pids))
    assert all(now <= was for now, was in zip(held(), before, strict=True))


def test_pictures_come_from_another_process_and_its_end_is_reported(unruly: Make, specs: Specs) -> None:
    sensor = unruly("end")
    for _ in range(2):  # a closed sensor may be opened again
        sensor.open(specs["video"])
        assert sensor.pid != os.getpid()
        taken, error = read_on(sensor)
        assert isinstance(error, SensorEndedError)
        assert str(error) == "that was all"
        assert [int(np.asarray(s.data)[0, 0, 0]) for s in taken] == [1, 2, 3]
        assert [s.cut for s in taken] == [True, False, False]
        assert all(0 <= time.monotonic() - s.time < 60 for s in taken), "one clock for both"
        sensor.close()
        sensor.close()
    with pytest.raises(SensorLostError, match="is closed"):
        sensor.read(0)


@pytest.mark.parametrize(
    ("act", "limits", "reason"),
    [
        ("hang", {"hanging": 2.0}, "unruly hang: hung for 2 s; its process was killed"),
        ("hang with the lock", {"hanging": 2.0}, "hung for 2 s; its process was killed"),
        ("crash", {}, "unruly crash: its process died of SIGSEGV"),
        ("exit", {}, "its process ended with status 3"),
        ("close everything", {"hanging": 60.0}, "closed its pipe; its process was killed"),
        ("leak", {"resident": 300 << 20}, "its process took more than 300 MB of memory"),
        ("raise", {}, "failed with ZeroDivisionError: in the driver"),
        ("sys.exit", {}, "failed with SystemExit: 3"),
        ("lose", {}, "pulled out"),
        ("give a list", {}, "gave list, no picture"),
        ("give doubles", {}, "gave float64 [4], no picture"),
        ("give a caption", {}, "gave a sample of text, not of video"),
        ("stop", {"hanging": 2.0}, "hung for 2 s; its process was killed"),
        ("fork and crash", {"hanging": 60.0}, "its process died of SIGSEGV"),
        ("write rubbish", {}, "wrote an invalid message; its process was killed"),
        ("write lines of rubbish", {}, "wrote an invalid message; its process was killed"),
        ("die within a line", {}, "its process ended with status 3"),
    ],
)
def test_whatever_it_does_it_is_lost_with_its_reason_and_can_be_opened_again(
    unruly: Make, specs: Specs, act: str, limits: dict[str, float], reason: str
) -> None:
    sensor = unruly(act, **{**limits, "hanging": PATIENCE})
    patient = sensor.limits
    sensor.open(specs["video"])
    assert all(sensor.read(30) for _ in range(3))
    sensor.limits = replace(patient, hanging=limits.get("hanging", patient.hanging))
    taken, error = read_on(sensor)
    assert taken == []
    assert isinstance(error, SensorLostError)
    assert reason in str(error)
    sensor.close()
    sensor.limits = patient
    sensor.open(specs["video"])
    sample = sensor.read(30)
    assert sample is not None
    assert sample.cut


def test_a_pause_of_the_reader_is_not_the_sensors(
    unruly: Make, specs: Specs, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensor, paused = unruly("nothing", opening=PATIENCE, hanging=PATIENCE), 0.0

    def readable(file: int, timeout: float) -> bool:
        nonlocal paused
        paused += 1000  # as after Ctrl-Z and `fg`; the first call after that may find nothing
        return paused % 2000 == 0 and polling.readable(file, timeout)

    monkeypatch.setattr(isolated, "readable", readable)
    monkeypatch.setattr(isolated, "monotonic", lambda: time.monotonic() + paused)
    sensor.open(specs["video"])
    for _ in range(3):
        wait_until(lambda: sensor.read(1) is not None)


def test_the_memory_of_who_started_it_is_not_its_own(unruly: Make, specs: Specs) -> None:
    hoard = np.ones(400 << 20, np.uint8)
    sensor = unruly("nothing", resident=300 << 20)
    sensor.open(specs["video"])
    end = time.monotonic() + 2.5  # it measures itself every second
    while time.monotonic() < end:
        sensor.read(0.1)
    assert len(hoard) > 300 << 20


def test_one_that_cannot_be_opened_says_why_and_leaves_nothing(unruly: Make, specs: Specs) -> None:
    absent, hanging = unruly("be absent"), unruly("hang opening", opening=4.0)
    with pytest.raises(SensorUnavailableError, match=r"^unruly be absent: plug it in$"):
        absent.open(specs["video"])
    with pytest.raises(SensorUnavailableError, match="did not open within 4 s"):
        hanging.open(specs["video"])
    assert absent.pid is hanging.pid is None
    with pytest.raises(SensorUnavailableError, match="gives video, not text"):
        absent.open(specs["text"])


def test_a_system_that_has_no_process_for_it_makes_it_unavailable(
    unruly: Make, specs: Specs, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensor = unruly("nothing")
    with monkeypatch.context() as context:
        context.setattr(sys, "executable", "/nonexistent/python")
        with pytest.raises(SensorUnavailableError, match=r"started \(No such file"):
            sensor.open(specs["video"])
    sensor.open(specs["video"])
    assert sensor.read(30) is not None


def resident(pid: int | str) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_flood_leaves_the_newest_and_takes_no_memory(unruly: Make, specs: Specs) -> None:
    """A camera that always has a picture, here of 256 KiB, and somebody who seldom looks."""
    sensor = unruly("flood")
    sensor.open(replace(specs["video"], shape=(1, 1, 512, 512, 1)))
    first = sensor.read(30)
    assert first is not None
    assert sensor.pid is not None
    before = {pid: resident(pid) for pid in (str(sensor.pid), "self")}
    latest, lost = first, 0
    end = time.monotonic() + PATIENCE
    while lost < 200:
        assert time.monotonic() < end, "it never flooded"
        time.sleep(0.5)  # longer than a worker waits for one that kept up
        looked, old = time.monotonic(), -1
        while latest.time < looked:
            sample = sensor.read(30)
            assert sample is not None
            assert sample.time > latest.time
            step = int(np.asarray(sample.data).flat[0]) - int(np.asarray(latest.data).flat[0])
            assert step % 256 == (sample.lost + 1) % 256, "what it never gave is counted"
            latest, lost, old = sample, lost + sample.lost, old + 1
        assert old <= 4, "of all that came meanwhile, the newest are left"
    for pid, then in before.items():
        assert resident(pid) - then < 16 << 20, f"of {lost} pictures that nobody took, none was kept"


def test_a_reader_that_is_back_gets_more_than_a_pipe_holds_at_once(specs: Specs) -> None:
    theirs, ours = os.pipe()
    outbox = worker.Outbox(ours, kind_of(specs["video"]))
    picture = Sample("video", np.zeros((1, 1, 1 << 22, 1), np.uint8), 0.0)
    while outbox.send(picture, 0.0):
        pass

    def read() -> None:
        while os.read(theirs, 1 << 20):
            time.sleep(0.001)  # as another process takes to wake up

    reader = Thread(target=read)
    reader.start()
    calls = 0
    while not outbox.send(None, 0.0):
        calls += 1
        wait_until(lambda: not select([theirs], [], [], 0)[0])  # the pipe is empty
    os.close(ours)
    reader.join(PATIENCE)
    os.close(theirs)
    assert calls < 30, "of which each would send the 64 kB that a pipe holds"


def test_one_may_be_killed_from_another_thread(unruly: Make, specs: Specs) -> None:
    sensor = unruly("nothing")
    sensor.kill()
    sensor.open(specs["video"])
    sensor.kill()
    assert "died of SIGKILL" in str(read_on(sensor)[1])


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.parametrize("end", ["close", "kill", "crash", "hang closing"])
def test_what_a_worker_started_ends_with_it(unruly: Make, specs: Specs, end: str) -> None:
    sensor = unruly(f"with a child, {end}")
    sensor.open(specs["video"])
    assert sensor.pid is not None
    (child,) = children(sensor.pid)
    if end == "kill":
        sensor.kill()
    elif end == "crash":
        os.kill(sensor.pid, signal.SIGSEGV)
        read_on(sensor)
    else:
        sensor.close()
    wait_until(lambda: not is_alive(child))


@pytest.mark.parametrize("act", ["nothing", "hang with the lock", "with a child", "with a child, stop"])
def test_a_worker_and_what_it_started_end_when_the_process_that_started_it_is_killed(act: str) -> None:
    script = (
        "import sys\nfrom unruly import Unruly\n"
        "from sensemble_sensors import Isolated, Limits\n"
        "from sensemble_sensors.spec import InputSpec\n"
        f"sensor = Isolated(Unruly, {act!r}, 0, limits=Limits(hanging=2.0))\n"
        "sensor.open(InputSpec('video', 'uint8', (1, 2, 4, 6, 3), 10, 0.2, 0.1, 1.0))\n"
        "print(sensor.pid, flush=True)\nsys.stdin.read()\n"
    )
    before = held()
    command = [sys.executable, "-c", script]
    folder = Path(__file__).parents[1]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        started = children(pid)
        assert len(started) == act.startswith("with a child")
        wait_until(lambda: not act.endswith("stop") or is_stopped(pid))
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, (pid, *started))))
    assert all(now <= was for now, was in zip(held(), before, strict=True))


def test_what_cannot_be_sent_to_a_process_is_refused_at_once(tmp_path: Path) -> None:
    class Own(Captions):
        pass

    with pytest.raises(TypeError, match=r"Own: .*import"):
        Isolated(Own, "-")
    with pytest.raises(TypeError, match=r"^Captions\(PosixPath\("):
        Isolated(Captions, tmp_path)  # type: ignore[arg-type]


def test_descriptors_above_1024_are_read_too() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    many = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    many += os.pipe()
    try:
        assert not polling.readable(many[-2], 0)
        os.write(many[-1], b"x")
        assert polling.readable(many[-2], 0)
    finally:
        for file in many:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


arrays: Callable[..., st.SearchStrategy[object]] = nps.arrays
DATA = st.one_of(
    st.text(),
    arrays(np.uint8, nps.array_shapes(min_dims=3, max_dims=3, min_side=0)),
    arrays(np.float32, nps.array_shapes(min_dims=1, max_dims=2, min_side=0)),
)


@given(DATA, st.floats(allow_nan=False), st.booleans(), st.integers(0, 1 << 40))
def test_a_sample_crosses_bit_for_bit(data: object, time: float, cut: bool, lost: int) -> None:
    sample = Sample("any", data, time, cut, lost)  # type: ignore[arg-type]
    fields, packed = worker.packed(sample)
    found = worker.unpacked("any", json.loads(json.dumps(fields)), packed)
    assert (found.time, found.cut, found.lost) == (time, cut, lost)
    np.testing.assert_array_equal(found.data, sample.data)
    assert getattr(found.data, "dtype", None) == getattr(data, "dtype", None)
    assert found.frozen() is found, "nothing copies it again"


def test_what_waits_for_a_slow_reader_comes_before_the_end_and_what_is_lost_is_counted(specs: Specs) -> None:
    reading, writing = os.pipe()
    outbox = worker.Outbox(writing, kind_of(specs["video"]))
    picture = np.zeros((300, 300, 3), np.uint8)  # more than the pipe holds
    for i in range(100):
        assert not outbox.send(Sample("video", picture, float(i)), 0.0)
    assert not outbox.send(None, 0.0)
    ending = Thread(target=outbox.end, args=(SensorEndedError("over"),))
    ending.start()
    found: list[dict[str, Any]] = []
    with os.fdopen(reading, "rb") as pipe:
        while not found or found[-1]["kind"] == worker.SAMPLE:
            first, second = worker.SIZES.unpack(pipe.read(worker.SIZES.size))
            found.append(json.loads(pipe.read(first)))
            assert len(pipe.read(second)) == second
    ending.join()
    os.close(writing)
    *samples, over = found
    assert over["kind"] == "SensorEndedError"
    assert [samples[0]["time"], samples[-1]["time"]] == [0.0, 99.0]
    assert len(samples) + sum(one["lost"] for one in samples) == 100


def test_the_process_finds_a_kind_on_the_path_of_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Path(__file__).parents[2] / "outside" / "sensemble_co2.py"
    install(tmp_path, package.stem, "[sensemble.kinds]\nco2 = sensemble_co2\n", package.read_text())
    (tmp_path / "readings").write_text("400\n")
    monkeypatch.syspath_prepend(tmp_path)
    installed.cache_clear()
    try:
        spec = InputSpec("air", "float32", (1, 10, 1), 1, 10, 1, 20, "co2", (Channel("co2", "ppm"),))
        meter = import_module("sensemble_co2").Meter
        sensor = Isolated(meter, str(tmp_path / "readings"), None, "air")
        sensor.open(spec)
        sample = sensor.read(30)
        sensor.close()
    finally:
        installed.cache_clear()
    assert sample is not None
    np.testing.assert_array_equal(sample.data, [[400]])
