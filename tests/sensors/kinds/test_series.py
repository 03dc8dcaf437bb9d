"""The kind `series`: windows, files, health, conditions."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.health.health import Health
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.kinds.resampling import Resampler
from sensemble_sensors.kinds.series_files import read_series
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import Channel, InputSpec, Modality, vectors
from sensemble_sensors.thresholds import Thresholds

from tests.needs import need

RATE = 50
IMU = tuple(Channel(f"{kind}{axis}", "m/s^2", -20, 20) for kind in "ag" for axis in "xyz")
SPEC = InputSpec("imu", "float32", (1, 100, 6), RATE, 2.0, 1.0, 4.0, "series", IMU)
KIND = kind_of(SPEC)
Rows = NDArray[np.float32]


@dataclass(frozen=True)
class File:
    """An example with one file."""

    path: Path
    start: float | None = None
    end: float | None = None

    def value(self, field: str) -> Path | str | None:
        return self.path if field == "imu" else None


def moved(count: int, seed: int = 0) -> Rows:
    """An inertial unit that moves."""
    return np.random.default_rng(seed).normal(0, 2, (count, 6)).astype(np.float32)


def stream(rows: Rows, size: int = 5, begin: float = 100.0) -> list[Sample]:
    """Rows in blocks, as a device gives them."""
    return [
        Sample("imu", rows[at : at + size], begin + (at + len(rows[at : at + size])) / RATE, cut=at == 0)
        for at in range(0, len(rows), size)
    ]


def test_a_spec_names_each_channel_once() -> None:
    assert not list(KIND.spec_problems(SPEC))
    for channels in ((), IMU[:5], (*IMU[:5], IMU[0])):
        assert any(
            "expected 6 channels" in text for text in KIND.spec_problems(replace(SPEC, channels=channels))
        )


def test_the_bytes_of_a_browser_keep_every_bit() -> None:
    rows = moved(7)
    np.testing.assert_array_equal(KIND.unpack(rows.reshape(-1).view(np.uint8), SPEC), rows)
    with pytest.raises(ValueError, match="reshape"):
        KIND.unpack(rows[:, :5].reshape(-1).view(np.uint8), SPEC)


def csv_of(rows: Rows, header: str, times: Sequence[float] | None = None) -> str:
    lines = [[*([] if times is None else [times[i]]), *row] for i, row in enumerate(rows.tolist())]
    return "\n".join([header, *(",".join(map(str, line)) for line in lines)]) + "\n"


def test_files_of_every_form_give_the_same_window(tmp_path: Path) -> None:
    rows = moved(150)
    names = ",".join(channel.name for channel in IMU)
    (tmp_path / "plain.csv").write_text(csv_of(rows, names))
    (tmp_path / "other.csv").write_text(csv_of(rows[:, ::-1], ",".join(reversed(names.split(",")))))
    (tmp_path / "timed.csv").write_text(csv_of(rows, f"time,{names}", (np.arange(150) / RATE).tolist()))
    np.save(tmp_path / "rows.npy", rows.astype(np.float64))
    files = ["plain.csv", "other.csv", "timed.csv", "rows.npy"]
    for name in files:
        window = KIND.window(File(tmp_path / name), SPEC)
        np.testing.assert_allclose(window, rows[None, :100], atol=1e-5, err_msg=name)
        window = KIND.window(File(tmp_path / name, start=1.0, end=2.0), SPEC)
        np.testing.assert_allclose(window[0, :50], rows[50:100], atol=1e-5, err_msg=name)  # type: ignore[index]
        np.testing.assert_allclose(window[0, 50:], rows[99:49:-1], atol=1e-5, err_msg=name)  # type: ignore[index]


def test_the_clock_of_a_file_may_begin_anywhere(tmp_path: Path) -> None:
    rows, names = moved(100), ",".join(channel.name for channel in IMU)
    for begin in (1.2, 1_700_000_000.0):
        (tmp_path / "late.csv").write_text(
            csv_of(rows, f"time,{names}", (begin + np.arange(100) / RATE).tolist())
        )
        np.testing.assert_allclose(KIND.window(File(tmp_path / "late.csv"), SPEC), rows[None], atol=1e-2)
        window = KIND.window(File(tmp_path / "late.csv", start=begin + 1.0), SPEC)
        np.testing.assert_allclose(window[0, :50], rows[50:], atol=1e-2)  # type: ignore[index]


def test_a_file_that_claims_or_holds_too_much_takes_no_memory(tmp_path: Path) -> None:
    """A header of terabytes, short numbers that would be long ones, and texts that repeat."""
    (tmp_path / "claims.npy").write_bytes(header_of((1 << 40, 6)) + bytes(1000))
    (tmp_path / "none.npy").write_bytes(header_of((1 << 34, 0)))
    (tmp_path / "short.npy").write_bytes(header_of((1 << 23,), "|u1") + bytes(1 << 23))
    (tmp_path / "dense.csv").write_bytes(b"x,y\n" + b"1,2\n" * (1 + (1 << 21)))
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from sensemble_sensors.kinds import series_files\n"
        "series_files._MOST = 1 << 24\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1500 << 20, 1500 << 20))\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n        series_files.read_series(Path(name))\n"
        "    except Exception as error:\n        print(type(error).__name__, error)\n"
    )
    names = [str(tmp_path / name) for name in ("claims.npy", "none.npy", "short.npy", "dense.csv")]
    run = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True)
    found = run.stdout.splitlines()
    assert [line.partition(": ")[2] for line in found] == [
        "is cut short",
        "has no rows",
        "holds more than 4 million numbers; divide it",
        "holds more than 4 million numbers; divide it",
    ]


def header_of(shape: tuple[int, ...], descr: str = "<f8") -> bytes:
    """Return the beginning of a NumPy file."""
    out = io.BytesIO()
    form = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, form)
    return out.getvalue()


Parquet = Callable[[dict[str, Any]], Path]
COLUMNS = {channel.name: column for channel, column in zip(IMU, moved(100).T, strict=True)}


@pytest.fixture
def parquet(tmp_path: Path) -> Parquet:
    """A function that writes columns into a file."""
    need("pyarrow")
    import pyarrow as pa
    from pyarrow import parquet

    def write(columns: dict[str, Any]) -> Path:
        parquet.write_table(pa.table(columns), tmp_path / "rows.parquet")
        return tmp_path / "rows.parquet"

    return write


def test_parquet_is_read_where_it_is_installed(parquet: Parquet) -> None:
    path = parquet(COLUMNS | {"note": ["x"] * 100})
    np.testing.assert_array_equal(KIND.window(File(path), SPEC), moved(100)[None])
    data = bytearray(path.read_bytes())
    data[4:44] = b"\xff" * 40  # the first page
    path.write_bytes(data)
    with pytest.raises(BadDataError, match=r"rows\.parquet: .*Parquet"):
        KIND.window(File(path), SPEC)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (COLUMNS | {"Time": np.arange(100)}, "has a column Time; call it time"),
        (COLUMNS | {"ax": ["long " * 9999] * 100}, "ax: is string, not a number"),
        ({name: np.zeros(1 << 16) for name in COLUMNS}, "holds more than"),
    ],
    ids=["time", "texts", "many"],
)
def test_parquet_that_holds_something_else_or_too_much_is_refused(
    parquet: Parquet, monkeypatch: pytest.MonkeyPatch, columns: dict[str, Any], reason: str
) -> None:
    monkeypatch.setattr("sensemble_sensors.kinds.series_files._MOST", 1 << 16)
    with pytest.raises(BadDataError, match=rf"rows\.parquet: {reason}"):
        KIND.window(File(parquet(columns)), SPEC)


def test_a_hole_is_not_filled_with_an_example(tmp_path: Path) -> None:
    names = ",".join(channel.name for channel in IMU)
    times = [*np.arange(0, 10, 1 / RATE), *np.arange(100, 110, 1 / RATE)]
    path = tmp_path / "hole.csv"
    rows = moved(len(times))
    path.write_text(csv_of(rows, f"time,{names}", times))
    for start, end in ((40.0, 42.0), (10.5, 12.0), (200.0, 202.0), (40.0, 99.0)):
        for read in (
            lambda source: KIND.window(source, SPEC),
            lambda source: KIND.check(source, Modality("imu", "series", RATE, IMU)),
        ):
            with pytest.raises(BadDataError, match=rf"no rows .*{start:g} s"):
                read(File(path, start, end))
    for start, first in ((9.0, 450), (95.0, 500), (40.0, 500)):  # from its own first row, however far that is
        source = File(path, start, 105.0)
        KIND.check(source, Modality("imu", "series", RATE, IMU))
        np.testing.assert_array_equal(KIND.window(source, SPEC)[0, 0], rows[first])


def test_quoted_numbers_and_texts_with_commas_are_read(tmp_path: Path) -> None:
    names = ",".join(channel.name for channel in IMU)
    (tmp_path / "quoted.csv").write_text(f'note,{names}\n"up,\n1,2,3,4,5,6,7,8\n",1,2,3,4,"5","6"\n')
    _, rows = read_series(tmp_path / "quoted.csv", [channel.name for channel in IMU])
    assert rows.tolist() == [[1, 2, 3, 4, 5, 6]]


def test_another_rate_is_brought_to_that_of_the_encoder(tmp_path: Path) -> None:
    times = (np.arange(900) + np.random.default_rng(0).uniform(-0.3, 0.3, 900)) / 300  # it jitters
    tone = np.sin(2 * np.pi * times)[:, None].repeat(6, 1).astype(np.float32)
    hum = (np.sin(2 * np.pi * 99 * times)[:, None] * np.ones(6)).astype(np.float32)
    names = ",".join(channel.name for channel in IMU)
    (tmp_path / "fast.csv").write_text(csv_of(tone + hum, f"time,{names}", times.tolist()))
    window = np.asarray(KIND.window(File(tmp_path / "fast.csv"), SPEC))[0, 1:, 0]
    expected = np.sin(2 * np.pi * np.arange(1, 100) / RATE)
    picked = np.interp(np.arange(1, 100) / RATE, times, (tone + hum)[:, 0])
    errors = [np.sqrt(np.mean((each - expected) ** 2)) for each in (window, picked)]
    assert errors[0] < errors[1] / 2, "what is too fast for the rate is averaged away"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"ax,ay\n1,2\n", "has no column az; it has ax, ay"),
        ("a.csv", b"ax,ay,az,gx,gy,gz\n1,2,3,4,5,x\n", "line 2 has 'x' in column gz"),
        ("a.csv", b"ax,ay,az,gx,gy,gz\n1,2,3,4,5,nan\n", "line 2 has nan"),
        ("a.csv", b"ax,ay,az,gx,gy,gz\n1,2,3,4,5,6\n1,2,-1e38,4,5,6\n", "line 3 has -1e+38"),
        ("a.csv", b"ax,ay,az,gx,gy,gz\n1,2,3,4,5,1e300\n", "line 2 has inf"),
        ("a.csv", b"ax,ay,az,gx,gy,gz\n", "has no rows"),
        ("a.csv", b"", "has no column ax"),
        ("a.csv", b"ax,ay,az,gx,gy,gz\n1,2,3,4,5,6,\n0,1,0,2,0,3,0,4,0,5,0,6\n", "line 3 has more"),
        ("a.csv", b'ax,ay,az,gx,gy,gz,is\n\n0,1,0,2,0,3,0,4,0,5,0,6,"up"\n', "line 3 has more"),
        ("a.csv", b'ax,ay,az,gx,gy,gz,note\n1,2,3,4,5,6,"7 in\n1,2,3,4,5,6,\n', "mend its quotes"),
        ("a.csv", b"ax,ay,az,ax,gx,gy,gz\n1,2,3,4,5,6,7\n", "has 2 columns ax"),
        ("a.csv", b"ax,ay,az,gx,gy,gz\r1,2,3,4,5,6\r", "not a CSV header"),
        ("a.csv", b"ax,ay,az,gx,gy,gz," + b"a" * 200_000 + b"\n", "not a CSV header"),
        ("a.csv", b"ax,ay,az,gx,gy,gz\n1,2,3,4,5,6\n#1,2,3,4,5,6\n", "line 3 has '#1' in column ax"),
        ("a.csv", b"ax,ay,az,gx,gy,gz\n1,2,3,4,5,6\n\n1,2,3,1_0,5,6\n", "line 4 has '1_0' in column gx"),
        ("a.csv", b"ax,ay,az,gx,gy,gz\n1,2,3,4,5,\xc2\xa06\n", "line 2 has '\\xa06' in column gz"),
        ("a.csv", "ax,ay,az,gx,gy,gz\n1,2,3,4,5,\u0663\n".encode(), "line 2 has '\u0663' in column gz"),
        ("a.csv", b"ax;ay;az;gx;gy;gz\n1;2;3;4;5;6\n", "separates its columns with ';'"),
        ("a.csv", b"Time,ax,ay,az,gx,gy,gz\n0,1,2,3,4,5,6\n", "call it time"),
        ("a.csv", b"time,ax,ay,az,gx,gy,gz\n10:15,1,2,3,4,5,6\n", "write seconds"),
        ("a.csv", b"time,ax,ay,az,gx,gy,gz\n7,1,2,3,4,5,6\n7,1,2,3,4,5,6\n", "line 3 has 7"),
        ("a.csv", b"time,ax,ay,az,gx,gy,gz\n1,1,2,3,4,5,6\n0,1,2,3,4,5,6\n", "seconds that rise"),
        ("a.csv", b"time,ax,ay,az,gx,gy,gz\n1e300,1,2,3,4,5,6\n", "at most 1e+11"),
        (
            "a.csv",
            b"time,ax,ay,az,gx,gy,gz\n0,1,2,3,4,5,6\n20,1,2,3,4,5,6\n40,1,2,3,4,5,6\n",
            "divide it by 1000",
        ),
        ("a.npy", b"\x93NUMPY\x01\x00garbage", "a.npy: "),
    ],
)
def test_a_bad_file_is_named_with_the_reason(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadDataError) as caught:
        KIND.window(File(tmp_path / name), SPEC)
    assert name in str(caught.value)
    assert reason in str(caught.value)


def test_a_file_of_too_many_bytes_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "bomb.csv").touch()
    os.truncate(tmp_path / "bomb.csv", (1 << 27) + 1)
    with pytest.raises(BadDataError, match="larger than 128 MiB"):
        KIND.window(File(tmp_path / "bomb.csv"), SPEC)


def test_an_array_of_another_form_is_refused(tmp_path: Path) -> None:
    for array in (np.zeros((10, 5)), np.zeros(10), np.zeros((10, 6), complex), np.array([{}], object)):
        out = io.BytesIO()
        np.save(out, array, allow_pickle=True)
        (tmp_path / "a.npy").write_bytes(out.getvalue())
        with pytest.raises(BadDataError, match=r"a\.npy: "):
            KIND.window(File(tmp_path / "a.npy"), SPEC)


def test_an_example_is_streamed_as_it_is_decoded(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", moved(100))
    source = File(tmp_path / "rows.npy")
    ring = KIND.windows(SPEC)
    samples = list(KIND.samples(source, SPEC, 50.0))
    assert (len(samples), samples[0].cut, samples[-1].time) == (20, True, 50.0)
    for sample in samples:
        ring.push(sample)
    window = ring.pop()
    assert window is not None
    np.testing.assert_array_equal(window.data, KIND.window(source, SPEC))
    assert window.time == pytest.approx(50.0)


def test_a_steady_rate_is_made_of_any_times() -> None:
    resampler = Resampler(10)
    line = lambda times: np.asarray(times, np.float32)[:, None]  # noqa: E731 - the value is the time
    given = [resampler.add(part, line(part)) for part in np.split(np.arange(0, 2, 0.03), [3, 4, 30])]
    flat = [one for some in given for one in some]
    assert [cut for _, _, cut in flat] == [True] + [False] * (len(flat) - 1)
    values = np.concatenate([rows[:, 0] for _, rows, _ in flat])
    np.testing.assert_allclose(values[1:], 0.1 * np.arange(1, len(values)), atol=2e-3)
    assert flat[-1][0] == pytest.approx(values[-1], abs=2e-3)
    # A hole begins it again, and so does a restart of the sender's clock.
    for begin in (10.0, 0.0):
        later = begin + np.arange(0, 1, 0.1)
        (end, rows, cut), *rest = resampler.add(later, line(later))
        assert (cut, rest) == (True, [])
        np.testing.assert_allclose(rows[:, 0], later[: len(rows)], atol=1e-6)
        assert end == pytest.approx(later[len(rows) - 1])


def test_vectors_are_found_by_their_names() -> None:
    assert vectors(IMU) == [(0, 1, 2), (3, 4, 5)]
    named = [
        Channel(name) for name in ("gyro.z", "temp", "gyro.x", "gyro.y", "acc_x", "acc_y", "x", "y", "z")
    ]
    assert vectors(named) == [(2, 3, 0), (6, 7, 8)]


def findings(rows: Rows, limits: Thresholds | None = None) -> set[str]:
    """All faults that health finds in a stream, in real time."""
    health = Health(SPEC, limits or Thresholds(), now=100.0)
    return {finding for sample in stream(rows) for finding in health.check(sample, sample.time)}


def test_health_finds_what_is_stuck_saturated_out_of_range_or_slow() -> None:
    rows = moved(1000)
    assert findings(rows) == set()
    assert findings(np.zeros((1000, 6), np.float32)) == {"all channels are stuck"}
    dead = rows.copy()
    dead[400:, 2] = dead[400, 2]
    assert findings(dead) == {"az is stuck"}
    full = np.clip(20 * rows, -20, 20)
    full[:, 1:] = rows[:, 1:]
    assert findings(full) == {"ax is saturated"}
    wild = rows.copy()
    wild[500, 3:5] = 25
    assert findings(wild) == {"gx, gy are out of range"}
    for odd in (np.nan, 1e38):
        wild[500, 3] = odd
        assert findings(wild) == {"it holds NaN, infinity or more than 1e+15"}
    slow = [replace(s, time=100 + 1.3 * (s.time - 100)) for s in stream(rows)]
    health = Health(SPEC, Thresholds(), now=100.0)
    assert {f for s in slow for f in health.check(s, s.time)} == {"its rate is wrong, not 50 Hz"}


def test_a_slow_sensor_that_repeats_itself_is_healthy() -> None:
    spec = InputSpec("co2", "float32", (1, 60, 1), 1, 60.0, 30.0, 120.0, "series", (Channel("co2", "ppm"),))
    health = Health(spec, Thresholds(), now=0.0)
    values = np.repeat(np.arange(30), 10)
    found = set()
    for second, value in enumerate(values, start=1):
        sample = Sample("co2", np.array([[value]], np.float32), float(second), cut=second == 1)
        found.update(health.check(sample, float(second)))
        found.update(health.check(None, second + 0.9))
    assert found == set()


def degraded(name: str, severity: int, rows: Rows, size: int = 5) -> Rows:
    applied = Applied("imu", next(c for c in KIND.conditions if c.name == name), severity)
    act = applied.condition.begin(severity, SPEC, seed=3)
    return np.concatenate([np.asarray(act(sample).data) for sample in stream(rows, size)])


@pytest.mark.parametrize("name", ["noise", "drift", "dead", "rotated", "saturated", "gaps"])
def test_conditions_grow_and_do_not_depend_on_the_cut(name: str) -> None:
    rows = moved(4000)
    errors = []
    for severity in range(1, 6):
        given = degraded(name, severity, rows)
        assert (given.dtype, given.shape) == (np.float32, rows.shape)
        np.testing.assert_allclose(given, degraded(name, severity, rows, size=16), atol=1e-4)
        errors.append(float(np.square(given - rows).mean()))
    assert errors == sorted(errors)
    assert 0 < errors[0] < errors[-1]


def test_a_rotated_mount_keeps_lengths_and_dead_channels_are_constant() -> None:
    rows = moved(100)
    turned = degraded("rotated", 3, rows)
    for places in vectors(IMU):
        np.testing.assert_allclose(
            np.linalg.norm(turned[:, places], axis=1), np.linalg.norm(rows[:, places], axis=1), rtol=1e-4
        )
    dead = degraded("dead", 5, rows)
    assert (np.ptp(dead, axis=0) == 0).sum() == 4
