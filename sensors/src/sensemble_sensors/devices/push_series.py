"""A series that a phone pushes over HTTP, as logger apps do: Sensor Logger, phyphox, or any program.

A POST holds, in at most a mebibyte of UTF-8, what `devices.push_bodies` describes; or an object, or a list of
objects, as `devices.rows` describes them; or lines of these. One port serves all sensors that name it.
"""

import os
from collections.abc import Iterable, Sequence
from threading import Lock
from urllib.parse import urlsplit

import numpy as np

from sensemble_sensors.clock import REAL, Clock
from sensemble_sensors.devices.byte_streams import LOOPBACK, address, is_loopback
from sensemble_sensors.devices.push_bodies import Column, Measurements, decode, streams
from sensemble_sensors.devices.push_server import PushServer
from sensemble_sensors.devices.rows import TIME, Row, RowParser
from sensemble_sensors.devices.source_clock import RowClock
from sensemble_sensors.devices.units import per_unit, quantity
from sensemble_sensors.errors import BadDataError, SensorLostError, SensorUnavailableError, printable
from sensemble_sensors.kinds.resampling import PAUSE, STEPS, Rows, Times, resampled
from sensemble_sensors.sample_queue import QueuedSensor, SampleQueue
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

# The environment variable with the token of those who may push from other machines.
TOKEN = "SENSEMBLE_PUSH_TOKEN"  # noqa: S105 - the name of a variable
_LEAST = 16  # characters of the token
_PORT = 8100
_SPARSE = 2.5  # seconds between two numbers of a column, at most, however slow its sensor is
_RESTART = 1.0  # seconds, the least step back of a sender's clock that is a new start; less is out of order
_ROUNDING = 1e-3  # of a step, by which seconds since 1970 may be rounded
_SHOWN = 6  # names in an error
_ROWS = 20_000  # rows that are read of a post, the last ones: more would keep other clients waiting
_EMPTY = Column(np.zeros(0), np.zeros(0))


class PushSeries(QueuedSensor):
    """Gives the rows of the POST requests to an address of this machine.

    It accepts requests of other machines only with the token, as `?token=` in the address or as `Bearer` in
    the header `Authorization`. A channel is found by its name, and then its values are not converted; or by
    its quantity (`accX`, a logger's `accelerometer` with `x`), and then its values, in m/s^2, rad/s or
    microtesla, are converted to the spec's unit.

    Args:
        source: `http://HOST:PORT/DEVICE` takes what is posted to /DEVICE, and as `watch` also what a phone's
            app says to be a watch's; without a DEVICE, all that no other sensor of the port takes. Without a
            HOST, this machine alone reaches it.
        clock: of the port, if this sensor is the first that names it.
    """

    pushed = True

    def __init__(
        self,
        source: str = "http://",
        name: str | None = None,
        modality: str = "series",
        clock: Clock = REAL,
    ) -> None:
        self.modality, self._clock = modality, clock
        self.name = printable(name or f"{modality} {source}")
        self._source = source
        self._port: _Port | None = None
        self._taker: _Taker | None = None

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port at which it listens."""
        if self._port is None:
            raise SensorLostError(f"{self.name}: is closed")
        return self._port.server.address

    def open(self, spec: InputSpec) -> None:
        """Listen; raise SensorUnavailableError, which says what to do."""
        self.close()
        try:
            host, port = address(self._source, _PORT)
            host = host or LOOPBACK
            token = self._token(host)
            taker = _Taker(self.name, urlsplit(self._source).path.strip("/"), spec)
            self._port = _join((host, port), token, taker, self._clock)
        except OSError as error:
            raise SensorUnavailableError(
                f"{self.name}: cannot listen ({error.strerror}); name another port"
            ) from error
        self._taker, self._queue = taker, taker.queue

    def _token(self, host: str) -> str:
        token = os.environ.get(TOKEN, "")
        if not (token or is_loopback(host)):
            raise SensorUnavailableError(
                f"{self.name}: other machines may reach it; put a token that its clients know into {TOKEN}"
            )
        if token and not (len(token) >= _LEAST and token.isascii() and token.isprintable()):
            raise SensorUnavailableError(
                f"{self.name}: {TOKEN} can be guessed; put {_LEAST} or more letters and digits into it, such "
                "as those of `openssl rand -hex 16`"
            )
        return token

    def close(self) -> None:
        """Stop to listen."""
        if self._port is not None and self._taker is not None:
            _leave(self._port, self._taker)
        self._port = self._taker = None
        super().close()


class _Port:
    """A port, and the takers of what is posted to it."""

    def __init__(self, address: tuple[str, int], token: str, clock: Clock) -> None:
        self.takers: tuple[_Taker, ...] = ()
        self.server = PushServer(address, token, self.take, clock)

    def take(self, path: str, body: bytes, host: str, now: float) -> None:
        """Hand a body to the takers of its device; BadDataError if none can use it, or one lacks a part."""
        device, sent = path.strip("/"), decode(body)
        sender = str(sent["deviceId"]) if isinstance(sent, dict) and "deviceId" in sent else host
        measured = streams(sent)
        if measured is None:
            self._take_rows(device, sent, body, sender, now)
            return
        if measured and not any(self._of(each.device or device) for each in measured):
            raise self._nobody(device)
        reasons = []
        for taker in self.takers:
            if own := [each for each in measured if taker in self._of(each.device or device)]:
                try:
                    taker.begin(sender, now)
                    taker.add(own, now)
                except BadDataError as error:
                    reasons.append(str(error))
        if reasons:
            raise BadDataError("; ".join(reasons))

    def _of(self, device: str) -> "list[_Taker]":
        named = [taker for taker in self.takers if taker.device == device]
        return named or [taker for taker in self.takers if not taker.device]

    def _nobody(self, device: str) -> BadDataError:
        there = ", ".join(sorted({f"/{taker.device}" for taker in self.takers}))
        return BadDataError(f"nobody listens to /{device}; post to {there}")

    def _take_rows(self, device: str, sent: object, body: bytes, sender: str, now: float) -> None:
        takers = self._of(device)
        errors = [self._nobody(device)]
        for taker in takers:
            try:
                taker.begin(sender, now)
                taker.add_rows(sent, body, now, alone=len(takers) == 1)
            except BadDataError as error:
                errors.append(error)
        if len(errors) > len(takers):
            raise errors[-1]


_ports: dict[tuple[str, int], _Port] = {}
_lock = Lock()


def _join(address: tuple[str, int], token: str, taker: "_Taker", clock: Clock) -> _Port:
    with _lock:
        port = _ports.get(address)
        if port is None:
            port = _Port(address, token, clock)
            _ports[address[0], port.server.address[1]] = port
            port.server.start()
        port.takers = (*port.takers, taker)
        return port


def _leave(port: _Port, taker: "_Taker") -> None:
    with _lock:
        port.takers = tuple(each for each in port.takers if each is not taker)
        if not port.takers:
            for key in [key for key, value in _ports.items() if value is port]:
                del _ports[key]
            port.server.close()


class _Taker:
    """Makes the samples of one modality of posts; for the server's thread alone, but for its queue."""

    def __init__(self, name: str, device: str, spec: InputSpec) -> None:
        self._name, self.device = name, device
        self._clock = RowClock(spec)
        self.queue = SampleQueue(self._clock.most, continuous=True, rows=True)
        self._step = 1 / spec.rate
        self._channels = [channel.name for channel in spec.channels]
        self._quantities = [(quantity(channel.name), per_unit(channel.unit)) for channel in spec.channels]
        self._columns = [_EMPTY for _ in spec.channels]  # what waits for the others
        self._givers: list[tuple[int, str]] = [(-1, "")] * len(self._columns)  # the rank and name of a sensor
        self._arrived = [-np.inf] * len(self._columns)
        self._until = -np.inf  # the time of the last row that was given
        self._since: float | None = None  # the last sample, or the first post
        self._vain = 0  # posts since then
        self._sender = "", -np.inf  # and its last post

    def begin(self, sender: str, now: float) -> None:
        """Note a post; BadDataError while another sender's posts come, whose rows would mix with these."""
        other, last = self._sender
        if sender != other and now - last < self._clock.longest:
            raise BadDataError(
                f"another device posts to /{self.device}; give each a path, such as /left and /right"
            )
        self._sender = sender, now
        self._since, self._vain = now if self._since is None else self._since, self._vain + 1

    def add_rows(self, sent: object, body: bytes, now: float, *, alone: bool) -> None:
        """Add whole rows, for one that listens `alone` also without their names; or raise BadDataError."""
        try:
            rows, early = _rows(RowParser(self._channels, named=not alone), sent, body)
        except BadDataError as error:
            if self._is_late(now):
                self._end(error)
            raise
        self._put(self._clock.rows(rows, now, early, cut=early > 0), now)

    def add(self, measured: Sequence[Measurements], now: float) -> None:
        """Add what a device measured; BadDataError if a channel has been missing for too long."""
        sent = np.zeros(0)  # the times of the quickest channel
        for place, channel in enumerate(self._channels):
            known, scale = self._quantities[place]
            for each in measured:
                times, values = each.named.get(channel, _EMPTY)
                if channel not in each.named and known in each.known:
                    times, values = each.known[known]
                    values = scale * values
                if len(times) and self._extend(place, each, times, values):
                    self._arrived[place] = now
                    sent = times if len(times) > len(sent) else sent
        at, rows = self._joined()
        self._put(self._clock.timed(at, rows, now, sent=sent), now)
        if self._is_late(now):
            error = BadDataError(self._lack(measured, now))
            self._end(error)
            raise error

    def _is_late(self, now: float) -> bool:
        return self._since is not None and self._vain > 1 and now - self._since >= self._clock.patience

    def _put(self, samples: Iterable[Sample], now: float) -> None:
        try:
            for sample in samples:
                self.queue.put(sample)
                self._since, self._vain = now, 0
        except BadDataError as error:
            self._end(error)
            raise

    def _end(self, error: BadDataError) -> None:
        """Let the sensor be lost, because what comes is of no use."""
        self.queue.end(SensorLostError(f"{self._name}: {error}"))

    def _extend(self, place: int, stream: Measurements, times: Times, values: Times) -> bool:
        """Add numbers of a channel, unless a better sensor gives it; return whether they count."""
        before = self._columns[place]
        rank, giver = self._givers[place]
        if stream.name != giver:
            waits = before.times[-1] + self._clock.longest if len(before.times) else -np.inf  # for the giver
            if stream.rank <= rank and times.max() < waits:
                return False
            self._givers[place], before = (stream.rank, stream.name), _EMPTY
        if times.max() < self._until - _RESTART:
            self._columns, before, self._until = [_EMPTY for _ in self._columns], _EMPTY, -np.inf
        fresh = self._clock.fits(times) & (times > self._until)
        times, values = (
            np.concatenate([old, new[fresh]]) for old, new in zip(before, (times, values), strict=True)
        )
        order = np.argsort(times, kind="stable")
        order = order[np.diff(times[order], prepend=-np.inf) > 0]
        order = order[times[order] > times[order[-1:]] - self._clock.longest]
        self._columns[place] = Column(times[order], values[order])
        return True

    def _joined(self) -> tuple[Times, Rows]:
        """Return the rows up to the time that all channels have reached, at steps of the spec's rate."""
        nothing = np.zeros(0), np.zeros((0, len(self._columns)), np.float32)
        if not all(len(column.times) for column in self._columns):
            return nothing
        first = max(*(column.times[0] for column in self._columns), self._until + self._step)
        last = min(column.times[-1] for column in self._columns)
        if last < first:
            return nothing
        at = first + self._step * np.arange(int((last - first) / self._step + _ROUNDING) + 1)
        whole = np.full(len(at), True)
        rows = np.zeros((len(at), len(self._columns)), np.float32)
        for place, (times, values) in enumerate(self._columns):
            rows[:, place] = resampled(times, values[:, None], at, self._step)[:, 0]
            after = np.minimum(np.searchsorted(times, at), len(times) - 1)
            gaps = np.where(times[after] > at, times[after] - times[after - 1], 0.0)
            usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
            whole &= gaps <= max(PAUSE, STEPS * self._step, min(STEPS * usual, _SPARSE))
            kept = max(0, int(np.searchsorted(times, at[-1])) - 1)
            self._columns[place] = Column(times[kept:], values[kept:])
        self._until = float(at[-1])
        return at[whole], rows[whole]

    def _lack(self, measured: Sequence[Measurements], now: float) -> str:
        """Return why no row is complete."""
        recent = self._clock.patience / 2
        missing = [
            name
            for name, arrived in zip(self._channels, self._arrived, strict=True)
            if now - arrived > recent
        ]
        if not missing:
            return f"time: that of {', '.join(self._channels)} differs; send them by one clock"
        held = sorted({each.name for each in measured})[:_SHOWN]
        return f"{', '.join(missing)}: does not come, only {', '.join(held)}; switch its sensor on in the app"


def _rows(parser: RowParser, sent: object, body: bytes) -> tuple[list[Row], int]:
    """Return the last rows of a body, and how many came before them."""
    if sent is None:
        lines = [line for line in body.split(b"\n") if line.strip()]
        early = max(len(lines) - 1 - _ROWS, 0)
        read = (parser.parse(line) for line in (*lines[:1], *lines[early + 1 :]))  # with a header
        rows = [row for row in read if row is not None]
    else:
        each = sent if isinstance(sent, list) else [sent]
        early = max(len(each) - _ROWS, 0)
        rows = [parser.row(fields) for fields in each[early:]]
    if not rows:
        raise BadDataError("the body holds no row")
    if len({row.time is None for row in rows}) > 1:
        raise BadDataError(f"{TIME}: must be in all rows or in none")
    return rows, early
