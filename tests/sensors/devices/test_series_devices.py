"""Series from real sockets, pipes, a pseudo-terminal, and files as the kernel has them."""

import json
import os
import pty
import socket
import struct
from contextlib import suppress
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from sensemble_sensors.clock import VirtualClock
from sensemble_sensors.devices.iio import Iio
from sensemble_sensors.devices.line_series import LineSeries
from sensemble_sensors.devices.polled import MAX_LINE
from sensemble_sensors.devices.registry import device_of
from sensemble_sensors.devices.rows import Row, RowParser
from sensemble_sensors.devices.units import quantity
from sensemble_sensors.errors import (
    BadDataError,
    SensorEndedError,
    SensorLostError,
    SensorUnavailableError,
)
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import Channel, InputSpec

from tests.sensors.reading import free_port, read_on, rows_of

SPEC = InputSpec(
    "imu",
    "float32",
    (1, 100, 2),
    100,
    1.0,
    0.5,
    2.0,
    "series",
    (Channel("ax", "m/s^2"), Channel("gz", "deg/s")),
)


def test_rows_are_read_in_every_form() -> None:
    parser = RowParser(["ax", "gz"])
    assert parser.parse(b'{"time": 1.5, "gz": 2, "ax": -1e-3, "note": "x"}\n') == Row(1.5, [-1e-3, 2.0])
    assert parser.parse(b"[1, 2]") == Row(None, [1.0, 2.0])
    assert parser.parse(b" 1.5 , 2\r\n") == Row(None, [1.5, 2.0])
    assert parser.parse(b"\n") is None
    assert parser.parse(b'"gz",time,ax\n') is None
    assert parser.parse(b"1,2,3\n") == Row(2.0, [3.0, 1.0])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1,2,3", "has 3 numbers, not 2"),
        (b"1,nan", "gz: must be a number"),
        (b'{"ax": 1}', "gz: must be a number"),
        (b'{"ax": true, "gz": 1}', "ax: must be a number"),
        (b'{"ax": NaN, "gz": 1}', "ax: must be a number"),
        (b'{"ax": 1e38, "gz": 1}', "ax: must be a number, at most 1e+15, got 1e+38"),
        (b'{"ax": 1' + b"0" * 400 + b', "gz": 1}', "ax: must be a number"),
        (b"[1]", "neither an object nor a list of 2"),
        (b"{" * 50_000, "is not JSON"),
        (b'{"ax": 1, "gz": 1, "ax": 2}', "a key is repeated: ax; give it once"),
        (b"hello, world", "neither a row nor a header with ax, gz"),
        (b"ax,gz,ax", "neither a row nor a header with ax, gz, each once"),
        (b"\xff\x00\x01", "neither a row"),
        (b"1," * MAX_LINE, "longer than"),
    ],
)
def test_what_is_no_row_is_refused_in_a_line(line: bytes, reason: str) -> None:
    with pytest.raises(BadDataError) as caught:
        RowParser(["ax", "gz"]).parse(line)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.real
def test_lines_come_over_tcp_at_the_times_that_they_state() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sensor = LineSeries(f"tcp://127.0.0.1:{server.getsockname()[1]}", modality="imu")
        sensor.open(SPEC)
        connection, _ = server.accept()
        # 50 Hz on the sender's clock, twice as fast as real time: the times count, not the arrival.
        lines = [json.dumps({"time": 1000 + i / 50, "ax": i, "gz": -i}) for i in range(51)]
        connection.sendall("".join(line + "\n" for line in lines).encode())
        rows = rows_of(sensor, 100)
        assert len(rows) == 100
        np.testing.assert_allclose(rows[:, 0], np.arange(100) / 2, atol=1e-4)
        np.testing.assert_array_equal(rows[:, 1], -rows[:, 0])
        connection.close()
        assert isinstance(read_on(sensor)[1], SensorLostError)
        sensor.close()
        sensor.close()
    with pytest.raises(SensorUnavailableError, match="cannot be opened"):
        sensor.open(SPEC)


@pytest.mark.real
def test_datagrams_and_pipes_give_rows_and_survive_bad_lines(tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    sensor = LineSeries(f"udp://:{port}", modality="imu")
    sensor.open(SPEC)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for text in (b"", b"1,2", b"3,4\n5,6", b"what?", b"7,8"):
            sender.sendto(text, ("127.0.0.1", port))
    np.testing.assert_array_equal(rows_of(sensor, 4), [[1, 2], [3, 4], [5, 6], [7, 8]])
    sensor.close()

    os.mkfifo(tmp_path / "rows")
    sensor = LineSeries(f"pipe:{tmp_path / 'rows'}", modality="imu")
    sensor.open(SPEC)
    assert not sensor.played
    assert sensor.read(0.0) is None
    with (tmp_path / "rows").open("wb", buffering=0) as pipe:
        pipe.write(b"ken line\n1,2\n3,4\nbad\n5,")  # the first may be broken
        np.testing.assert_array_equal(rows_of(sensor, 2), [[1, 2], [3, 4]])
        pipe.write(b"6\n")
        np.testing.assert_array_equal(rows_of(sensor, 1), [[5, 6]])
        pipe.write(b"x y z\n" * 20)
        error = read_on(sensor)[1]
    assert isinstance(error, SensorLostError)
    assert "'x y z' is neither a row" in str(error)
    sensor.close()


@pytest.mark.real
def test_junk_among_datagrams_is_counted_and_breaks_nothing() -> None:
    port = free_port(socket.SOCK_DGRAM)
    sensor = LineSeries(f"udp://:{port}", modality="imu")
    sensor.open(SPEC)
    samples: list[Sample] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for i in range(50):
            for text in (*[b"junk"] * 10, b"\xff" * 60_000, f"{i},{i}".encode()):
                sender.sendto(text, ("127.0.0.1", port))
            if sample := sensor.read(0.02):
                samples.append(sample)
        samples += [sample for _ in range(5) if (sample := sensor.read(0.1))]
    sensor.close()
    rows = np.concatenate([np.asarray(sample.data) for sample in samples])
    assert len(rows) > 25
    assert not any(sample.cut for sample in samples[1:])
    assert sum(sample.lost for sample in samples) > 100


@pytest.mark.real
def test_datagrams_of_other_machines_are_asked_for_by_their_sender() -> None:
    port = free_port(socket.SOCK_DGRAM)
    for source in (f"udp://0.0.0.0:{port}", f"udp://0.0.0.0:{port}?from=a,b", f"udp://[::]:{port}"):
        with pytest.raises(SensorUnavailableError, match=r"\?from=ADDRESS"):
            LineSeries(source, modality="imu").open(SPEC)
    sensor = LineSeries(f"udp://0.0.0.0:{port}?from=127.0.0.2,10.0.0.0/8", modality="imu")
    sensor.open(SPEC)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.3", 0))
        _, error = read_on(sensor, lambda: stranger.sendto(b"9,9", ("127.0.0.1", port)))
        assert "127.0.0.3" in str(error)
        sensor.open(SPEC)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind(("127.0.0.2", 0))
            stranger.sendto(b"9,9", ("127.0.0.1", port))
            sender.sendto(b"1,2", ("127.0.0.1", port))
        np.testing.assert_array_equal(rows_of(sensor, 1), [[1, 2]])
    sensor.close()


@pytest.mark.real
def test_a_wrong_clock_loses_a_stream_and_ends_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows")
    (tmp_path / "file.csv").write_text("time,ax,gz\n" + "".join(f"{10 * i},1,2\n" for i in range(50)))
    lines = (json.dumps({"time": 10 * i, "ax": 1, "gz": 2}).encode() + b"\n" for i in count())
    with (tmp_path / "rows").open("r+b", buffering=0) as pipe:
        for source, kind in (("rows", SensorLostError), ("file.csv", SensorEndedError)):
            sensor = LineSeries(str(tmp_path / source), modality="imu")
            sensor.open(SPEC)
            _, error = read_on(sensor, lambda: pipe.write(next(lines)))
            sensor.close()
            assert isinstance(error, kind)
            assert "milliseconds" in str(error)


@pytest.mark.parametrize("header", ["ax,gz", "time,ax,gz"])
def test_a_file_of_rows_is_played_at_its_rate(tmp_path: Path, header: str) -> None:
    times = ["" if header == "ax,gz" else f"{i / SPEC.rate}," for i in range(30)]
    text = "".join(f"{time}{i},0\n" for i, time in enumerate(times))
    (tmp_path / "rows.csv").write_text(f"{header}\n{text}".rstrip())
    clock = VirtualClock()
    sensor = LineSeries(str(tmp_path / "rows.csv"), modality="imu", clock=clock)
    assert sensor.played
    sensor.open(SPEC)
    samples: list[Sample] = []
    with suppress(SensorEndedError):
        while True:
            if sample := sensor.read(0):
                assert sample.time <= clock.now()
                samples.append(sample)
            else:
                clock.advance(0.05)
    sensor.close()
    rows = sum(len(sample.data) for sample in samples[1:])
    assert rows >= 30 - max(1, round(0.1 * SPEC.rate)) - 2
    assert samples[-1].time - samples[0].time == pytest.approx(rows / SPEC.rate)


@pytest.mark.real
def test_a_serial_port_is_read_at_its_rate_after_what_the_device_says_of_its_start() -> None:
    ours, theirs = pty.openpty()
    sensor = LineSeries(f"serial:{os.ttyname(theirs)}?baud=9600", modality="imu")
    sensor.open(SPEC)
    for _ in range(3):
        os.write(ours, b"boot: load\r\n" * 20)
        assert sensor.read(0.05) is None
    os.write(ours, b"1,2\r\n3,4\r\n")
    np.testing.assert_array_equal(rows_of(sensor, 2), [[1, 2], [3, 4]])
    sensor.close()

    sensor.open(SPEC)
    for piece, rest in (b"starts\r\n", 1.6), (b"calibrated\r\n", 0.05), (b"1,", 0.05):
        os.write(ours, piece)
        assert sensor.read(rest) is None
    os.write(ours, b"2\r\n")
    np.testing.assert_array_equal(rows_of(sensor, 1), [[1, 2]])
    sensor.close()

    def go_on() -> None:
        while os.write(ours, b"boot: load\r\n"):
            sensor.read(0.05)

    sensor.open(SPEC)
    with pytest.raises(SensorLostError, match=r"lines is a row: .*'boot: load'"):
        go_on()
    sensor.close()
    with pytest.raises(SensorUnavailableError, match="baud=12 is not a rate"):
        LineSeries(f"serial:{os.ttyname(theirs)}?baud=12", modality="imu").open(SPEC)
    with pytest.raises(SensorUnavailableError, match="not a serial port"):
        LineSeries(f"serial:{os.devnull}", modality="imu").open(SPEC)
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(
    "source", ["tcp://[::1", "udp://:x", "tcp://a", "tcp://:99999", "http://:99999", "http://[::1"]
)
def test_what_is_no_address_is_refused_in_a_line(source: str) -> None:
    device, own = device_of(SPEC, source)
    with pytest.raises(SensorUnavailableError, match=r"an address is [a-z]+://HOST:PORT"):
        device(own, modality="imu").open(SPEC)


# Industrial I/O.

SCAN = struct.Struct("<hxxi")  # an accelerometer's 16 bits, then 20 bits of 32 of a gyroscope: 8 bytes


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A device as the kernel shows it: twelve bits of an accelerometer, twenty of a gyroscope."""
    folder = tmp_path / "sys" / "iio:device3"
    (folder / "scan_elements").mkdir(parents=True)
    (folder / "buffer").mkdir()
    elements = {
        "accel_x": ("0", "le:s12/16>>4"),
        "accel_y": ("1", "le:s12/16>>4"),
        "anglvel_z": ("2", "le:s20/32>>0"),
        "timestamp": ("3", "le:s64/64>>0"),
    }
    for name, (index, form) in elements.items():
        for suffix, text in (("index", index), ("type", form), ("en", "1")):
            (folder / "scan_elements" / f"in_{name}_{suffix}").write_text(f"{text}\n")
    files = {
        "name": "lsm6ds3",
        "in_accel_scale": "0.01",
        "in_anglvel_z_scale": "0.001",
        "in_anglvel_z_offset": "10",
        "sampling_frequency": "26",
        "sampling_frequency_available": "26 104.00 208 nan 1e400 -500",
        "buffer/enable": "0",
        "buffer/length": "2",
        "buffer/watermark": "1",
    }
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")
    (tmp_path / "dev").mkdir()
    os.mkfifo(tmp_path / "dev" / "iio:device3")
    return folder


@pytest.fixture
def iio(device: Path) -> Iio:
    return Iio("lsm6ds3", None, "imu", str(device.parent), str(device.parents[1] / "dev"))


def test_scans_of_an_iio_device_are_scaled_and_brought_to_the_rate(
    device: Path, iio: Iio, tmp_path: Path
) -> None:
    iio.open(SPEC)
    enabled = {p.name: p.read_text().strip() for p in (device / "scan_elements").glob("*_en")}
    assert enabled == {
        "in_accel_x_en": "1",
        "in_accel_y_en": "0",
        "in_anglvel_z_en": "1",
        "in_timestamp_en": "0",
    }
    assert (device / "sampling_frequency").read_text() == "104.00", "as it is offered"
    assert (device / "buffer/enable").read_text() == "1"
    scans = b"".join(SCAN.pack(-100 << 4, (1 << 20) - 5 + (7 << 20)) for _ in range(105))
    with (tmp_path / "dev" / "iio:device3").open("wb", buffering=0) as node:
        node.write(scans[:13])  # a read may end within a scan
        node.write(scans[13:])
        rows = rows_of(iio, 100)
    # -100 at 0.01 m/s^2; (-5 + 10) at 0.001 rad/s, in degrees.
    np.testing.assert_allclose(rows, np.tile([-1.0, np.degrees(0.005)], (len(rows), 1)), rtol=1e-5)
    iio.close()
    assert (device / "buffer/enable").read_text() == "0"


ANGLE = "scan_elements/in_anglvel_z_type"


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("../../dev/iio:device3", None, r"cannot be started \(No such file.*may write"),
        ("name", "other", r"no such device; there are 3 \(other\)"),
        (ANGLE, None, "has no channel anglvel_z; it has accel_x, accel_y"),
        (ANGLE, "le:float", "le:float"),
        (ANGLE, "le:s24/24>>0", "leave anglvel_z out"),
        ("in_accel_scale", "0", "in_accel_scale"),
        *(("in_accel_scale", text, "in_accel_scale") for text in ("nan", "inf", "x", "1e300")),
        *(("in_anglvel_z_offset", text, "in_anglvel_z_offset") for text in ("nan", "inf", "x", "1e300")),
    ],
)
def test_an_iio_device_that_cannot_serve_says_so_and_rests(
    device: Path, iio: Iio, file: str, text: str | None, reason: str
) -> None:
    if text is None:
        (device / file).unlink()
    else:
        (device / file).write_text(text)
    with pytest.raises(SensorUnavailableError, match=reason):
        iio.open(SPEC)
    assert (device / "buffer/enable").read_text().strip() == "0"


ODD = (b"nan", b"inf", b"1e400", b"1e-320", b"-1e300", b"0", b"\xff\xfe", b"", b"1 2", b"\0", b"9" * 5000)
FORMS = (b"le:s99999/16>>4", b"le:s12/16>>64", b"le:s0/16>>0", b"le:s12/16X0>>4", b"le:s17/16>>0")


@pytest.mark.parametrize("text", [*ODD, *FORMS])
def test_odd_files_of_an_iio_device_are_refused_or_left_out(device: Path, iio: Iio, text: bytes) -> None:
    for path in sorted(device.rglob("*")):
        if path.is_file():
            before = path.read_bytes()
            path.write_bytes(text)
            with suppress(SensorUnavailableError):
                iio.open(SPEC)
                iio.close()
            path.write_bytes(before)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("ax", "accel_x"),
        ("accX", "accel_x"),
        ("in_accel_x", "accel_x"),
        ("gyroscope.z", "anglvel_z"),
        ("field_x", "field_x"),
        ("proximity", "proximity"),
        ("humidity", "humidity"),
        ("lux", "lux"),
    ],
)
def test_a_quantity_has_one_name(name: str, known: str) -> None:
    assert quantity(name) == known
