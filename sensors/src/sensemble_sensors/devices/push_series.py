"""A series that a phone pushes over HTTP, as logger apps do: Sensor Logger, phyphox, or any program.

A POST holds one of these, as JSON in UTF-8 of at most a mebibyte:

- `{"payload": [{"name": "accelerometer", "time": 1698501144401773000, "values": {"x": 0.1, ...}}, ...]}`, as
  Sensor Logger sends it: times in nanoseconds, each sensor at its own rate;
- `{"time": [0.01, ...], "ax": [0.1, ...], ...}`: columns, as an experiment of phyphox sends its buffers by
  `http/post`, times in seconds;
- an object, or a list of objects, as `devices.rows` describes them; or lines of these.
"""

import hmac
import json
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from threading import BoundedSemaphore, Lock, Thread, Timer
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from sensemble_sensors.devices.byte_streams import LOOPBACK, address
from sensemble_sensors.devices.clock import RowClock
from sensemble_sensors.devices.rows import TIME, Row, RowReader, number
from sensemble_sensors.devices.units import quantity
from sensemble_sensors.errors import BadDataError, SensorLostError, SensorUnavailableError, printable
from sensemble_sensors.kinds.regular import Rows, Times, resampled
from sensemble_sensors.sample_queue import QueuedSensor, SampleQueue
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

# The environment variable with the token of those who may push from other machines.
TOKEN = "SENSEMBLE_PUSH_TOKEN"  # noqa: S105 - the name of a variable
_PORT = 8100
_MOST = 1 << 20  # bytes of a body
_PATIENCE = (
    5.0  # seconds that a client may take for a whole request, so that slow ones do not keep all places
)
_CONNECTIONS = 8  # at the same time
_WAITING = 64  # samples that wait for a slow reader
_LONGEST = 10.0  # seconds that a sensor's rows wait for those of the others
_NANO = 1e-9


class PushSeries(QueuedSensor):
    """Gives the rows of all POST requests to an address of this machine.

    From other machines it takes those alone whose address has `?token=` with the token, or whose header
    `Authorization` is `Bearer` with it.

    Args:
        source: `http://HOST:PORT` to listen at; `http://:PORT` listens to this machine alone.
    """

    live = True

    def __init__(self, source: str = "http://", name: str | None = None, modality: str = "series") -> None:
        self.modality = modality
        self.name = printable(name or f"{modality} {source}")
        self._source = source
        self._server: _Server | None = None

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port at which it listens."""
        if self._server is None:
            raise SensorLostError(f"{self.name}: is closed")
        return self._server.server_address[:2]  # type: ignore[return-value]

    def open(self, spec: InputSpec) -> None:
        """Listen; raise SensorUnavailableError, which says what to do."""
        self.close()
        token = os.environ.get(TOKEN, "")
        try:
            host, port = address(self._source, _PORT)
            host = host or LOOPBACK
            if not (token or _is_loopback(host)):
                raise SensorUnavailableError(
                    f"{self.name}: other machines may reach it; put a token that its clients know into "
                    f"{TOKEN}"
                )
            batches = _Batches(spec)
            self._server, self._queue = _Server((host, port), token, batches), batches.queue
        except OSError as error:
            raise SensorUnavailableError(
                f"{self.name}: cannot listen ({error.strerror}); name another port"
            ) from error
        Thread(target=self._server.serve_forever, args=(0.1,), name=self.name, daemon=True).start()

    def close(self) -> None:
        """Stop to listen."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._server = None
        super().close()


class _Batches:
    def __init__(self, spec: InputSpec) -> None:
        self.queue = SampleQueue(_WAITING, continuous=True)
        self._names = [channel.name for channel in spec.channels]
        self._step = 1 / spec.rate
        self._clock = RowClock(spec)
        self._lock = Lock()
        self._behind: dict[str, tuple[Times, Rows]] = {}  # by sensor, what waits for the others
        self._givers: dict[str, str] = {}  # by quantity, the first sensor that gave it
        self._until = -np.inf  # the time of the last row that was given

    def add(self, body: bytes) -> None:
        now = monotonic()
        with self._lock:
            for sample in self._samples(body, now):
                self.queue.put(sample)

    def _samples(self, body: bytes, now: float) -> Sequence[Sample]:
        try:
            sent = json.loads(body)
        except RecursionError as error:
            raise BadDataError("the body is no JSON") from error
        except ValueError:
            reader = RowReader(self._names)
            given = [row for line in body.split(b"\n") if (row := reader.read(line)) is not None]
            return self._rows(given, now)
        if isinstance(sent, dict) and isinstance(sent.get("payload"), list):
            return self._measured(sent["payload"], now)
        if isinstance(sent, dict) and isinstance(sent.get(TIME), list):
            columns = [sent[TIME], *(sent.get(name) for name in self._names)]
            count = len(sent[TIME])
            if not all(isinstance(column, list) and len(column) == count for column in columns):
                raise BadDataError(f"{', '.join((TIME, *self._names))}: must be lists of one length")
            sent = [dict(zip((TIME, *self._names), row, strict=True)) for row in zip(*columns, strict=True)]
        rows = RowReader(self._names)
        return self._rows([rows.row(each) for each in (sent if isinstance(sent, list) else [sent])], now)

    def _rows(self, rows: list[Row], now: float) -> Sequence[Sample]:
        if not rows:
            raise BadDataError("the body holds no row")
        if len({row.time is None for row in rows}) > 1:
            raise BadDataError(f"{TIME}: must be in all rows or in none")
        return list(self._clock.rows(rows, now))

    def _measured(self, payload: list[Any], now: float) -> Sequence[Sample]:
        """Join measurements of several sensors, each with times of its own, into rows."""
        columns = {quantity(name): place for place, name in enumerate(self._names)}
        measured: dict[str, list[tuple[float, dict[int, float]]]] = {}
        for item in payload:
            if not (isinstance(item, dict) and isinstance(item.get("name"), str)):
                raise BadDataError("payload: must hold objects with name, time and values")
            values: dict[str, object] = item["values"] if isinstance(item.get("values"), dict) else item
            numbers = {
                columns[key]: number(value, f"{item['name']}.{axis}")
                for axis, value in values.items()
                if (key := quantity(f"{item['name']}_{axis}")) in columns
                and self._givers.setdefault(key, item["name"]) == item["name"]
            }
            if numbers:
                time = _NANO * number(item.get(TIME), f"{item['name']}.{TIME}")
                measured.setdefault(item["name"], []).append((time, numbers))
        for name, some in measured.items():
            some.sort(key=lambda one: one[0])
            times = np.array([time for time, _ in some])
            rows = np.full((len(some), len(self._names)), np.nan, np.float32)
            for row, (_, numbers) in zip(rows, some, strict=True):
                row[list(numbers)] = list(numbers.values())
            if name in self._behind:
                before, waiting = self._behind[name]
                times, rows = np.concatenate([before, times]), np.concatenate([waiting, rows])
            near = np.abs(times - times[-1]) <= _LONGEST
            self._behind[name] = times[near], rows[near]
        return self._joined(now)

    def _joined(self, now: float) -> Sequence[Sample]:
        covered = {
            place for _, rows in self._behind.values() for place in np.flatnonzero(~np.isnan(rows[-1]))
        }
        if len(covered) < len(self._names):
            return []
        # Every sensor's rows up to the time that all have reached, at the steps of the spec's rate.
        first = max(*(times[0] for times, _ in self._behind.values()), self._until + self._step)
        last = min(times[-1] for times, _ in self._behind.values())
        if abs(last - first) > _LONGEST:  # a restart: nothing that waits belongs together
            self._behind.clear()
            self._givers.clear()
            self._until = -np.inf
            return []
        if last < first:
            return []
        at = first + self._step * np.arange(int((last - first) / self._step) + 1)
        data = np.zeros((len(at), len(self._names)), np.float32)
        for name, (times, rows) in self._behind.items():
            own = np.flatnonzero(~np.isnan(rows[-1]))
            data[:, own] = resampled(times, rows[:, own], at, self._step)
            kept = max(0, int(np.searchsorted(times, at[-1])) - 1)
            self._behind[name] = times[kept:], rows[kept:]
        self._until = float(at[-1])
        return list(self._clock.timed(at, data, now))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], token: str, batches: _Batches) -> None:
        self.token, self.batches = token, batches
        self._free = BoundedSemaphore(_CONNECTIONS)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Ignore a client that hangs up."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Handle the one request of a connection, or shut it down."""
        timer = Timer(_PATIENCE, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            super().handle()
        finally:
            timer.cancel()

    def _give_up(self) -> None:
        with suppress(OSError):  # the client was quicker
            self.connection.shutdown(socket.SHUT_RDWR)

    def do_POST(self) -> None:
        if not self._allowed():
            self._answer(401, "give the token: ?token=, or the header Authorization: Bearer")
            return
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal() or int(size) > _MOST:
            self._answer(413, f"give a Content-Length of at most {_MOST} bytes")
            return
        body = self.rfile.read(int(size))
        if len(body) < int(size):  # broken off
            return
        try:
            self.server.batches.add(body)
        except BadDataError as error:
            self._answer(400, str(error))
        else:
            self._answer(200, "")

    def _allowed(self) -> bool:
        token = self.server.token
        query = parse_qs(urlsplit(self.path).query).get("token", [""])[0]
        given = (query, self.headers.get("Authorization", "").removeprefix("Bearer "))
        known = any(hmac.compare_digest(each.encode(), token.encode()) for each in given)
        # A page in a browser here must not push: it always states its origin.
        return known if token else "Origin" not in self.headers

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in http.server
        """Print nothing."""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
