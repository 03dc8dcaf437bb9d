"""Sensors of a served session: their names, those of a watcher, and whichever of several is recorded."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sensemble_apps.errors import InputError
from sensemble_apps.web.browser_sensor import BrowserSensor, ClockOffset
from sensemble_apps.web.switchboard import Switchboard, Tap
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.session.hotplug import Hotplug
from sensemble_runtime.session.session import Session
from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.watcher import Appeared
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.recording.reader import Recorded
from sensemble_sensors.sensor import Killable, Sample


@pytest.fixture
def session(bundle: Bundle) -> Iterator[Session]:
    with Session(bundle, lasting=True) as opened:
        yield opened


@pytest.fixture
def switchboard(session: Session, bundle: Bundle) -> Switchboard:
    return Switchboard(session, bundle.specs)


def writer(bundle: Bundle, name: str = "captions") -> BrowserSensor:
    return BrowserSensor(bundle.specs["text"], name, ClockOffset())


def test_two_sensors_of_one_name_are_told_apart(switchboard: Switchboard, bundle: Bundle) -> None:
    assert [switchboard.add(writer(bundle)) for _ in range(3)] == ["captions", "captions (2)", "captions (3)"]
    switchboard.remove("captions (2)")
    switchboard.remove("captions (2)")
    assert [tap.name for tap in switchboard.taps] == ["captions", "captions (3)"]


def test_one_that_was_unplugged_is_replaced_when_its_device_comes_back(
    session: Session, switchboard: Switchboard, bundle: Bundle
) -> None:
    hotplug = Hotplug(session, switchboard.maker(lambda device: writer(bundle, device.name)))
    device = Device("text", "0", "desk", "key")
    hotplug(Appeared(device))
    (first,) = switchboard.taps
    switchboard.unplug("desk")
    switchboard.unplug("desk")
    hotplug(Appeared(device))
    (second,) = switchboard.taps
    assert (first.name, second.name, first is second) == ("desk", "desk", False)


def test_plugging_what_is_plugged_in_changes_nothing_and_what_is_not_there_is_refused(
    switchboard: Switchboard, bundle: Bundle
) -> None:
    switchboard.add(writer(bundle))
    switchboard.plug("captions")
    for act in (switchboard.plug, switchboard.unplug):
        with pytest.raises(InputError, match="desk: no such sensor; there are captions"):
            act("desk")


def test_a_tap_of_an_isolated_sensor_can_be_killed() -> None:
    tap = Tap(Isolated(Camera, "none"), "camera", lambda *_: None)
    assert isinstance(tap, Killable)
    tap.kill()  # it has no process yet


def test_of_several_sensors_one_is_recorded_until_it_is_silent(
    switchboard: Switchboard, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sensemble_apps.web import switchboard as module

    taps = [
        switchboard._tap(BrowserSensor(bundle.specs["video"], f"camera {i}", ClockOffset())) for i in range(2)
    ]
    pictures = [np.full(bundle.specs["video"].shape[2:], level, np.uint8) for level in (50, 200)]
    clock = module.monotonic()
    now = [clock]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    switchboard.record(tmp_path / "recording")
    for step, which in enumerate([0, 1, 0, 1]):
        switchboard._record_sample(taps[which], Sample("video", pictures[which], clock + 0.01 * step))
    now[0] += 2.0
    switchboard._record_sample(taps[1], Sample("video", pictures[1], clock + 0.05))
    switchboard.stop_recording()
    examples = read_dataset(tmp_path / "recording").examples
    recorded = Recorded(tmp_path / "recording", examples, bundle.specs)
    levels = [round(float(np.mean(np.asarray(sample.data)))) for sample in recorded.samples(bundle.specs)]
    assert levels == [50, 50, 200]
    assert switchboard.segments is None
