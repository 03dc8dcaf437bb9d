"""Publish the answer by MQTT, which homes and robots listen to; Home Assistant finds it by itself."""

import json
import re
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from sensemble_apps.console.output import remark
from sensemble_apps.errors import InputError
from sensemble_apps.serve.board import Board

_EVERY = 0.1  # seconds between two looks whether there is something new
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_AGAIN = (1, 30)  # seconds before the first try to connect again, and at most before later ones
_FINDERS = "homeassistant"  # the topic under which Home Assistant looks for devices
_LAST = 1.0  # seconds that the broker has for the last message


class Publisher:
    """Publishes a board's answer and the events of its sensors to a broker, while the block runs.

    Below `sensemble/NAME`, the folders' names of the bundle: `answer`, whenever it changes and retained, is
    `{"label", "best", "confidence", "live"}`: no label if unsure, and none of the first three while nothing
    is live. `event` is an entry of the timeline; `available` is `online` or, also where this process was
    killed, `offline`. A broker that is away is tried again; what happens meanwhile is not sent later.

    Args:
        url: `mqtt://[USER:PASSWORD@]HOST[:PORT]`; `mqtts` for TLS.
        board: the state.

    Raises:
        InputError: the address has another form.
    """

    def __init__(self, url: str, board: Board) -> None:
        parts = _parsed(url)
        self._board = board
        # No level of a topic may hold what separates or selects levels.
        name = re.sub(r"[^\w-]+", "_", "_".join(board.bundle.path.resolve().parts[-2:]))
        self._name, self._topic = name, f"sensemble/{name}"
        self._broker = f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"
        self._client = Client(CallbackAPIVersion.VERSION2)
        if parts.username:
            self._client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme == "mqtts":
            self._client.tls_set()
        self._client.reconnect_delay_set(*_AGAIN)
        self._client.will_set(f"{self._topic}/available", "offline", qos=1, retain=True)
        self._client.on_connect = self._connected
        self._client.on_connect_fail = lambda *_: self._away("does not answer")
        self._client.on_disconnect = self._disconnected
        self._client.connect_async(parts.hostname or "", parts.port or _PORTS[parts.scheme])
        self._is_away = False
        self._answer: dict[str, Any] | None = None  # as it was published last
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
        if self._client.is_connected():
            self._publish("available", "offline", retain=True).wait_for_publish(_LAST)
        self._client.disconnect()
        self._client.loop_stop()

    def _run(self) -> None:
        entries = self._board.timeline()
        number, seen = (entries[-1]["number"] if entries else 0), -1
        while not self._stop.wait(_EVERY):
            version = self._board.version
            if version == seen or not self._client.is_connected():
                continue
            seen = version
            for entry in self._board.timeline(number):
                number = entry["number"]
                if entry["kind"] == "event":
                    self._publish("event", json.dumps(entry, ensure_ascii=False))
            self._publish_answer()

    def _publish_answer(self) -> None:
        """Publish the answer if it is another than before; of confidences, whole per cents count."""
        state = self._board.snapshot()
        said = state["answer"] or {"label": None, "best": None, "confidence": None}
        answer = {key: said[key] for key in ("label", "best", "confidence")} | {"live": state["live"]}
        if said["confidence"] is not None:
            answer["confidence"] = round(said["confidence"], 2)
        if answer != self._answer:
            self._answer = answer
            self._publish("answer", json.dumps(answer, ensure_ascii=False), retain=True)

    def _publish(self, topic: str, text: str, *, retain: bool = False) -> MQTTMessageInfo:
        return self._client.publish(f"{self._topic}/{topic}", text, qos=1 if retain else 0, retain=retain)

    # Called in paho's thread.

    def _connected(
        self, client: Client, _: object, __: ConnectFlags, reason: ReasonCode, ___: Properties | None
    ) -> None:
        if reason.is_failure:
            self._away(f"refuses: {reason}")
            return
        self._is_away = False
        self._answer = None  # the broker may have lost it
        self._publish("available", "online", retain=True)
        discovery = f"{_FINDERS}/sensor/{self._name}/answer/config"
        client.publish(discovery, json.dumps(self._description), qos=1, retain=True)

    def _disconnected(
        self, _: Client, __: object, ___: DisconnectFlags, reason: ReasonCode, ____: Properties | None
    ) -> None:
        if reason.is_failure:
            self._away(f"is lost: {reason}")

    def _away(self, why: str) -> None:
        """Remark once that the broker is away; it is tried again."""
        if not self._is_away:
            self._is_away = True
            remark(f"sensemble: the MQTT broker {self._broker} {why}; it is tried again")

    @property
    def _description(self) -> dict[str, Any]:
        """The sensor as Home Assistant's MQTT discovery takes it."""
        return {
            "name": "Answer",
            "unique_id": f"sensemble_{self._name}_answer",
            "state_topic": f"{self._topic}/answer",
            "value_template": "{{ value_json.label or 'unsure' }}",
            "json_attributes_topic": f"{self._topic}/answer",
            "availability_topic": f"{self._topic}/available",
            "device": {"identifiers": [f"sensemble_{self._name}"], "name": f"Sensemble {self._name}"},
        }


def _parsed(url: str) -> Any:  # noqa: ANN401 - the standard library's type is not public
    try:
        parts = urlsplit(url)
        if parts.scheme in _PORTS and parts.hostname and parts.path in ("", "/") and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise InputError("--mqtt: give mqtt://[USER:PASSWORD@]HOST[:PORT], or mqtts:// for TLS")
