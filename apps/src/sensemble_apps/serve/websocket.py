"""The page's WebSocket: the newest state goes out, buttons and a browser's samples come in."""

import asyncio
import json
import math
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import Any

from sensemble_runtime.errors import SessionError
from sensemble_sensors.errors import SampleError, SensembleError
from sensemble_sensors.kinds.conditions.condition import SEVERITIES
from sensemble_sensors.kinds.registry import kind_of
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from sensemble_apps.console.kinds import kind_of as words_of
from sensemble_apps.errors import InputError
from sensemble_apps.serve import limits
from sensemble_apps.serve.board import Board
from sensemble_apps.serve.browser_sensor import HEADER, BrowserSensor, ClockOffset
from sensemble_apps.serve.controls import Controls
from sensemble_apps.serve.lattice import audited
from sensemble_apps.serve.limits import Rate
from sensemble_apps.serve.switchboard import Switchboard

EVERY = 0.1  # seconds between two states of a viewer, at least
_LOOK = 0.02  # seconds between two looks whether there is something new
_LONGEST = 1.0  # seconds after which a state is sent though nothing is new
_TEXT = "text"  # the key of ASGI for a message in text
_REFUSED, _LATER = 1008, 1013  # close codes (RFC 6455, Sec. 7.4.1)

Action = Callable[[dict[str, Any]], dict[str, Any] | None]
"""An action that a message asks for: its fields to the answer, if there is one."""


class Clients:
    """All clients of the page, and what they share.

    Args:
        board: the state they see.
        switchboard: where they plug in sensors of their own.
        controls: the buttons.
    """

    def __init__(self, board: Board, switchboard: Switchboard, controls: Controls) -> None:
        self.board, self.switchboard, self.controls = board, switchboard, controls
        self.given: set[str] = set()  # names of the sensors that browsers give
        self.numbers = count(1)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve a client until it leaves, or exceeds a bound."""
        await websocket.accept()
        if self.board.viewers >= limits.VIEWERS:
            await websocket.close(_LATER, "too many viewers; close another page")
            return
        self.board.viewers += 1
        client = _Client(self, websocket)
        try:
            await client.run()
        finally:
            self.board.viewers -= 1
            await client.leave()


class _Client:
    """One page in one browser."""

    def __init__(self, clients: Clients, websocket: WebSocket) -> None:
        self._all, self._socket = clients, websocket
        self._number = next(clients.numbers)
        self._commands = Rate(limits.COMMANDS)
        self._samples, self._bytes = Rate(limits.SAMPLES), Rate(limits.BYTES)
        self._clock = ClockOffset()
        self._sensors: dict[int, tuple[BrowserSensor, str]] = {}  # by the client's own number
        self._known: dict[str, int] = {}  # previews that it has
        self._entries = 0  # of the timeline that it has
        self._sending = asyncio.Lock()
        self._actions: dict[str, Action] = {
            "unplug": lambda given: clients.controls.unplug(_text(given, "sensor")),
            "plug": lambda given: clients.controls.plug(_text(given, "sensor")),
            "condition": lambda given: clients.controls.degrade(
                _text(given, "sensor"), _optional(given, "condition"), int(_number(given, "severity"))
            ),
            "label": lambda given: clients.controls.label(_optional(given, "label")),
            "record": lambda given: clients.controls.record(on=given.get("on") is True),
            "give": self._give,
            "stop": self._stop,
        }

    async def run(self) -> None:
        """Send states and take messages until the client leaves."""
        with suppress(WebSocketDisconnect, RuntimeError):  # the latter from a socket that is closed already
            await self._send(hello(self._all.board))
            sender = asyncio.create_task(self._send_states())
            try:
                await self._receive()
            finally:
                sender.cancel()
                with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                    await sender

    async def leave(self) -> None:
        """Unplug what it gave."""
        for number in list(self._sensors):
            await asyncio.to_thread(self._stop, {"id": number})

    async def _send_states(self) -> None:
        board, seen, sent = self._all.board, -1, 0.0
        while True:
            if board.version == seen and not self._sees_more and monotonic() - sent < _LONGEST:
                await asyncio.sleep(_LOOK)
                continue
            seen, sent = board.version, monotonic()
            await self._send(self._state())  # waits for a slow viewer
            await asyncio.sleep(EVERY)

    @property
    def _sees_more(self) -> bool:
        """True if a sensor has given something since the last state."""
        taps = self._all.switchboard.taps
        return any(tap.newest and tap.count != self._known.get(tap.name) for tap in taps)

    def _state(self) -> dict[str, Any]:
        """Return the state, with what is new to this client."""
        board = self._all.board
        state = {"type": "state", **board.snapshot(), "timeline": board.timeline(self._entries)}
        if state["timeline"]:
            self._entries = state["timeline"][-1]["number"]
        previews = list(board.previews(self._known))
        self._known |= {name: number for name, number, _ in previews}
        state["previews"] = {name: preview for name, _, preview in previews}
        return state

    async def _receive(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            data, text = message.get("bytes"), message.get(_TEXT)
            try:
                if data is not None:
                    self._take(data)
                else:
                    await self._act(text or "")
            except SampleError as error:
                await self._close(str(error))
                return

    def _take(self, data: bytes) -> None:
        """Hand a sample to its sensor.

        Raises:
            SampleError: too much came, or it is no sample.
        """
        if not (self._samples.allows() and self._bytes.allows(len(data))):
            raise SampleError("too many samples")
        if len(data) < HEADER.size:
            raise SampleError(f"{len(data)} bytes are no sample")
        number, sample, captured = HEADER.unpack_from(data)
        if number in self._sensors:  # else it was stopped while this was on its way
            self._sensors[number][0].take(sample, captured, memoryview(data)[HEADER.size :])

    async def _act(self, text: str) -> None:
        """Do what a message asks for; what the user cannot have is answered in one line.

        Raises:
            SampleError: too much came, or it is no message.
        """
        if len(text) > limits.BODY or not self._commands.allows():
            raise SampleError("too many messages, or too long a message")
        try:
            given = json.loads(text)
            kind = str(given["type"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise SampleError("a message that is not an object of JSON with a type") from error
        if kind not in (*self._actions, "clock", "clocked"):
            raise SampleError(f"{kind!r:.40}: no such message")
        try:
            if kind == "clock":
                await self._send({"type": "clock", "sent": _number(given, "sent"), "answered": monotonic()})
            elif kind == "clocked":
                self._clock.add(*(_number(given, name) for name in ("sent", "answered", "received")))
            elif (answer := await asyncio.to_thread(self._actions[kind], given)) is not None:
                await self._send(answer)
        except (SensembleError, SessionError) as error:
            await self._send({"type": "refused", "reason": str(error)})

    def _give(self, given: dict[str, Any]) -> dict[str, Any]:
        """Plug in a sensor of the browser."""
        modality = _text(given, "modality")
        if modality not in self._all.board.bundle.specs:
            raise InputError(f"{modality}: the bundle has no such modality")
        if len(self._all.given) >= limits.GIVERS:
            raise InputError(f"{limits.GIVERS} sensors of browsers are plugged in already; stop one first")
        spec = self._all.board.bundle.specs[modality]
        number = next(free for free in range(256) if free not in self._sensors)
        sensor = BrowserSensor(spec, f"{words_of(modality).sensor} of browser {self._number}", self._clock)
        name = self._all.switchboard.add(sensor)
        self._sensors[number] = sensor, name
        self._all.given.add(name)
        return {"type": "giving", "id": number, "modality": modality, "sensor": name}

    def _stop(self, given: dict[str, Any]) -> None:
        """Unplug a sensor of the browser for good."""
        sensor, name = self._sensors.pop(int(_number(given, "id")), (None, ""))
        if sensor is not None:
            sensor.hang_up()
            self._all.switchboard.remove(name)
            self._all.given.discard(name)

    async def _send(self, message: dict[str, Any]) -> None:
        async with self._sending:
            await self._socket.send_text(json.dumps(message, ensure_ascii=False, allow_nan=False))

    async def _close(self, reason: str) -> None:
        if self._socket.application_state is WebSocketState.CONNECTED:
            await self._socket.close(_REFUSED, reason.encode()[:120].decode(errors="ignore"))


def hello(board: Board) -> dict[str, Any]:
    """Return what does not change while a session runs: the bundle, its labels, modalities and subsets."""
    bundle = board.bundle
    modalities = [
        {
            "modality": modality,
            "kind": kind_of(modality).name,
            "sensor": words_of(modality).sensor,
            "shape": list(spec.shape),
            "rate": spec.rate,
            "hop": spec.hop,
            "conditions": [
                {"name": one.name, "effects": [one.described(severity) for severity in SEVERITIES]}
                for one in kind_of(modality).conditions
            ],
        }
        for modality, spec in bundle.specs.items()
    ]
    return {
        "type": "hello",
        "bundle": "/".join(bundle.path.resolve().parts[-2:]),
        "fingerprint": bundle.fingerprint,
        "labels": list(bundle.manifest.labels),
        "modalities": modalities,
        "subsets": audited(bundle),
        "every": EVERY,
    }


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise SampleError(f"{name}: must be a text")
    return value


def _optional(given: dict[str, Any], name: str) -> str | None:
    return None if given.get(name) is None else _text(given, name)


def _number(given: dict[str, Any], name: str) -> float:
    value = given.get(name)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise SampleError(f"{name}: must be a number")
    return float(value)
