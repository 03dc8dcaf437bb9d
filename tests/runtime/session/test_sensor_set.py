"""Devices that a watcher finds and loses, and the process of a sensor that hangs."""

import threading
from pathlib import Path

import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.session.hotplug import Hotplug
from sensemble_runtime.session.session import Session
from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.watcher import Appeared, Disappeared, SearchFailed
from sensemble_sensors.errors import SensorEndedError, SensorLostError
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.supervision import backoff

from tests.runtime.puppets import Log, Puppet
from tests.waiting import wait_until

pytestmark = pytest.mark.real


def test_what_a_watcher_finds_is_attached_once_and_again_when_it_has_ended(
    bundle: Bundle, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "RETRY", (1000.0, 1000.0))
    file = Device("text", "said.txt", "said.txt", "said.txt")
    made: list[Puppet] = []

    def make(device: Device) -> Puppet:
        made.append(Puppet(device.modality, device.key))
        return made[-1]

    with Session(bundle) as running:
        running.subscribe(log)
        running.attach(Puppet("video"))
        hotplug = Hotplug(running, make)
        for event in (Appeared(file), Disappeared(file), SearchFailed("no PortAudio")):
            hotplug(event)
        wait_until(lambda: log.of("said.txt") == ["attached"])
        made[0].acts.put(SensorLostError("gone"))
        wait_until(lambda: log.of("said.txt") == ["attached", "lost"])
        hotplug(Appeared(file))
        wait_until(lambda: log.of("said.txt") == ["attached", "lost", "attached"])
        assert len(made) == 1
        made[0].acts.put(SensorEndedError("over"))
        wait_until(lambda: "ended" in log.of("said.txt"))
        hotplug(Appeared(file))
        wait_until(lambda: log.of("said.txt")[3:] == ["ended", "attached"])
        assert len(made) == 2
    hotplug(Appeared(Device("text", "late", "late", "late")))  # after the session: nothing happens


def test_a_device_whose_name_tells_no_kind_comes_and_goes(bundle: Bundle, log: Log) -> None:
    lens = Device("thermal", "rtsp://lens", "lens", "rtsp://lens")
    with Session(bundle) as running:
        running.subscribe(log)
        hotplug = Hotplug(running, lambda device: Puppet("video", device.name))
        for event in (Disappeared(lens), Appeared(lens), Disappeared(lens)):
            hotplug(event)
        wait_until(lambda: log.of("lens") == ["attached"])


def test_closing_kills_a_process_that_hangs(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensemble_runtime.session.sensor_host.CLOSE", 3.0)
    monkeypatch.setattr("sensemble_runtime.session.sensor_host.KILL", 30.0)
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "sensors"))
    from unruly import Unruly

    before = set(threading.enumerate())
    camera = Isolated(Unruly, "hang opening")
    with Session(bundle) as running:
        running.attach(camera)
        wait_until(lambda: camera.pid is not None)
    assert camera.pid is None
    wait_until(lambda: set(threading.enumerate()) <= before)
