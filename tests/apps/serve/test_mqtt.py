"""Answers and events by MQTT, through Debian's mosquitto."""

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from os import getuid
from pathlib import Path
from pwd import getpwuid
from queue import Queue
from socket import create_connection, create_server, socket
from threading import Thread
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from sensemble_apps.errors import InputError
from sensemble_apps.serve import mqtt
from sensemble_apps.serve.board import Board
from sensemble_apps.serve.mqtt import Publisher, device_name
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.events import LiveSetEvent, SensorEvent
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.media.dataset import Example

from .serving import PATIENCE, Served, serving

pytestmark = pytest.mark.needs("mosquitto")

ACCEPTED = b"\x20\x02\x00\x00"  # a connection (MQTT 3.1.1, Sec. 3.2)


class Broker:
    """A broker on the loopback, and all that it was told."""

    def __init__(self, folder: Path) -> None:
        with create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
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
        until = monotonic() + PATIENCE
        while monotonic() < until:
            try:
                create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                sleep(0.05)

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
        assert answer.keys() == {"label", "best", "confidence", "doubt", "live"}
        assert found["state_topic"].endswith("/answer")
        played.switchboard.unplug("replay video")
        assert broker.next("/event")["what"] == "detached"
        while "video" in broker.next("/answer")["live"]:
            pass
        played.switchboard.plug("replay video")
    assert broker.next("/available") == "offline"


def test_an_answer_names_the_live_set_that_it_is_of(empty: Served, broker: Broker) -> None:
    now, labels, zeros = monotonic(), empty.board.bundle.manifest.labels, np.zeros(4, np.float32)
    chances, both = np.full(len(labels), 1 / len(labels), np.float32), ("audio", "text")
    said = Prediction(
        now,
        both,
        dict.fromkeys(both, 0.0),
        chances,
        zeros,
        {},
        {},
        labels=labels,
        embeddings=dict.fromkeys(both, np.zeros(empty.board.bundle.manifest.embedding, np.float32)),
    )
    empty.board.add(said)
    empty.board.add(LiveSetEvent(now, ("text",)))  # before the next prediction, if there is one
    with Publisher(f"mqtt://127.0.0.1:{broker.port}", empty.board):
        assert broker.next("/answer")["live"] == ["audio", "text"]
        empty.board.add(LiveSetEvent(now, ()))
        assert broker.next("/answer")["live"] == []


def next_remark(capsys: pytest.CaptureFixture[str]) -> str:
    """Wait until the publisher has said that its broker is away, and return what it said."""
    remark, until = "", monotonic() + PATIENCE
    while "is tried again" not in remark and monotonic() < until:
        remark += capsys.readouterr().err
        sleep(0.05)
    return remark


def test_a_broker_that_is_away_is_found_when_it_is_back(
    played: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broker = Broker(tmp_path)
    with Publisher(f"mqtt://127.0.0.1:{broker.port}", played.board):
        remark = next_remark(capsys)
        assert f"the MQTT broker 127.0.0.1:{broker.port} does not answer; it is tried again" in remark
        broker.start()
        broker.listen()
        assert broker.next("/available") == "online"
    broker.close()


def test_what_happens_while_the_broker_is_away_is_not_sent_later(played: Served, tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    with Publisher(f"mqtt://127.0.0.1:{broker.port}", played.board, "board-7"):
        played.board.add(SensorEvent(monotonic(), "old", "audio", "lost", ""))
        sleep(0.5)  # it may pass it over, and must not keep it
        broker.start()
        broker.listen()
        assert broker.next("sensemble/board-7/available") == "online"
        assert broker.next("sensemble/board-7/recording") == {"on": False, "failed": ""}
        played.board.add(SensorEvent(monotonic(), "new", "audio", "lost", ""))
        assert broker.next("sensemble/board-7/event")["name"] == "new"
    broker.close()


def test_the_password_is_in_the_environment_alone(
    played: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = Broker(tmp_path)
    (tmp_path / "users").write_text("ann:secret\n")
    subprocess.run(["/usr/bin/mosquitto_passwd", "-U", tmp_path / "users"], check=True, capture_output=True)
    (tmp_path / "mosquitto.conf").write_text(
        f"listener {broker.port} 127.0.0.1\npassword_file {tmp_path / 'users'}\n"
        f"user {getpwuid(getuid()).pw_name}\n"
    )
    with pytest.raises(InputError, match="give the password as SENSEMBLE_MQTT_PASSWORD") as refused:
        Publisher("mqtt://ann:secret@127.0.0.1", played.board)
    assert "secret" not in str(refused.value)
    monkeypatch.setenv("SENSEMBLE_MQTT_PASSWORD", "secret")
    broker.start()
    with Publisher(f"mqtt://ann@127.0.0.1:{broker.port}", played.board):
        broker.client.username_pw_set("ann", "secret")
        broker.listen()
        assert broker.next("/available") == "online"
    broker.close()


@contextmanager
def odd_broker(answer: bytes) -> Iterator[tuple[str, "Queue[socket]"]]:
    """A broker that takes a connection, sends an answer, and leaves the rest to the test."""
    with create_server(("127.0.0.1", 0)) as listening:
        found: Queue[socket] = Queue()

        def serve() -> None:
            connection, _ = listening.accept()
            connection.settimeout(PATIENCE)
            connection.recv(1 << 16)
            connection.sendall(answer)
            found.put(connection)

        Thread(target=serve, daemon=True).start()
        yield f"mqtt://127.0.0.1:{listening.getsockname()[1]}", found


def fill(publisher: Publisher, board: Board) -> None:
    """Report events until nothing more can be written to the broker."""
    stuck, until = 0, monotonic() + PATIENCE
    while stuck < 30 and monotonic() < until:
        board.add(SensorEvent(monotonic(), "x" * 100_000, "audio", "lost", ""))
        sleep(0.02)
        stuck = stuck + 1 if publisher._client.want_write() else 0


def test_nothing_piles_up_for_a_broker_that_acknowledges_or_reads_nothing(played: Served) -> None:
    with (
        odd_broker(ACCEPTED) as (url, found),
        Publisher(url, played.board) as publisher,
        found.get(timeout=PATIENCE) as connection,
    ):
        first = connection.recv(1)[0]
        assert (first >> 4, first & 6) == (3, 0), "published, at most once"
        fill(publisher, played.board)
        waiting = len(publisher._client._out_packet)
        for _ in range(50):
            played.board.add(SensorEvent(monotonic(), "y", "audio", "lost", ""))
            sleep(0.01)
        assert 0 < len(publisher._client._out_packet) <= waiting < 20
        assert not publisher._client._out_messages


def test_a_broker_that_reads_nothing_is_not_waited_for_at_the_end(
    played: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "_SILENT", 600)
    with odd_broker(ACCEPTED) as (url, found):
        publisher = Publisher(url, played.board)
        publisher.__enter__()
        with found.get(timeout=PATIENCE):
            fill(publisher, played.board)
            leaving = Thread(target=publisher.__exit__, args=(None, None, None))
            leaving.start()
            leaving.join(PATIENCE)
            assert not leaving.is_alive()


def test_messages_that_nobody_asked_for_are_not_kept(played: Served) -> None:
    body = b"\x00\x01a\x00\x07" + bytes(1 << 14)  # topic, packet id, payload
    length = bytes([len(body) & 127 | 128, len(body) >> 7 & 127 | 128, len(body) >> 14])
    with (
        odd_broker(ACCEPTED + b"\x34" + length + body) as (url, found),  # at its second quality of service
        Publisher(url, played.board) as publisher,
        found.get(timeout=PATIENCE) as connection,
        suppress(ConnectionError),
    ):
        while connection.recv(1 << 16):
            assert not publisher._client._in_messages


def test_a_packet_that_would_fill_the_memory_is_not_read(
    played: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    endless = ACCEPTED + b"\x30\xff\xff\xff\x7f"
    with (
        odd_broker(endless) as (url, found),
        Publisher(url, played.board),
        found.get(timeout=PATIENCE) as connection,
    ):
        sent = 0
        with suppress(ConnectionError):
            while sent < 1 << 11:
                connection.sendall(bytes(1 << 16))
                sent += 1
        assert sent < 1 << 10
        assert "is lost" in next_remark(capsys)


def test_a_device_has_a_name_that_stays_and_that_no_other_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {device_name(tmp_path / folder / "bundle") for folder in ("a", "b", "a", "\udcff")}
    (tmp_path / "machine").write_text("another machine")
    monkeypatch.setattr(mqtt, "_MACHINE", tmp_path / "machine")
    names.add(device_name(tmp_path / "a" / "bundle"))
    assert len(names) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{12,51}", name) for name in names)


@pytest.mark.parametrize("name", ["", "a/b", "#", "+", "\udcff", "\xfc", "x" * 65, "a\n"])
def test_a_name_that_is_no_level_of_a_topic_is_refused(played: Served, name: str) -> None:
    with pytest.raises(InputError, match=r"--device [^\0]*: give 1 to 64 letters"):
        Publisher("mqtt://127.0.0.1", played.board, name)


@pytest.mark.parametrize(
    "url", ["", "host", "http://host", "mqtt://", "mqtt://host:port", "mqtt://host/topic"]
)
def test_an_address_of_another_form_is_refused(played: Served, url: str) -> None:
    with pytest.raises(InputError, match="--mqtt: give mqtt://"):
        Publisher(url, played.board)
