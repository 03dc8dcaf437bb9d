"""A session on a sound server, a network camera and a caption pipe, while each of them fails in its ways."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.session.hotplug import Hotplug
from sensemble_runtime.session.session import Session
from sensemble_sensors.devices import watcher
from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.devices.captions import Captions
from sensemble_sensors.devices.discovery import Device, fresh_microphones
from sensemble_sensors.devices.microphone import Microphone
from sensemble_sensors.devices.watcher import DeviceEvent, Disappeared, SearchFailed, Watcher
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.supervision import backoff
from sensemble_sensors.supervision.events import STATES
from sensemble_sensors.thresholds import Thresholds

from tests.runtime.puppets import Log
from tests.waiting import PATIENCE

pytestmark = pytest.mark.real

NetworkCamera = Any
SoundServer = Any

EVERYTHING = ("audio", "text", "video")
HEALTH = Thresholds(frozen=1.0, black=1.0, silent=3.0, recovery=0.5, picture_rate=0.0, stalled=4.0, late=60.0)


class Room:
    """A running session: tests write into its caption pipe and read its events."""

    def __init__(self, pipe: Path, log: Log, session: Session) -> None:
        self._pipe = pipe
        self._log = log
        self._session = session
        self._encoded: Counter[str] = Counter()
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def say(self) -> None:
        """Write a caption, if anybody listens."""
        try:
            pipe = os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return
        os.write(pipe, b"one person\n")
        os.close(pipe)

    def wait(self, condition: Callable[[], object]) -> None:
        """Talk on until it comes true."""
        end = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < end, reported(self._log)
            self.say()
            time.sleep(0.1)

    def wait_for_live(self, *modalities: str) -> None:
        """Wait until these are live and no others, and each of them has been encoded since."""
        self.wait(lambda: self._session.live == modalities)
        before = self._encoded.copy()
        self.wait(
            lambda: self._session.live == modalities and all(self._encoded[m] > before[m] for m in modalities)
        )

    def _listen(self) -> None:
        for prediction in self._session:
            self._encoded.update(prediction.latencies.keys())


def the_desk(stop: threading.Event) -> list[Device]:
    """Find the microphone that is plugged in here; ALSA's `pulse` and `default` lead to the same one."""
    return [device for device in fresh_microphones(stop) if device.key == "desk.monitor"]


def make(device: Device) -> Sensor:
    if device.modality == "text":
        return Captions(device.key, "captions")
    kind = {"audio": Microphone, "video": Camera}[device.modality]
    return Isolated(kind, device.key, device.modality)


def test_whatever_fails_is_reported_kept_out_and_comes_back_and_the_others_go_on(
    bundle: Bundle,
    sound_server: SoundServer,
    network_camera: NetworkCamera,
    minute_of_speech: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Only the watcher brings back what was away.
    monkeypatch.setattr(backoff, "RETRY", (0.2, 1000.0))
    sound_server.unplug_speaker()
    pipe = tmp_path / "captions"
    os.mkfifo(pipe)
    events = Log()
    with Session(bundle, health=HEALTH) as session:
        session.subscribe(events)
        room = Room(pipe, events, session)
        finders = [
            the_desk,
            watcher.named_source(network_camera.address, "video"),
            watcher.named_source(str(pipe), "text"),
        ]
        hotplug, newest = Hotplug(session, make), dict[str, DeviceEvent]()

        def noted(event: DeviceEvent) -> None:
            if not isinstance(event, SearchFailed):
                newest[event.device.modality] = event
            hotplug(event)

        def is_absent(modality: str) -> bool:
            """Return whether a search missed the device: between two searches it was never away."""
            return isinstance(newest[modality], Disappeared)

        with Watcher(finders, noted, interval=0.2):
            room.wait_for_live("text", "video")
            module = sound_server.plug("desk")
            player = sound_server.play(minute_of_speech, "desk")
            room.wait_for_live(*EVERYTHING)

            network_camera.act = "freeze"
            room.wait_for_live("audio", "text")
            assert ("video", "unhealthy", "the picture is frozen") in reported(events)
            network_camera.act = "well"
            room.wait_for_live(*EVERYTHING)

            network_camera.switch_off()
            room.wait(lambda: "lost" in events.of("video"))
            room.wait_for_live("audio", "text")
            room.wait(lambda: is_absent("video"))
            network_camera.switch_on()
            room.wait_for_live(*EVERYTHING)

            sound_server.unplug(module)
            player.wait(PATIENCE)
            room.wait(lambda: "lost" in events.of("audio"))
            room.wait_for_live("text", "video")
            room.wait(lambda: is_absent("audio"))
            module = sound_server.plug("desk")
            player = sound_server.play(minute_of_speech, "desk")
            room.wait_for_live(*EVERYTHING)

            pipe.unlink()
            room.wait(lambda: "lost" in events.of("captions"))
            room.wait_for_live("audio", "video")
            room.wait(lambda: is_absent("text"))
            os.mkfifo(pipe)
            room.wait_for_live(*EVERYTHING)
    player.terminate()
    player.wait(PATIENCE)
    # Moments, which have a label, end too.
    assert {e.sensor for e in events.events if e.kind in STATES and not e.label} == {
        "audio",
        "captions",
        "video",
    }
    assert all(kind != "failed" for _, kind, _ in reported(events))


def reported(log: Log) -> list[tuple[str, str, str]]:
    return [(e.sensor, e.kind, e.text) for e in log.events if e.kind in STATES]
