"""Publish answers and events by MQTT, with Home Assistant's discovery."""

import json
import os
import re
import uuid
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from socket import SHUT_RDWR, gethostname
from threading import Event, Thread
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from sensemble_apps.console.output import remark
from sensemble_apps.errors import InputError
from sensemble_apps.serve.board import Board

_EVERY = 0.1  # seconds between two looks at the board
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_AGAIN = (1, 30)  # seconds before the first try to connect again, and at most before later ones
_FINDERS = "homeassistant"  # the topic under which Home Assistant looks for devices
_ANSWER = ("label", "best", "confidence", "doubt")
_LAST = 1.0  # seconds to send the last message
_SILENT = 20  # seconds (MQTT's keep-alive) without a message before the broker is pinged
_LARGEST = 1 << 6  # bytes of a packet of the broker, which sends acknowledgements alone
_MACHINE = Path("/etc/machine-id")  # of Linux (machine-id(5)); elsewhere, the network card names it
PASSWORD: Final = "SENSEMBLE_MQTT_PASSWORD"  # noqa: S105 - the name of a variable of the environment


class Publisher:
    """Publishes a board's answer and the events of its sensors to a broker, while the block runs.

    Topics below `sensemble/DEVICE`: `answer`, retained, is `{"label", "best", "confidence", "doubt",
    "live"}`: no label if unsure, and none of the first four while nothing is live. `recording`, retained, is
    `{"on", "failed"}`. `event` is an entry of the timeline. `available` is `online` or, also after a crash,
    `offline`. Events while the broker is away are lost.

    Args:
        url: `mqtt://[USER@]HOST[:PORT]`; `mqtts` for TLS. The password is in the environment, as `PASSWORD`.
        board: the state.
        device: the unique name of this device and run; None for `device_name`.
    """

    def __init__(self, url: str, board: Board, device: str | None = None) -> None:
        parts = _parsed(url)
        self._board = board
        name = device_name(board.bundle.path) if device is None else device
        if not re.fullmatch(r"[\w-]{1,64}", name, re.ASCII):  # as a level of a topic, and an id
            raise InputError(f"--device {name}: give 1 to 64 letters, digits, - and _")
        self._name, self._topic = name, f"sensemble/{name}"
        self._broker = f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"
        # With the same id, a new connection replaces a lost one before the broker publishes its will.
        self._client = _Client(CallbackAPIVersion.VERSION2, f"sensemble-{name}")
        if parts.username:
            self._client.username_pw_set(unquote(parts.username), os.environ.get(PASSWORD))
        if parts.scheme == "mqtts":
            self._client.tls_set()
        self._client.reconnect_delay_set(*_AGAIN)
        self._client.will_set(f"{self._topic}/available", "offline", qos=1, retain=True)
        self._client.on_connect = self._connected
        self._client.on_connect_fail = lambda *_: self._away("does not answer")
        self._client.on_disconnect = self._disconnected
        self._client.connect_async(parts.hostname or "", parts.port or _PORTS[parts.scheme], _SILENT)
        self._is_away = False
        self._sent: dict[str, str] = {}  # what is retained, by topic
        self._stop = Event()
        self._thread = Thread(target=self._run, name="sensemble mqtt", daemon=True)

    def __enter__(self) -> Self:
        self._client.loop_start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        with suppress(RuntimeError):  # it is lost
            self._publish("available", "offline", retain=True).wait_for_publish(_LAST)
        stuck: Any = self._client.socket() if self._client.want_write() else None
        self._client.disconnect()
        if stuck is not None:  # paho would wait; the will says the same
            with suppress(OSError):
                stuck.shutdown(SHUT_RDWR)
        self._client.loop_stop()

    def _run(self) -> None:
        entries = self._board.timeline()
        number = entries[-1]["number"] if entries else 0
        while not self._stop.wait(_EVERY):
            connected = self._client.is_connected()
            if connected and self._client.want_write():  # the broker reads nothing now
                continue
            for entry in self._board.timeline(number):
                number = entry["number"]
                if connected and entry["kind"] == "event":
                    self._publish("event", json.dumps(entry, ensure_ascii=False))
            if connected:
                self._publish_state()

    def _publish_state(self) -> None:
        state = self._board.snapshot()
        said = state["answer"] or dict.fromkeys(_ANSWER)
        answer = {key: said[key] for key in _ANSWER} | {"live": said.get("live", [])}
        if said["confidence"] is not None:
            answer["confidence"] = round(said["confidence"], 2)
        recording = {"on": state["recorded"] is not None, "failed": state["recording_failed"]}
        for topic, value in ("answer", answer), ("recording", recording):
            text = json.dumps(value, ensure_ascii=False)
            if text != self._sent.get(topic):
                self._sent[topic] = text
                self._publish(topic, text, retain=True)

    def _publish(self, topic: str, text: str, *, retain: bool = False) -> MQTTMessageInfo:
        """Publish at most once: unacknowledged messages would pile up, and be sent again when old."""
        return self._client.publish(f"{self._topic}/{topic}", text, retain=retain)

    # Called in paho's thread.

    def _connected(
        self, client: Client, _: object, __: ConnectFlags, reason: ReasonCode, ___: Properties | None
    ) -> None:
        if reason.is_failure:
            self._away(f"refuses: {reason}")
            return
        self._is_away = False
        self._sent.clear()  # the broker may have lost it
        self._publish("available", "online", retain=True)
        discovery = f"{_FINDERS}/sensor/{self._name}/answer/config"
        client.publish(discovery, json.dumps(self._description), retain=True)

    def _disconnected(
        self, _: Client, __: object, ___: DisconnectFlags, reason: ReasonCode, ____: Properties | None
    ) -> None:
        if reason.is_failure:
            self._away(f"is lost: {reason}")

    def _away(self, why: str) -> None:
        """Remark once that the broker is away."""
        if not self._is_away:
            self._is_away = True
            remark(f"sensemble: the MQTT broker {self._broker} {why}; it is tried again")

    @property
    def _description(self) -> dict[str, Any]:
        return {
            "name": "Answer",
            "unique_id": f"sensemble_{self._name}_answer",
            "state_topic": f"{self._topic}/answer",
            "value_template": "{{ value_json.label or 'unsure' }}",
            "json_attributes_topic": f"{self._topic}/answer",
            "availability_topic": f"{self._topic}/available",
            "device": {"identifiers": [f"sensemble_{self._name}"], "name": f"Sensemble {self._name}"},
        }


class _Client(Client):
    """Refuses a packet that would fill the memory."""

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize > _LARGEST:
            raise ConnectionError(f"a packet of {bufsize} bytes")
        return super()._sock_recv(bufsize)


def device_name(bundle: Path) -> str:
    """Return a stable, unique name of this machine and a bundle's folder."""
    host = re.sub(r"[^\w-]+", "_", gethostname(), flags=re.ASCII)[:40]
    machine = _MACHINE.read_text() if _MACHINE.exists() else str(uuid.getnode())
    return (
        f"{host}-{sha256(f'{machine} {host} {bundle.resolve()}'.encode(errors='replace')).hexdigest()[:10]}"
    )


def _parsed(url: str) -> Any:  # noqa: ANN401 - the standard library's type is not public
    try:
        parts = urlsplit(url)
        good = parts.scheme in _PORTS and parts.hostname and parts.path in ("", "/") and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise InputError("--mqtt: give mqtt://[USER@]HOST[:PORT], or mqtts:// for TLS")
    if parts.password is not None:
        raise InputError(
            f"--mqtt: every user of this machine sees a command line; give the password as {PASSWORD}"
        )
    return parts
