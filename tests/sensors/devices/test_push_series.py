"""Series that phones push, as their apps send them, over connections of honest and of hostile clients."""

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from sensemble_sensors.clock import REAL, Clock, VirtualClock
from sensemble_sensors.devices import push_server
from sensemble_sensors.devices.push_bodies import decode, streams
from sensemble_sensors.devices.push_series import TOKEN, PushSeries
from sensemble_sensors.errors import BadDataError, SensorUnavailableError
from sensemble_sensors.spec import Channel, InputSpec

from tests.mutations import MANY, SEEDS, json_mutated, one_line
from tests.sensors.reading import read_on, rows_of
from tests.waiting import PATIENCE

pytestmark = pytest.mark.real

SECRET = "0123456789abcdef"  # noqa: S105
BEGIN = 1_698_501_144_401_773_000  # nanoseconds since 1970


def spec_of(modality: str, *channels: Channel, rate: float = 100.0) -> InputSpec:
    count = round(rate)
    return InputSpec(modality, "float32", (1, count, len(channels)), rate, 1.0, 0.5, 2.0, "series", channels)


SPEC = spec_of("imu", Channel("ax", "m/s^2"), Channel("gz", "rad/s"))
ACC = tuple(Channel(f"a{axis}", "m/s^2") for axis in "xyz")
GYR = tuple(Channel(f"g{axis}", "rad/s") for axis in "xyz")


@contextmanager
def opened(source: str, spec: InputSpec = SPEC, clock: Clock = REAL) -> Iterator[PushSeries]:
    sensor = PushSeries(source, modality=spec.modality, clock=clock)
    sensor.open(spec)
    try:
        yield sensor
    finally:
        sensor.close()


@pytest.fixture
def clock() -> VirtualClock:
    """The port's clock, which only the test moves: a pause of the machine is no pause of the device.

    It stays behind the machine's, by which `rows_of` sees that no row is of the future.
    """
    return VirtualClock(monotonic() - 60)


@pytest.fixture
def phone(clock: VirtualClock) -> Iterator[PushSeries]:
    """A sensor that listens at a free port."""
    with opened("http://127.0.0.1:0", clock=clock) as sensor:
        yield sensor


def sent(connection: HTTPConnection, body: object, path: str = "/data", **headers: str) -> tuple[int, str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", path, data, headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def post(
    sensor: PushSeries, body: object, path: str = "/data", host: str = "", **headers: str
) -> tuple[int, str]:
    connection = HTTPConnection(*sensor.address, timeout=PATIENCE, source_address=(host, 0) if host else None)
    try:
        return sent(connection, body, path, **headers)
    finally:
        connection.close()


def logged(name: str, times: NDArray[np.float64], **axes: object) -> list[dict[str, Any]]:
    """Return a sensor's items as Sensor Logger sends them; an axis is a function of the time, or a number."""
    return [
        {
            "name": name,
            "time": BEGIN + round(1e9 * time),
            "accuracy": 3,
            "values": {axis: value(time) if callable(value) else value for axis, value in axes.items()},
        }
        for time in times
    ]


def batches(items: Sequence[dict[str, Any]], seconds: float = 0.2) -> list[dict[str, Any]]:
    """Return the bodies in which Sensor Logger sends its items."""
    slices: dict[int, list[dict[str, Any]]] = {}
    for item in sorted(items, key=lambda one: int(one["time"])):
        slices.setdefault(int((item["time"] - BEGIN) / 1e9 / seconds), []).append(item)
    return [
        {"messageId": number, "sessionId": "s", "deviceId": "d", "payload": payload}
        for number, payload in enumerate(slices.values())
    ]


SECOND = np.arange(0, 1, 0.01)


# What apps send.


def test_four_modalities_come_from_a_phone_and_a_watch_by_one_app(phone: PushSeries) -> None:
    port = phone.address[1]
    wanted = {"phone.acc": ACC, "phone.gyr": GYR, "watch.acc": ACC, "watch.gyr": GYR}
    items = [
        *logged("accelerometer", SECOND, x=1.0, y=lambda t: t, z=0.0),
        *logged("gravity", SECOND + 0.002, x=0.0, y=0.0, z=9.80665),
        *logged("gyroscope", SECOND + 0.004, x=0.1, y=0.2, z=lambda t: -t),
        *logged("battery", SECOND[::50], batteryLevel=0.5, batteryState="charging", lowPowerMode=False),
        *logged(
            "wrist motion",
            SECOND[::2] + 0.001,  # 50 Hz; an Apple Watch gives accelerations in g
            accelerationX=0.5,
            accelerationY=0.0,
            accelerationZ=lambda t: t,
            gravityX=0.0,
            gravityY=-1.0,
            gravityZ=0.0,
            rotationRateX=1.0,
            rotationRateY=lambda t: 2 * t,
            rotationRateZ=3.0,
            quaternionW=1.0,
            quaternionX=0.0,
            quaternionY=0.0,
            quaternionZ=0.0,
        ),
    ]
    with ExitStack() as stack:
        sensors = {
            name: stack.enter_context(
                opened(f"http://127.0.0.1:{port}/{name.partition('.')[0]}", spec_of(name, *channels))
            )
            for name, channels in wanted.items()
        }
        connection = HTTPConnection(*phone.address, timeout=PATIENCE)
        for body in batches(items):
            assert sent(connection, body, "/phone") == (200, "")
        rows = {name: rows_of(sensor, 90)[:90] for name, sensor in sensors.items()}
    np.testing.assert_allclose(rows["phone.acc"][:, [0, 2]], np.tile([1, 9.80665], (90, 1)), rtol=1e-5)
    np.testing.assert_allclose(np.diff(rows["phone.acc"][:, 1]), 0.01, atol=1e-4)
    np.testing.assert_allclose(rows["phone.gyr"][:, :2], np.tile([0.1, 0.2], (90, 1)), rtol=1e-5)
    np.testing.assert_allclose(np.diff(rows["phone.gyr"][:, 2]), -0.01, atol=1e-4)
    watch = rows["watch.acc"]
    np.testing.assert_allclose(watch[:, :2] / 9.80665, np.tile([0.5, -1], (90, 1)), rtol=1e-5)
    np.testing.assert_allclose(np.diff(watch[:, 2]) / 9.80665, 0.01, atol=1e-4)
    np.testing.assert_allclose(rows["watch.gyr"][:, [0, 2]], np.tile([1, 3], (90, 1)), rtol=1e-5)
    np.testing.assert_allclose(np.diff(rows["watch.gyr"][:, 1]), 0.02, atol=1e-4)


def test_rows_of_several_modalities_on_one_address_need_names(phone: PushSeries) -> None:
    port = phone.address[1]
    with (
        opened(f"http://127.0.0.1:{port}/phone", spec_of("phone.acc", *ACC)) as acc,
        opened(f"http://127.0.0.1:{port}/phone", spec_of("phone.gyr", *GYR)) as gyr,
    ):
        for body in (b"1,2,3", [[1, 2, 3]]):
            assert post(phone, body, "/phone")[0] == 400
        assert post(phone, b"ax,ay,az,gx,gy,gz\n1,2,3,4,5,6", "/phone")[0] == 200
        np.testing.assert_array_equal(rows_of(acc, 1), [[1, 2, 3]])
        np.testing.assert_array_equal(rows_of(gyr, 1), [[4, 5, 6]])
        assert post(phone, [{"ax": 1, "gz": 2}], "/wach")[0] == 200
        np.testing.assert_array_equal(rows_of(phone, 1), [[1, 2]])


def test_a_device_that_nobody_listens_to_is_refused_with_those_that_are() -> None:
    with opened("http://127.0.0.1:0/phone") as sensor:
        status, text = post(sensor, [[1, 2]], "/fone")
        assert (status, "/phone" in text) == (400, True)
        status, text = post(sensor, {"payload": logged("gyroscope", SECOND, z=1)}, "/fone")
        assert (status, "/phone" in text) == (400, True)


def test_phyphox_sends_buffers_each_with_the_times_of_its_sensor(phone: PushSeries) -> None:
    """As its `http/post` writes them: metadata is text, NaN is null, and kept values come again."""
    port = phone.address[1]
    spec = spec_of("phone", Channel("ax", "g"), Channel("gz", "deg/s"))
    with opened(f"http://127.0.0.1:{port}/phyphox", spec) as sensor:
        for end in range(20, 120, 20):
            times = SECOND[max(0, end - 60) : end]  # a buffer of 60 values that is kept
            body = {
                "id": "Fancy Company",
                "acc_time": times.tolist(),
                "accX": [9.80665 * time for time in times],
                "gyr_time": (times + 0.003).tolist(),
                "gyrX": [0.0] * len(times),
                "gyrZ": [None if i == 3 else 0.5 for i in range(len(times))],
                "empty": [],
            }
            if end == 20:
                status, text = post(phone, body, "/phyphox")
                assert (status, "empty" in text) == (400, True), "a list without times is no mistake to hide"
            del body["empty"]
            assert post(phone, body, "/phyphox") == (200, "")
        rows = rows_of(sensor, 90)
    assert len(rows) <= 100, "what comes again counts once"
    np.testing.assert_allclose(np.diff(rows[:, 0]), 0.01, atol=1e-4)
    np.testing.assert_allclose(rows[:, 1], np.degrees(0.5), rtol=1e-5)


@pytest.mark.parametrize(
    "names", [("accelerometer", "totalAcceleration"), ("totalAcceleration", "gyroscopeUncalibrated")]
)
def test_an_acceleration_with_gravity_is_preferred(phone: PushSeries, names: tuple[str, str]) -> None:
    values = {"accelerometer": {"x": 1}, "totalAcceleration": {"x": 9}, "gyroscope": {"z": 2}}
    values |= {"gyroscopeUncalibrated": {"z": 7}}
    items = [item for name in (*names, "gyroscope") for item in logged(name, SECOND, **values[name])]
    assert post(phone, {"payload": items})[0] == 200
    expected = [9, 7 if "gyroscopeUncalibrated" in names else 2]  # of equals, the first
    np.testing.assert_allclose(rows_of(phone, 90)[:90], np.tile(expected, (90, 1)))


@pytest.mark.parametrize("scale", [1.0, 9.80665])
def test_an_uncalibrated_accelerometer_in_g_is_recognized(scale: float) -> None:
    with opened("http://127.0.0.1:0", spec_of("acc", *ACC)) as sensor:
        items = logged("accelerometerUncalibrated", SECOND, x=0.6 * scale, y=0.0, z=-0.8 * scale)
        assert post(sensor, {"payload": items})[0] == 200
        np.testing.assert_allclose(
            rows_of(sensor, 90)[:90] / 9.80665, np.tile([0.6, 0, -0.8], (90, 1)), rtol=1e-5
        )


def test_axes_that_come_one_an_item_are_joined(phone: PushSeries) -> None:
    items = [
        item
        for name, axes in {"accelerometer": "xyz", "gyroscope": "xyz"}.items()
        for place, axis in enumerate(axes)
        for item in logged(name, SECOND + 0.001 * place, **{axis: 5.0})
    ]
    for body in batches(items):
        assert post(phone, body)[0] == 200
    rows = rows_of(phone, 90)
    np.testing.assert_allclose(rows, 5.0)
    for third in range(3):  # also one axis a post
        own = [item for item in items if "xyz"[third] in item["values"]]
        later = [{**item, "time": item["time"] + 1_000_000_000} for item in own]
        assert post(phone, {"deviceId": "d", "payload": later})[0] == 200
    np.testing.assert_allclose(rows_of(phone, 90), 5.0)


def test_a_hole_in_one_of_two_quantities_is_a_cut(phone: PushSeries) -> None:
    items = [
        *logged("accelerometer", np.arange(0, 3, 0.01), x=1.0),
        *(
            i
            for i in logged("gyroscope", np.arange(0, 3, 0.01), z=2.0)
            if not 1 < (i["time"] - BEGIN) / 1e9 < 2
        ),
    ]
    assert post(phone, {"payload": items})[0] == 200
    samples = [sample for _ in range(4) if (sample := phone.read(0.1))]
    assert [sample.cut for sample in samples] == [True, True]
    assert sum(len(sample.data) for sample in samples) < 210


def test_a_clock_that_starts_again_begins_anew(phone: PushSeries) -> None:
    for origin in (50.0, 0.0, 1000.0):
        times = (origin + SECOND).tolist()
        assert post(phone, {"time": times, "ax": [origin] * 100, "gz": [1] * 100})[0] == 200
        np.testing.assert_allclose(rows_of(phone, 98)[:, 0], origin)


def test_a_clock_that_steps_back_keeps_two_accelerometers() -> None:
    with opened("http://127.0.0.1:0", spec_of("acc", *ACC)) as sensor:
        for start in (10.0, 5.0, 6.0):
            times = start + np.arange(100) / 100
            pair = [
                logged(name, times, x=1.0, y=2.0, z=9.0) for name in ("accelerometer", "totalacceleration")
            ]
            assert post(sensor, {"payload": [*pair[0], *pair[1]]})[0] == 200
            assert rows_of(sensor, 99)[-1] == pytest.approx([1, 2, 9])


# What is wrong is said, to the app and to the session.


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"payload": [1]}, "payload: must hold objects"),
        ({"payload": [{"name": "accelerometer", "time": None, "values": {"x": 1}}]}, "accelerometer.time"),
        ({"payload": [{"name": "gyroscope", "time": 1, "values": {"z": float("nan")}}]}, "gyroscope.z"),
        ({"time": [1, 2], "ax": [1], "gz": [1, 2]}, "lists of one length"),
        ({"ax": [1, 2]}, "ax: has no times"),
        ({"time": [1, "2"], "ax": [1, 2]}, "time: must be a number"),
        ([], "holds no row"),
        ([{"time": 1, "ax": 1, "gz": 1}, {"ax": 1, "gz": 1}], "in all rows or in none"),
        (b"[" * 100_000, "no JSON"),
        (b'{"time": [1], "time": [2], "ax": [1], "gz": [1]}', "a key is repeated: time; give it once"),
        (b"hello", "neither a row"),
    ],
)
def test_a_bad_body_is_refused_with_the_reason(phone: PushSeries, body: object, reason: str) -> None:
    status, text = post(phone, body)
    assert status == 400
    assert reason in text


@MANY
@given(seed=SEEDS)
def test_mutated_bodies_are_streams_rows_or_refused(seed: int) -> None:
    items = [*logged("accelerometer", SECOND[:3], x=1, y=2), *logged("wrist motion", SECOND[:3], gravityX=1)]
    items += logged("gravity", SECOND[:2], x=1, y=2, z=3)
    columns = {"acc_time": [0.1, 0.2], "accX": [1, None], "time": [1], "gz": [3], "id": "x"}
    for body in (json.dumps({"payload": items}), json.dumps(columns)):
        try:
            streams(decode(json_mutated(body.encode(), seed)))
        except BadDataError as error:
            one_line(error)


def test_a_quantity_that_stops_is_named(phone: PushSeries, clock: VirtualClock) -> None:
    """To the app by its answer, and to the session by the sensor's reason."""
    answers = []
    for number, body in enumerate(batches(logged("accelerometer", np.arange(0, 40, 0.05), x=1.0))):
        if number < 5:
            body["payload"] += logged("gyroscope", 0.2 * number + SECOND[:20], z=1.0)
        answers.append(post(phone, body))
        if answers[-1][0] != 200:
            break
        clock.advance(0.1)
    assert [status for status, _ in answers[:5]] == [200] * 5
    assert answers[-1][0] == 400
    for text in (answers[-1][1], str(read_on(phone)[1])):
        assert "gz" in text.replace("imu", "")
        assert "ax:" not in text
        assert "accelerometer" in text


def test_one_absurd_time_is_left_out(phone: PushSeries) -> None:
    items = [*logged("accelerometer", SECOND, x=1), *logged("gyroscope", SECOND, z=1)]
    for item in (items[50], items[150]):
        item["time"] += 3600 * 10**9
    assert post(phone, {"payload": items})[0] == 200
    sample = phone.read(PATIENCE)
    assert sample is not None
    assert len(sample.data) == 99


def test_two_devices_on_one_path_are_not_mixed(phone: PushSeries) -> None:
    def body(device: str, at: float) -> dict[str, Any]:
        items = [*logged("accelerometer", at + SECOND, x=1), *logged("gyroscope", at + SECOND, z=1)]
        return {"deviceId": device, "payload": items}

    assert post(phone, body("a", 0))[0] == 200
    status, text = post(phone, body("b", 0.3))
    assert (status, "give each a path" in text) == (400, True)
    assert post(phone, body("a", 1))[0] == 200
    assert post(phone, [[1, 2]], host="127.0.0.9")[0] == 400
    assert len(rows_of(phone, 190)) <= 200


def test_clocks_that_differ_are_said(phone: PushSeries, clock: VirtualClock) -> None:
    for part in range(40):
        now = 0.1 * part + np.arange(0, 0.1, 0.01)
        body = {"acc_time": now.tolist(), "accX": [1] * 10}
        body |= {"gyr_time": (now + 1.7e9).tolist(), "gyrZ": [1] * 10}
        status, text = post(phone, body)
        if status == 400:
            break
        clock.advance(0.1)
    assert "one clock" in text


# Who may push, and what others can do.


def test_nobody_else_may_push(phone: PushSeries, monkeypatch: pytest.MonkeyPatch) -> None:
    assert post(phone, [[1, 2]], Origin="http://a-page.example")[0] == 401
    for length in (str(1 << 40), "9" * 5000, "-1", "x"):
        connection = HTTPConnection(*phone.address, timeout=PATIENCE)
        connection.putrequest("POST", "/data")
        connection.putheader("Content-Length", length)
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()
    with pytest.raises(SensorUnavailableError, match=rf"token .*{TOKEN}"):
        PushSeries("http://0.0.0.0:0", modality="imu").open(SPEC)
    for weak in ("secret", "a b", "äöü" * 10, "0123456789abcde\n0"):
        monkeypatch.setenv(TOKEN, weak)
        with pytest.raises(SensorUnavailableError, match=TOKEN):
            PushSeries("http://127.0.0.1:0", modality="imu").open(SPEC)
    monkeypatch.setenv(TOKEN, SECRET)
    with opened("http://127.0.0.1:0") as sensor:
        assert post(sensor, [[1, 2]])[0] == 401
        assert post(sensor, b"x" * 900_000, "/data?token=guess")[0] == 401
        assert post(sensor, [[1, 2]], f"/data?token={SECRET}")[0] == 200
        assert post(sensor, [[3, 4]], Authorization=f"Bearer {SECRET}")[0] == 200
        np.testing.assert_array_equal(rows_of(sensor, 2), [[1, 2], [3, 4]])
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SensorUnavailableError):
        PushSeries(f"http://127.0.0.1:{taken.getsockname()[1]}", modality="imu").open(SPEC)


@contextmanager
def hostile(address: tuple[str, int], hosts: Sequence[str], half_open: int, again: int) -> Iterator[None]:
    """Hold connections half open from each host; let others connect again and again, some with a guess."""
    stop, held = (
        Event(),
        [socket.create_connection(address, PATIENCE, (host, 0)) for host in hosts for _ in range(half_open)],
    )
    for each in held[::2]:
        each.sendall(b"POST /phone HTTP/1.1\r\nX-Slow: ")

    def reconnect(number: int) -> None:
        while not stop.is_set():
            with (
                suppress(OSError),
                socket.create_connection(address, PATIENCE, (hosts[number % len(hosts)], 0)) as one,
            ):
                if number % 2:
                    one.sendall(b"POST /?token=guess HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]")
                    one.recv(100)
                else:
                    held.append(one.dup())

    threads = [Thread(target=reconnect, args=(number,)) for number in range(again)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for each in held:
            each.close()


@pytest.mark.parametrize("hosts", [("127.0.0.1",), tuple(f"127.0.0.{i}" for i in range(2, 10))])
def test_hostile_clients_do_not_starve_a_phone(hosts: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, SECRET)
    with (
        opened("http://127.0.0.1:0") as sensor,
        hostile(sensor.address, hosts, half_open=240 // len(hosts), again=8),
    ):
        kept = HTTPConnection(*sensor.address, timeout=PATIENCE)
        for number in range(15):
            assert sent(kept, [[number, 1]], f"/phone?token={SECRET}") == (200, "")
            assert post(sensor, [[number, 2]], f"/phone?token={SECRET}") == (200, "")
        kept.close()
        assert len(rows_of(sensor, 30)) == 30


def test_a_phone_that_connects_anew_outlasts_strangers_of_many_addresses() -> None:
    with opened("http://127.0.0.1:0") as phone, ExitStack() as held:
        assert post(phone, [[1, 2]], host="127.0.0.9")[0] == 200
        known = HTTPConnection(*phone.address, timeout=PATIENCE, source_address=("127.0.0.9", 0))
        held.callback(known.close)
        known.connect()
        others = [(f"127.0.1.{i}", 0) for i in range(1, 201)]
        strangers = [
            held.enter_context(socket.create_connection(phone.address, PATIENCE, other)) for other in others
        ]
        assert strangers[50].recv(1) == b"", "it was closed for a later one"
        assert sent(known, [[3, 4]])[0] == 200


@pytest.mark.parametrize(
    "start", [b"", b"POST / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\n1,2\n"]
)
def test_clients_that_dribble_are_cut_off(
    phone: PushSeries, monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    with monkeypatch.context() as impatient:
        impatient.setattr(push_server, "_PATIENCE", 0.5)
        slow = [socket.create_connection(phone.address, PATIENCE) for _ in range(20)]
        for each in slow:
            each.sendall(start)
        for each in slow:
            with suppress(OSError):
                while each.send(b"3"):
                    sleep(0.01)
                    each.settimeout(0.01)
                    with suppress(TimeoutError):
                        if each.recv(100) == b"":
                            break
            each.close()
    assert post(phone, [[5, 6]]) == (200, "")
    np.testing.assert_array_equal(rows_of(phone, 1), [[5, 6]])


@pytest.mark.parametrize(
    "garbage", [b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"a" * 40_000]
)
def test_what_is_no_post_is_answered_in_words(phone: PushSeries, garbage: bytes) -> None:
    with socket.create_connection(phone.address, PATIENCE) as client:
        client.sendall(garbage)
        assert client.recv(100).startswith(b"HTTP/1.1 4")
    assert post(phone, [[5, 6]]) == (200, "")


def test_a_flood_of_rows_is_bounded_by_seconds_and_counted(phone: PushSeries) -> None:
    connection = HTTPConnection(*phone.address, timeout=PATIENCE)
    body = b"[" + b",".join([b"[1,2]"] * 100_000)
    for end in (*[b"]"] * 9, b",[7,7]]"):
        assert sent(connection, body + end)[0] == 200
    connection.close()
    samples = [sample for _ in range(10) if (sample := phone.read(0.05))]
    assert sum(len(sample.data) for sample in samples) <= 10 * SPEC.rate
    assert sum(len(sample.data) + sample.lost for sample in samples) == 1_000_001
    np.testing.assert_array_equal(np.asarray(samples[-1].data)[-1], [7, 7])


def test_sparse_times_make_no_flood(phone: PushSeries) -> None:
    spec = spec_of("fast", *SPEC.channels, rate=1600)
    with opened(f"http://127.0.0.1:{phone.address[1]}/fast", spec) as sensor:
        times = (0.2 * np.arange(20_000)).tolist()
        rows = [{"time": time, "ax": 1, "gz": 1} for time in times]
        assert post(phone, rows, "/fast")[0] == 200
        assert post(phone, {"time": times, "ax": [1] * 20_000, "gz": [1] * 20_000}, "/fast")[0] in {200, 400}
        assert sum(len(sample.data) for _ in range(10) if (sample := sensor.read(0.05))) <= 16_000


def _has_ipv6() -> bool:
    with suppress(OSError), socket.socket(socket.AF_INET6) as free:
        free.bind(("::1", 0))
        return True
    return False


def test_phones_are_heard_over_ipv6() -> None:
    sensor = PushSeries("http://[::1]:0", modality="imu")
    if not _has_ipv6():
        with pytest.raises(SensorUnavailableError, match="cannot"):
            sensor.open(SPEC)
        return
    sensor.open(SPEC)
    assert post(sensor, [[1, 2]])[0] == 200
    np.testing.assert_array_equal(rows_of(sensor, 1), [[1, 2]])
    sensor.close()
