"""A session whose camera sleeps: the device is released, and opened again when it is needed."""

import shutil
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

from tests.runtime.puppets import Log, Puppet
from tests.waiting import wait_until

pytestmark = pytest.mark.real

NetworkCamera = Any


def sleepy(folder: Path, to: Path) -> Bundle:
    """Copy a bundle, whose camera is needed for a moment at the beginning, and then never."""
    copied = Path(shutil.copytree(folder, to))
    contents = read_manifest(copied / "manifest.json")
    order = ("audio", "text"), ("video",)
    numbers = 0.0, 0.1, 0.9, 3, 1.0, False, (1.0, 0.2), 0.9, 0.8, 0.0, 0.9, 0.8, 0.0
    calibration = replace(contents.calibration, sparing=SparingCalibration(order, (2.0, 10.0), *numbers))
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
        one.attach(Puppet("audio"))
        name = one.attach(Camera(network_camera.address))
        wait_until(lambda: log.of(name) == ["attached", "asleep"])
        wait_until(lambda: network_camera.viewers == ["came", "went"])
        assert {sensor.state for sensor in one.view().sensors} == {"attached", "asleep"}
        assert not one.view().faults
        open_files, threads = descriptors(), threading.active_count()
        for waking in range(1, 4):
            one.wake()
            wait_until(lambda times=waking: log.of(name)[2:] == ["woken", "attached", "asleep"] * times)
            wait_until(lambda times=waking: network_camera.viewers == ["came", "went"] * (times + 1))
        wait_until(lambda: descriptors() <= open_files)
        wait_until(lambda: threading.active_count() <= threads)
        assert "first answer took" in log.events[-1].text or "first answer took" in log.events[-2].text


def test_a_bundle_without_a_policy_lets_no_sensor_sleep(bundle: Bundle) -> None:
    with pytest.raises(PolicyError, match="no sensor may sleep"):
        Session(bundle, policy=Policy(sparing=True))
