"""Answers and events by MQTT, through Debian's mosquitto."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Queue
from socket import create_connection, create_server
from time import monotonic, sleep
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from sensemble_apps.errors import InputError
from sensemble_apps.serve.mqtt import Publisher
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.media.dataset import Example

from .serving import PATIENCE, Served, serving

pytestmark = pytest.mark.needs("mosquitto")


class Broker:
    """A broker on the loopback, and all that it was told."""

    def __init__(self, folder: Path) -> None:
        with create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._configuration = folder / "mosquitto.conf"
        self._configuration.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        self.messages: Queue[tuple[str, str]] = Queue()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("#")
        self._client.on_message = lambda _, __, got: self.messages.put((got.topic, got.payload.decode()))

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["/usr/sbin/mosquitto", "-c", self._configuration], stderr=subprocess.DEVNULL
        )
        until = monotonic() + PATIENCE
        while monotonic() < until:
            try:
                create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                sleep(0.05)

    def listen(self) -> None:
        self._client.connect("127.0.0.1", self.port)
        self._client.loop_start()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
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


@pytest.fixture(scope="module")
def played(bundle: Bundle, examples: Sequence[Example]) -> Iterator[Served]:
    with serving(bundle, examples) as served:
        yield served


def test_answers_and_events_are_published_and_home_assistant_finds_them(
    played: Served, broker: Broker
) -> None:
    with Publisher(f"mqtt://127.0.0.1:{broker.port}", played.board):
        assert broker.next("/available") == "online"
        found = broker.next("/answer/config")
        answer = broker.next("/answer")
        assert answer.keys() == {"label", "best", "confidence", "live"}
        assert found["state_topic"].endswith("/answer")
        played.switchboard.unplug("replay video")
        assert broker.next("/event")["what"] == "detached"
        while "video" in broker.next("/answer")["live"]:
            pass
        played.switchboard.plug("replay video")
    assert broker.next("/available") == "offline"


def test_a_broker_that_is_away_is_found_when_it_is_back(
    played: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broker = Broker(tmp_path)
    with Publisher(f"mqtt://127.0.0.1:{broker.port}", played.board):
        remark, until = "", monotonic() + PATIENCE
        while "is tried again" not in remark and monotonic() < until:
            remark += capsys.readouterr().err
            sleep(0.05)
        assert f"the MQTT broker 127.0.0.1:{broker.port} does not answer; it is tried again" in remark
        broker.start()
        broker.listen()
        assert broker.next("/available") == "online"
    broker.close()


@pytest.mark.parametrize(
    "url", ["", "host", "http://host", "mqtt://", "mqtt://host:port", "mqtt://host/topic"]
)
def test_an_address_of_another_form_is_refused(played: Served, url: str) -> None:
    with pytest.raises(InputError, match="--mqtt: give mqtt://"):
        Publisher(url, played.board)
