"""Answers and events by MQTT, through Debian's mosquitto."""

import json
import re
import subprocess
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from os import getuid
from pathlib import Path
from pwd import getpwuid
from queue import Queue
from socket import create_server, socket
from threading import Thread
from time import sleep
from typing import Any

import numpy as np
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from sensemble_apps.errors import InputError
from sensemble_apps.integrations import mqtt
from sensemble_apps.integrations.mqtt import Publisher, client_id
from sensemble_apps.running import outputs
from sensemble_apps.running.view_events import Opened, Predicted
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.manifest import SetThreshold, TimelineCalibration
from sensemble_runtime.engine.view import View
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.supervision.events import Event
from sensemble_sensors.supervision.sensor_view import SensorView

from tests.sensors.reading import free_port
from tests.waiting import PATIENCE, wait_until

from .serving import Served, serving

pytestmark = pytest.mark.needs("mosquitto")

ACCEPTED = b"\x20\x02\x00\x00"  # a connection (MQTT 3.1.1, Sec. 3.2)


class Broker:
    """A broker on the loopback, and all that it was told."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._configuration = folder / "mosquitto.conf"
        self._configuration.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        self.messages: Queue[tuple[str, str]] = Queue()
        self.client = Client(CallbackAPIVersion.VERSION2)
        self.client.on_connect = lambda client, *_: client.subscribe("#")
        self.client.on_message = lambda _, __, got: self.messages.put((got.topic, got.payload.decode()))

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["/usr/sbin/mosquitto", "-c", self._configuration], stderr=subprocess.DEVNULL
        )
        wait_until(self._answers)

    def _answers(self) -> bool:
        with socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def listen(self) -> None:
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        self.stop()

    def next(self, topic: str) -> Any:  # noqa: ANN401 - JSON
        """Return the next message whose topic ends with `topic`."""
        while True:
            found, text = self.messages.get(timeout=PATIENCE)
            if found.endswith(topic):
                return json.loads(text) if text.startswith("{") else text


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    broker.listen()
    yield broker
    broker.close()


@contextmanager
def published(bundle: Bundle, examples: Sequence[Example], url: str) -> Iterator[Served]:
    """Serve a replay that is published to a broker."""
    with Publisher(url, bundle) as publisher, serving(bundle, examples, others=[publisher]) as served:
        yield served


def lost(name: str) -> Event:
    return Event(0.0, "lost", "audio", name)


def test_answers_and_events_are_published_and_home_assistant_finds_them(
    bundle: Bundle, examples: Sequence[Example], broker: Broker
) -> None:
    with published(bundle, examples, f"mqtt://127.0.0.1:{broker.port}") as played:
        assert broker.next("/available") == "online"
        found = broker.next("/answer/config")
        answer = broker.next("/answer")
        assert answer.keys() == {"label", "best", "confidence", "doubt", "live"}
        assert found["state_topic"].endswith("/answer")
        while "video" not in broker.next("/answer")["live"]:
            pass
        played.sensors.unplug("replay video")
        while broker.next("/event")["kind"] != "detached":
            pass
        while "video" in broker.next("/answer")["live"]:
            pass
    assert broker.next("/available") == "offline"


def test_an_answer_names_the_live_set_that_it_is_of(bundle: Bundle, broker: Broker) -> None:
    labels, zeros, both = bundle.manifest.labels, np.zeros(4, np.float32), ("audio", "text")
    chances = np.full(len(labels), 1 / len(labels), np.float32)
    prediction = Prediction(0.0, both, dict.fromkeys(both, 0.0), chances, zeros, {}, {}, labels=labels)
    with Publisher(f"mqtt://127.0.0.1:{broker.port}", bundle) as publisher:
        publisher.show(Predicted(0.0, prediction, None))
        publisher.show(Event(0.0, "live", text="text"))  # before the next prediction, if there is one
        while not (live := broker.next("/answer")["live"]):
            pass
        assert live == ["audio", "text"]
        publisher.show(Event(0.0, "live"))
        assert broker.next("/answer")["live"] == []


def test_moments_and_states_are_published_and_home_assistant_finds_an_entity_for_each(
    bundle: Bundle, broker: Broker
) -> None:
    word, state, *_ = bundle.manifest.labels
    sets = {"": SetThreshold(1.0, 3.0, 0, None)}
    timeline = TimelineCalibration(1.0, 1.0, {state: 20.0}, 1.0, sets)
    calibration = replace(bundle.manifest.calibration, timeline=timeline)
    bundle.manifest = replace(bundle.manifest, calibration=calibration)

    def happened(kind: str, label: str, began: float, ended: float | None) -> Event:
        return Event(
            ended or began, kind, label=label, began=began, ended=ended, confidence=0.97, sensors=("audio",)
        )

    with Publisher(f"mqtt://127.0.0.1:{broker.port}", bundle) as publisher:
        found = broker.next("/moment/config")
        assert (found["event_types"], found["state_topic"][-7:]) == ([*bundle.manifest.labels], "/moment")
        lasting = broker.next("/state0/config")
        assert (lasting["name"], lasting["state_topic"][-6:]) == (state, "/state")
        assert state in lasting["value_template"]
        assert broker.next("/state") == {"label": None}
        publisher.show(happened("began", word, 12.25, None))
        told = broker.next("/moment")
        assert (told["kind"], told["label"], told["began"], told["ended"]) == ("began", word, 12.25, None)
        assert (told["confidence"], told["sensors"]) == (0.97, ["audio"])
        publisher.show(happened("ended", word, 12.25, 12.75))
        publisher.show(happened("began", state, 20.0, None))
        assert broker.next("/state") == {"label": state}, "a moment is no state"
        publisher.show(happened("ended", state, 20.0, 45.0))
        assert broker.next("/state") == {"label": None}


def test_a_sensors_state_is_published_and_home_assistant_finds_it(bundle: Bundle, broker: Broker) -> None:
    with Publisher(f"mqtt://127.0.0.1:{broker.port}", bundle) as publisher:
        found = broker.next(f"/sensor{bundle.modalities.index('video')}/config")
        assert (found["name"], found["state_topic"][-8:]) == ("camera", "/sensors")
        assert broker.next("/sensors") == {}
        sensors: dict[str, str] = {}
        publisher.show(Opened(0.0, lambda: seen(bundle, sensors)))
        for sensors["camera 0"] in ("attached", "asleep", "woken"):
            publisher.show(Event(0.0, sensors["camera 0"], "video", "camera 0"))
            assert broker.next("/sensors") == {"video": sensors["camera 0"]}
        sensors["camera 1"] = "recovered"
        sensors["camera 0"] = "lost"
        publisher.show(Event(0.0, "lost", "video", "camera 0"))
        assert broker.next("/sensors") == {"video": "recovered"}, "a second camera goes on"


def seen(bundle: Bundle, sensors: Mapping[str, str]) -> View:
    """Return the view of a session with these cameras, by name, in these states."""
    shown = tuple(
        SensorView("video", name, "", state, "", 0.0, state != "lost", False, None)
        for name, state in sensors.items()
    )
    return View(0.0, shown, (), None, (), {}, bundle)


def test_a_recording_is_published(bundle: Bundle, broker: Broker) -> None:
    with Publisher(f"mqtt://127.0.0.1:{broker.port}", bundle) as publisher:
        assert broker.next("/recording") == {"on": False, "failed": ""}
        for kind, state in (
            ("recording began", {"on": True, "failed": ""}),
            ("recording failed", {"on": False, "failed": "the disk is full"}),
            ("recording ended", {"on": False, "failed": ""}),
        ):
            publisher.show(Event(0.0, kind, text="the disk is full" if state["failed"] else ""))
            assert broker.next("/recording") == state


def next_remark(capsys: pytest.CaptureFixture[str]) -> str:
    """Wait until the publisher has said that its broker is away, and return what it said."""
    remarks = [""]
    wait_until(lambda: remarks.append(capsys.readouterr().err) or "is tried again" in "".join(remarks))
    return "".join(remarks)


def test_a_broker_that_is_away_is_found_when_it_is_back_and_is_sent_nothing_old(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broker = Broker(tmp_path)
    with Publisher(f"mqtt://127.0.0.1:{broker.port}/board-7", bundle) as publisher:
        publisher.show(lost("old"))
        assert f"127.0.0.1:{broker.port} does not answer" in next_remark(capsys)
        broker.start()
        broker.listen()
        assert broker.next("sensemble/board-7/available") == "online"
        assert broker.next("sensemble/board-7/recording") == {"on": False, "failed": ""}
        publisher.show(lost("new"))
        assert broker.next("sensemble/board-7/event")["sensor"] == "new"
    broker.close()


def test_the_password_is_no_argument(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(tmp_path)
    (tmp_path / "users").write_text("ann:secret\n")
    subprocess.run(["/usr/bin/mosquitto_passwd", "-U", tmp_path / "users"], check=True, capture_output=True)
    (tmp_path / "mosquitto.conf").write_text(
        f"listener {broker.port} 127.0.0.1\npassword_file {tmp_path / 'users'}\n"
        f"user {getpwuid(getuid()).pw_name}\n"
    )
    with pytest.raises(InputError, match="SENSEMBLE_MQTT_PASSWORD") as refused:
        Publisher("mqtt://ann:secret@127.0.0.1", bundle)
    assert "secret" not in str(refused.value)
    monkeypatch.setenv("SENSEMBLE_MQTT_PASSWORD", "secret")
    broker.start()
    with Publisher(f"mqtt://ann@127.0.0.1:{broker.port}", bundle):
        broker.client.username_pw_set("ann", "secret")
        broker.listen()
        assert broker.next("/available") == "online"
    broker.close()


@contextmanager
def deaf_broker() -> Iterator[tuple[str, "Queue[socket]"]]:
    """A broker that takes a connection, and reads no more of it than the test does."""
    with create_server(("127.0.0.1", 0)) as listening:
        found: Queue[socket] = Queue()

        def serve() -> None:
            connection, _ = listening.accept()
            connection.settimeout(PATIENCE)
            connection.recv(1 << 16)
            connection.sendall(ACCEPTED)
            found.put(connection)

        Thread(target=serve, daemon=True).start()
        yield f"mqtt://127.0.0.1:{listening.getsockname()[1]}", found


def test_nothing_piles_up_for_a_broker_that_reads_nothing_and_it_is_not_awaited(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "_SILENT", 600)
    with deaf_broker() as (url, found):
        publisher = Publisher(url, bundle)
        publisher.__enter__()
        with found.get(timeout=PATIENCE) as connection:
            first = connection.recv(1)[0]
            assert (first >> 4, first & 6) == (3, 0), "published, at most once"
            tracemalloc.start()
            try:
                for _ in range(400):  # 40 MB, of which the system's buffers take a few
                    publisher.show(lost("x" * 100_000))
                    sleep(0.01)
                held, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert held < 4e6
            leaving = Thread(target=publisher.__exit__, args=(None, None, None))
            leaving.start()
            leaving.join(PATIENCE)
            assert not leaving.is_alive()
            got = sum(map(len, iter(lambda: connection.recv(1 << 20), b"")))
            assert 1e5 < got < 20e6, "the broker was stuck: most was left out"


def test_a_device_has_a_lasting_name_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {client_id(tmp_path / folder / "bundle") for folder in ("a", "b", "a", "\udcff")}
    (tmp_path / "machine").write_text("another machine")
    monkeypatch.setattr(outputs, "_MACHINE", tmp_path / "machine")
    names.add(client_id(tmp_path / "a" / "bundle"))
    assert len(names) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{12,51}", name) for name in names)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        *((url, "give mqtt://") for url in ("", "host", "http://host", "mqtt://", "mqtt://host:port")),
        *(
            (f"mqtt://host/{name}", "the device has 1 to 64 letters")
            for name in ("a/b", "+", "\udcff", "\xfc", "x" * 65)
        ),
    ],
)
def test_an_address_of_another_form_is_refused(bundle: Bundle, url: str, why: str) -> None:
    with pytest.raises(InputError, match=f"--output mqtt: .*{why}"):
        Publisher(url, bundle)
