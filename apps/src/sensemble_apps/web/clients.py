"""The WebSocket of a page: states go out, actions and a browser's samples come in."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from itertools import count
from typing import Any

from sensemble_runtime.errors import SessionError
from sensemble_sensors.errors import BadDataError, SampleError, SensembleError
from sensemble_sensors.kinds.conditions.condition import SEVERITIES, Condition
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.lines import MAX_SECONDS, Fields
from sensemble_sensors.spec import InputSpec, devices
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from sensemble_apps.console.kinds import display_of, words_of
from sensemble_apps.errors import InputError
from sensemble_apps.web import limits
from sensemble_apps.web.browser_sensor import HEADER, BrowserSensor, ClockOffset
from sensemble_apps.web.limits import Rate
from sensemble_apps.web.page_sensors import SHOWN, PageSensors
from sensemble_apps.web.viewers import wait_for

_DEVICES = ("phone", "computer")  # that a browser may call itself
_TEXT = "text"  # the key of ASGI for a message in text
_REFUSED, _LATER = 1008, 1013  # close codes (RFC 6455, Sec. 7.4.1)

Action = Callable[[Fields], Any]
"""Carries out a message, given its fields; safe from any thread, and may wait."""

Messages = Iterator[dict[str, Any]]
"""The messages to one client: a first one, then the newest state whenever it is asked for."""


class Clients:
    """All clients of a page.

    `messages` makes those to each of them, `actions` do what theirs ask for; `attended` is called when
    one gives a sensor.
    """

    def __init__(
        self,
        sensors: PageSensors,
        messages: Callable[[], Messages],
        actions: Mapping[str, Action],
        attended: Callable[[], None] = lambda: None,
    ) -> None:
        self.sensors, self.messages, self.actions, self.attended = sensors, messages, actions, attended
        self.given: set[str] = set()  # names of the sensors that browsers give
        self.numbers = count(1)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve a client until it leaves, or exceeds a bound."""
        await websocket.accept()
        if len(self.sensors.viewers) >= limits.VIEWERS:
            await websocket.close(_LATER, "too many viewers; close another page")
            return
        client = _Client(self, websocket)
        try:
            with self.sensors.viewers.watching() as changed:
                await client.run(changed)
        finally:
            await client.leave()


class _Client:
    def __init__(self, clients: Clients, websocket: WebSocket) -> None:
        self._all, self._socket = clients, websocket
        self._number = next(clients.numbers)
        self._messages = clients.messages()
        own = clients.sensors.clock
        self._commands = Rate(limits.COMMANDS, own)
        self._samples, self._bytes = Rate(limits.SAMPLES, own), Rate(limits.BYTES, own)
        self._clock = ClockOffset(own)
        self._sensors: dict[int, tuple[BrowserSensor, str]] = {}  # by the client's own number
        self._sending = asyncio.Lock()
        self._actions: dict[str, Action] = {
            **clients.actions,
            "give": self._give,
            "stop": self._stop,
            "rename": lambda given: clients.sensors.rename(given.string("sensor"), given.string("title")),
        }

    async def run(self, changed: asyncio.Event) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):  # the latter from a socket that is closed already
            await self._send(next(self._messages))
            sender = asyncio.create_task(self._send_states(changed))
            try:
                await self._receive()
            finally:
                sender.cancel()
                with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                    await sender

    async def leave(self) -> None:
        for given in list(self._sensors):
            await asyncio.to_thread(self._unplug, given)

    async def _send_states(self, changed: asyncio.Event) -> None:
        while True:
            await self._send(next(self._messages))  # waits for a slow viewer
            await wait_for(changed)

    async def _receive(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            data, text = message.get("bytes"), message.get(_TEXT)
            try:
                if data is not None:
                    self._receive_sample(data)
                else:
                    await self._act(text or "")
            except SampleError as error:
                await self._close(str(error))
                return

    def _receive_sample(self, data: bytes) -> None:
        if not (self._samples.allows() and self._bytes.allows(len(data))):
            raise SampleError("too many samples")
        if len(data) < HEADER.size:
            raise SampleError(f"{len(data)} bytes are no sample")
        given, sample, captured = HEADER.unpack_from(data)
        if given in self._sensors:  # else it was stopped while this was on its way
            self._sensors[given][0].put(sample, captured, memoryview(data)[HEADER.size :])

    async def _act(self, text: str) -> None:
        """Carry out a message or answer with a refusal; SampleError if it is malformed or too long."""
        if len(text) > limits.BODY or not self._commands.allows():
            raise SampleError("too many messages, or too long a message")
        try:
            given = Fields(text)
            kind = given.string("type")
        except BadDataError as error:
            raise SampleError("a message that is not an object of JSON with a type") from error
        if kind not in (*self._actions, "clock", "clocked"):
            raise SampleError(f"{kind!r:.40}: no such message")
        try:
            if kind == "clock":
                answered = self._clock.own.now()
                await self._send({"type": "clock", "sent": _moment(given, "sent"), "answered": answered})
            elif kind == "clocked":
                self._clock.add(*(_moment(given, name) for name in ("sent", "answered", "received")))
            elif (answer := await asyncio.to_thread(self._actions[kind], given)) is not None:
                await self._send(answer)
        except (SensembleError, SessionError) as error:
            await self._send({"type": "refused", "reason": str(error)})

    def _give(self, given: Fields) -> dict[str, Any]:
        modality, specs = given.string("modality"), self._all.sensors.specs
        if modality not in specs:
            raise InputError(f"{modality:.{SHOWN}}: no such modality; there are {', '.join(specs)}")
        if len(self._all.given) >= limits.GIVERS:
            raise InputError(f"{limits.GIVERS} sensors of browsers are plugged in already; stop one first")
        free = next(free for free in range(256) if free not in self._sensors)
        device = given.values.get("device")
        device = device if device in _DEVICES else "browser"
        title = f"{words_of(modality).sensor} of {device} {self._number}"
        sensor = BrowserSensor(specs[modality], title, self._clock)
        name = self._all.sensors.add(sensor)
        self._all.attended()
        self._sensors[free] = sensor, name
        self._all.given.add(name)
        return {"type": "giving", "id": free, "modality": modality, "sensor": name}

    def _stop(self, given: Fields) -> None:
        self._unplug(given.integer("id", 0, 255))

    def _unplug(self, number: int) -> None:
        sensor, name = self._sensors.pop(number, (None, ""))
        if sensor is not None:
            sensor.hang_up()
            self._all.sensors.remove(name)
            self._all.given.discard(name)

    async def _send(self, message: dict[str, Any]) -> None:
        async with self._sending:
            await self._socket.send_text(json.dumps(message, ensure_ascii=False, allow_nan=False))

    async def _close(self, reason: str) -> None:
        if self._socket.application_state is WebSocketState.CONNECTED:
            await self._socket.close(_REFUSED, reason.encode()[:120].decode(errors="ignore"))


def _moment(given: Fields, name: str) -> float:
    return given.number(name, 0, MAX_SECONDS)


def describe_modalities(specs: Mapping[str, InputSpec]) -> list[dict[str, Any]]:
    """Return each modality for the page: the form of its samples, its words and conditions."""
    owners = {m: device for device, carried in devices(specs).items() for m in carried}
    return [
        {
            "modality": modality,
            "kind": spec.kind,
            "sensor": words_of(modality).sensor,
            "device": owners.get(modality, ""),
            "icon": display_of(spec).icon,
            "noun": kind_of(spec).noun,
            "none": display_of(spec).none,
            "shape": list(spec.shape),
            "rate": spec.rate,
            "hop": spec.hop,
            "channels": [channel.name for channel in spec.channels],
            "conditions": [
                {
                    "name": one.name,
                    "effects": [one.described(severity) for severity in SEVERITIES],
                    "staged": asdict(staged[one.name]) if one.name in staged else None,
                }
                for staged in [{one.condition: one for one in display_of(spec).staged}]
                for one in sorted(kind_of(spec).conditions, key=partial(_place, list(staged)))
            ],
        }
        for modality, spec in specs.items()
    ]


def _place(staged: Sequence[str], condition: Condition) -> int:
    return staged.index(condition.name) if condition.name in staged else len(staged)


def largest_message(specs: Mapping[str, InputSpec]) -> int:
    """Return the bytes of the largest message that a client of a page may send."""
    samples = [kind_of(spec).max_bytes(spec) for spec in specs.values()]
    return max(*samples, limits.BODY) + HEADER.size
