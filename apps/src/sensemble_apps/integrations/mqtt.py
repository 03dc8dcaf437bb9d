"""Publish answers and events by MQTT, with Home Assistant's discovery."""

import json
import os
import re
from contextlib import suppress
from hashlib import sha256
from operator import attrgetter
from pathlib import Path
from socket import SHUT_RDWR, gethostname
from threading import RLock
from typing import Any, Final, Self
from urllib.parse import SplitResult, unquote, urlsplit

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.timeline import states
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.supervision.events import Event

from sensemble_apps.console.output import remark
from sensemble_apps.console.wording import answer_as_json, sensor_title
from sensemble_apps.errors import InputError
from sensemble_apps.running.outputs import machine_id
from sensemble_apps.running.view_events import Opened, Predicted, ViewEvent, event_as_json

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_AGAIN = (1, 30)  # seconds before the first try to connect again, and at most before later ones
_FINDERS = "homeassistant"  # the topic under which Home Assistant looks for devices
_ANSWER = ("label", "best", "confidence", "doubt")
_LAST = 1.0  # seconds to send the last message
_SILENT = 20  # seconds (MQTT's keep-alive) without a message before the broker is pinged
_RECORDING = {
    "recording began": (True, False),
    "recording ended": (False, False),
    "recording failed": (False, True),
}
"""The kinds of events that concern a recording: whether one is on, and whether it failed."""
PASSWORD: Final = "SENSEMBLE_MQTT_PASSWORD"  # noqa: S105 - the name of a variable of the environment


class Publisher:
    """Publishes answers and events to a broker while the block runs.

    Topics below `sensemble/DEVICE`: `answer`, retained, is `{"label", "best", "confidence", "doubt",
    "live"}`; the label is null if unsure, the first four are while nothing is live. `recording`, retained, is
    `{"on", "failed"}`. `sensors`, retained, has by modality the state of its sensor, such as `asleep`.
    `state`, retained, is `{"label"}`, the state that goes on, or null. `moment` is what began or ended, and
    `event` any other event, as `run --json` prints them. `available` is `online` or, also after a crash,
    `offline`. Events are lost while the broker is away.

    `url` is `mqtt://[USER@]HOST[:PORT][/DEVICE]`; `mqtts` for TLS. The password is in the environment, as
    `PASSWORD`. DEVICE is unique to this machine and run; by default `client_id`.
    """

    def __init__(self, url: str, bundle: Bundle) -> None:
        parts = _parsed(url)
        self._name = unquote(parts.path).removeprefix("/") or client_id(bundle.path)
        self._topic = f"sensemble/{self._name}"
        self._broker = f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"
        # With the same id, a new connection replaces a lost one before the broker publishes its will.
        self._client = Client(CallbackAPIVersion.VERSION2, f"sensemble-{self._name}")
        if parts.username:
            self._client.username_pw_set(unquote(parts.username), os.environ.get(PASSWORD))
        if parts.scheme == "mqtts":
            self._client.tls_set()
        self._client.reconnect_delay_set(*_AGAIN)
        self._client.will_set(f"{self._topic}/available", "offline", qos=1, retain=True)
        self._client.on_connect = self._connected
        self._client.on_connect_fail = lambda *_: self._away("does not answer")
        self._client.on_disconnect = self._disconnected
        self._client.on_publish = lambda *_: self._publish_state()  # there is room again
        self._client.connect_async(parts.hostname or "", parts.port or _PORTS[parts.scheme], _SILENT)
        self._is_away = False
        self._lock = RLock()  # of the two below, which paho's thread uses too
        self._state = {
            "answer": _answer(None),
            "recording": _recording(on=False, failed=""),
            "state": _NO_STATE,
            "sensors": "{}",
        }
        self._opened: Opened | None = None
        self._modalities = bundle.modalities
        self._labels = bundle.manifest.labels
        self._states = states(bundle.manifest.calibration.timeline, self._labels)
        self._sent: dict[str, str] = {}  # the part of the state that the broker has

    def __enter__(self) -> Self:
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.on_publish = None
        with suppress(RuntimeError):  # it is lost
            self._publish("available", "offline", retain=True).wait_for_publish(_LAST)
        stuck: Any = self._client.socket() if self._client.want_write() else None
        self._client.disconnect()
        if stuck is not None:  # paho would wait; the will says the same
            with suppress(OSError):
                stuck.shutdown(SHUT_RDWR)
        self._client.loop_stop()

    def show(self, event: ViewEvent) -> None:
        """Publish an event, or a new answer or state of the recording."""
        match event:
            case Opened(view=view):
                self._opened = event
                self._state["answer"] = _answer(view().prediction)
            case Predicted(prediction=prediction):
                self._state["answer"] = _answer(prediction)
            case Event(kind="live", text=""):
                self._state["answer"] = _answer(None)
            case Event(kind=kind, text=text) if kind in _RECORDING:
                on, failed = _RECORDING[kind]
                self._state["recording"] = _recording(on=on, failed=text if failed else "")
        if self._opened is not None:  # of several sensors of a modality, the last here is the one in use
            sensors = sorted(self._opened.view().sensors, key=attrgetter("active", "attached", "since"))
            self._state["sensors"] = json.dumps({one.modality: one.state for one in sensors})
        if isinstance(event, Event) and event.label in self._states:
            self._state["state"] = _state(event.label) if event.ended is None else _NO_STATE
        if isinstance(event, Event) and event.kind != "live" and self._has_room:
            topic = "moment" if event.label else "event"
            self._publish(topic, json.dumps(event_as_json(event), ensure_ascii=False))
        self._publish_state()

    @property
    def _has_room(self) -> bool:
        """True unless the broker is away, or does not read now."""
        return self._client.is_connected() and not self._client.want_write()

    def _publish_state(self) -> None:
        with self._lock:
            for topic, text in self._state.items():
                if text != self._sent.get(topic) and self._has_room:
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
        self._publish("available", "online", retain=True)
        for (component, entity), description in self._descriptions().items():
            discovery = f"{_FINDERS}/{component}/{self._name}/{entity}/config"
            client.publish(discovery, json.dumps(description), retain=True)
        with self._lock:
            self._sent.clear()  # the broker may have lost it
        self._publish_state()

    def _disconnected(
        self, _: Client, __: object, ___: DisconnectFlags, reason: ReasonCode, ____: Properties | None
    ) -> None:
        if reason.is_failure:
            self._away(f"is lost: {reason}")

    def _away(self, why: str) -> None:
        if not self._is_away:
            self._is_away = True
            remark(f"sensemble: the MQTT broker {self._broker} {why}; it is tried again")

    def _descriptions(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return Home Assistant's entities, by component and name: answer, moments, states and sensors."""
        answer = {
            "name": "Answer",
            "state_topic": f"{self._topic}/answer",
            "value_template": "{{ value_json.label or 'unsure' }}",
            "json_attributes_topic": f"{self._topic}/answer",
        }
        moment = {
            "name": "Moment",
            "state_topic": f"{self._topic}/moment",
            "event_types": list(self._labels),
            "value_template": "{% if value_json.kind == 'began' %}"
            "{{ dict(value_json, event_type=value_json.label) | tojson }}{% endif %}",
        }
        found: dict[tuple[str, str], dict[str, Any]] = {
            ("sensor", "answer"): answer,
            ("event", "moment"): moment,
        }
        for number, label in enumerate(self._states):
            found["binary_sensor", f"state{number}"] = {
                "name": label,
                "state_topic": f"{self._topic}/state",
                "value_template": f"{{{{ 'ON' if value_json.label == {json.dumps(label)} else 'OFF' }}}}",
            }
        for number, modality in enumerate(self._modalities):
            found["sensor", f"sensor{number}"] = {
                "name": sensor_title(modality),
                "state_topic": f"{self._topic}/sensors",
                "value_template": f"{{{{ value_json[{json.dumps(modality)}] | default('none') }}}}",
            }
        device = {"identifiers": [f"sensemble_{self._name}"], "name": f"Sensemble {self._name}"}
        for (_, entity), description in found.items():
            description["unique_id"] = f"sensemble_{self._name}_{entity}"
            description["availability_topic"] = f"{self._topic}/available"
            description["device"] = device
        return found


def _state(label: str | None) -> str:
    return json.dumps({"label": label}, ensure_ascii=False)


_NO_STATE = _state(None)


def _answer(prediction: Prediction | None) -> str:
    if prediction is None:
        return json.dumps({**dict.fromkeys(_ANSWER), "live": []})
    fields = answer_as_json(prediction)
    answer = {key: fields[key] for key in _ANSWER} | {"confidence": prediction.percent / 100}
    return json.dumps({**answer, "live": list(prediction.live)}, ensure_ascii=False)


def _recording(*, on: bool, failed: str) -> str:
    return json.dumps({"on": on, "failed": failed}, ensure_ascii=False)


def client_id(bundle: Path) -> str:
    """Return a stable, unique name of this machine and a bundle's folder."""
    host = re.sub(r"[^\w-]+", "_", gethostname(), flags=re.ASCII)[:40]
    named = f"{machine_id()} {host} {bundle.resolve()}".encode(errors="replace")
    return f"{host}-{sha256(named).hexdigest()[:10]}"


def _parsed(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        good = parts.scheme in _PORTS and parts.hostname and parts.port != 0
        good = good and not parts.query and not parts.fragment
    except ValueError:
        good = False
    if not good:
        raise InputError("--output mqtt: give mqtt://[USER@]HOST[:PORT][/DEVICE], or mqtts:// for TLS")
    if parts.password is not None:
        raise InputError(
            f"--output mqtt: every user of this machine sees a command line; give the password as {PASSWORD}"
        )
    if not re.fullmatch(r"/?|/[\w-]{1,64}", parts.path, re.ASCII):  # a level of a topic, and an id
        raise InputError(f"--output mqtt: {parts.path}: the device has 1 to 64 letters, digits, - and _")
    return parts
