"""A session whose camera sleeps: the device is released, and opened again when it is needed."""

import os
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.manifest import SparingCalibration
from sensemble_runtime.bundle.manifest_file import read_manifest, write_manifest
from sensemble_runtime.engine import sparing
from sensemble_runtime.engine.scheduler import Policy, PolicyError
from sensemble_runtime.session.session import Session
from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.devices.microphone import Microphone
from sensemble_sensors.spec import InputSpec

from tests.runtime.puppets import Log, Puppet
from tests.waiting import wait_until

pytestmark = pytest.mark.real

NetworkCamera = Any


def sleepy(folder: Path, to: Path, last: str = "video") -> Bundle:
    """Copy a bundle, whose `last` sensor is needed for a moment at the beginning, and then never."""
    copied = Path(shutil.copytree(folder, to))
    contents = read_manifest(copied / "manifest.json")
    other = "audio" if last == "video" else "video"
    order = ("text",), (other,), (last,)  # nobody misses captions
    numbers = 0.0, 0.1, 0.9, 3, 1.0, False, (1.0, 0.2, 0.2), 0.9, 0.8, 0.0, 0.9, 0.8, 0.0
    calibration = replace(contents.calibration, sparing=SparingCalibration(order, (0.0, 2.0, 10.0), *numbers))
    write_manifest(replace(contents, calibration=calibration), copied / "manifest.json")
    return Bundle.open(copied)


def descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def test_a_network_camera_sees_its_connection_closed_and_opened_again(
    bundle_folder: Path,
    tmp_path: Path,
    network_camera: NetworkCamera,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sparing, "ASKED", 0.1)
    with Session(sleepy(bundle_folder, tmp_path / "bundle"), health=None, policy=Policy(sparing=True)) as one:
        one.subscribe(log)
        name = one.attach(Camera(network_camera.address))
        wait_until(lambda: log.of(name) == ["attached", "asleep"])
        wait_until(lambda: network_camera.viewers == ["came", "went"])
        assert [sensor.state for sensor in one.view().sensors] == ["asleep"]
        assert not one.view().faults
        open_files, threads = descriptors(), threading.active_count()
        for waking in range(1, 4):
            one.wake()
            wait_until(lambda times=waking: log.of(name)[2:] == ["woken", "attached", "asleep"] * times)
            wait_until(lambda times=waking: network_camera.viewers == ["came", "went"] * (times + 1))
        wait_until(lambda: descriptors() <= open_files)
        wait_until(lambda: threading.active_count() <= threads)
        assert "first answer took" in log.events[-1].text or "first answer took" in log.events[-2].text


@pytest.mark.needs("pulseaudio")
@pytest.mark.usefixtures("sound_server")
def test_nothing_listens_to_a_source_while_its_microphone_sleeps(
    bundle_folder: Path, tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparing, "ASKED", 0.1)

    def listeners() -> list[str]:
        list_them = ["pactl", "list", "short", "source-outputs"]
        return subprocess.run(list_them, capture_output=True, text=True, check=True).stdout.splitlines()

    bundle = sleepy(bundle_folder, tmp_path / "bundle", "audio")
    with Session(bundle, health=None, policy=Policy(sparing=True)) as one:
        one.subscribe(log)
        name = one.attach(Microphone("speaker.monitor"))
        wait_until(lambda: log.of(name) == ["attached", "asleep"])
        wait_until(lambda: not listeners())
        one.wake()
        wait_until(listeners)
        wait_until(lambda: log.of(name)[2:] == ["woken", "attached", "asleep"])
        wait_until(lambda: not listeners())


class Held(Puppet):
    """A camera whose device is a file that it holds while it is open."""

    def open(self, spec: InputSpec) -> None:
        super().open(spec)
        self._device = os.open("/dev/zero", os.O_RDONLY)

    def close(self) -> None:
        os.close(self._device)
        super().close()


def test_a_thousand_wakings_leave_no_descriptor_and_no_thread_behind(
    bundle_folder: Path, tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparing, "ASKED", 0.0)
    monkeypatch.setattr(sparing, "SETTLING", 0.0)
    with Session(sleepy(bundle_folder, tmp_path / "bundle"), health=None, policy=Policy(sparing=True)) as one:
        one.subscribe(log)
        camera = Held("video")
        name = one.attach(camera)
        wait_until(lambda: log.of(name) == ["attached", "asleep"] and not camera.holders)
        open_files, threads = descriptors(), threading.active_count()
        for waking in range(2, 1002):
            one.wake()  # one that comes while it is being opened would wake nobody
            wait_until(lambda waking=waking: log.of(name).count("asleep") == waking and not camera.holders)
        assert camera.opened == 1001
        assert log.of(name).count("woken") == 1000
        wait_until(lambda: descriptors() <= open_files)
        wait_until(lambda: threading.active_count() <= threads)


def test_a_bundle_without_a_policy_lets_no_sensor_sleep(bundle: Bundle) -> None:
    with pytest.raises(PolicyError, match="no sensor may sleep"):
        Session(bundle, policy=Policy(sparing=True))
