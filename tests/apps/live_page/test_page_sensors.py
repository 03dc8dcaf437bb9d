"""Sensors of a served session: their names, those of a watcher, and which of several is recorded."""

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
from numpy.typing import NDArray
from sensemble_apps.errors import InputError
from sensemble_apps.running.recorder import Recorder
from sensemble_apps.web.browser_sensor import BrowserSensor, ClockOffset
from sensemble_apps.web.page_sensors import PageSensor, PageSensors
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.session.hotplug import Hotplug
from sensemble_runtime.session.session import Session
from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.push_series import PushSeries
from sensemble_sensors.devices.watcher import Appeared
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.recording.reader import Recorded
from sensemble_sensors.sensor import Killable, Sample, is_pushed
from sensemble_sensors.spec import InputSpec

from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.real


@pytest.fixture
def session(bundle: Bundle) -> Iterator[Session]:
    with Session(bundle, lasting=True, health=None) as opened:  # cameras seem to stand still on slow machines
        yield opened


@pytest.fixture
def sensors(session: Session, bundle: Bundle) -> PageSensors:
    return PageSensors(session, bundle.specs)


def writer(bundle: Bundle, name: str = "captions") -> BrowserSensor:
    return BrowserSensor(bundle.specs["text"], name, ClockOffset())


def test_two_sensors_of_one_name_are_told_apart(sensors: PageSensors, bundle: Bundle) -> None:
    assert [sensors.add(writer(bundle)) for _ in range(3)] == ["captions", "captions (2)", "captions (3)"]
    sensors.remove("captions (2)")
    sensors.remove("captions (2)")
    assert [sensor.name for sensor in sensors.all] == ["captions", "captions (3)"]


def test_a_sensor_that_others_send_to_stays_one_on_the_page_and_in_a_process(bundle: Bundle) -> None:
    # Else a silent one is reopened, which turns its senders away.
    assert is_pushed(PageSensor(PushSeries(), "watch", lambda: None))
    assert is_pushed(Isolated(PushSeries))
    assert not is_pushed(PageSensor(writer(bundle), "captions", lambda: None))


def test_one_that_was_unplugged_is_replaced_when_its_device_comes_back(
    session: Session, sensors: PageSensors, bundle: Bundle
) -> None:
    hotplug = Hotplug(session, sensors.maker(lambda device: writer(bundle, device.name)))
    device = Device("text", "0", "desk", "key")
    hotplug(Appeared(device))
    (first,) = sensors.all
    sensors.unplug("desk")
    sensors.unplug("desk")
    hotplug(Appeared(device))
    (second,) = sensors.all
    assert (first.name, second.name, first is second) == ("desk", "desk", False)


def test_plugging_what_is_plugged_in_changes_nothing_and_what_is_not_there_is_refused(
    sensors: PageSensors, bundle: Bundle
) -> None:
    sensors.add(writer(bundle))
    sensors.plug("captions")
    for act in (sensors.plug, sensors.unplug):
        with pytest.raises(InputError, match=r"^desk: .*captions"):
            act("desk")


def test_the_sensors_of_a_device_are_plugged_together(session: Session, bundle: Bundle) -> None:
    carried = {"audio": "desk", "text": "desk", "video": ""}
    specs = {m: replace(spec, device=carried[m]) for m, spec in bundle.specs.items()}
    page = PageSensors(session, specs)
    for modality, spec in specs.items():
        page.add(BrowserSensor(spec, modality, ClockOffset()))
    page.unplug("desk")
    assert [session.retry(name) for name in specs] == [False, False, True]
    page.plug("desk")
    assert all(session.retry(name) for name in specs)


class Samples:
    """Gives samples of sound, a tenth of a second each."""

    modality, name = "audio", "microphone"

    def __init__(self, wave: NDArray[np.float32], *, played: bool) -> None:
        self.waves, self.played = iter(wave.reshape(-1, 1600)), played
        self.time = 0.0

    def open(self, spec: InputSpec) -> None:
        """Have nothing to open."""

    def read(self, timeout: float) -> Sample | None:  # noqa: ARG002 - never waits
        self.time += 0.1
        return Sample("audio", next(self.waves), self.time)

    def close(self) -> None:
        """Have nothing to close."""


@pytest.mark.parametrize("played", [True, False])
def test_what_is_played_comes_once_with_its_previews_and_a_live_microphone_never(
    bundle: Bundle, *, played: bool
) -> None:
    spec = bundle.specs["audio"]
    wave = np.random.default_rng(0).uniform(-1, 1, 16 * 1600).astype(np.float32)
    sensor = PageSensor(Samples(wave, played=played), "microphone", lambda: None)
    sensor.open(spec)
    heard, known = b"", None
    for samples in (1, 1, 3, 11):
        for _ in range(samples):
            sensor.read(0.0)
        for _ in range(2):  # viewers, who share what is drawn
            found = sensor.preview(spec, known, 10.0)
            assert found is not None
        known, preview = found
        assert ("sound" in preview) == played
        heard += b64decode(preview.get("sound", ""))
    assert sensor.preview(spec, known, 10.0) is None
    expected = (wave * 32767).astype("<i2") if played else np.zeros(0, "<i2")
    np.testing.assert_array_equal(np.frombuffer(heard, "<i2"), expected)


def test_an_isolated_sensor_of_a_page_can_be_killed() -> None:
    sensor = PageSensor(Isolated(Camera, "none"), "camera", lambda: None)
    assert isinstance(sensor, Killable)
    sensor.kill()  # it has no process yet


def test_the_active_one_of_several_is_recorded(session: Session, bundle: Bundle, tmp_path: Path) -> None:
    spec, recorder = bundle.specs["video"], Recorder(session, bundle.specs)
    cameras, clock = [], ClockOffset()
    clock.add(monotonic(), monotonic(), monotonic())
    folder = tmp_path / "recording"
    recorder.start(folder)
    for level in (50, 200):
        cameras.append(BrowserSensor(spec, f"camera {level}", clock))
        name = session.attach(cameras[-1])
        until = monotonic() + PATIENCE
        while len(list((folder / "segments").glob("*.mkv"))) < len(cameras) and monotonic() < until:
            for camera, shade, waited in zip(cameras, (50, 200), (0.0, 0.3), strict=False):
                picture = np.full(spec.shape[2:], shade, np.uint8) + np.uint8(monotonic() * 100 % 5)
                # `waited` seconds after its capture.
                camera.put(0, monotonic() - waited, memoryview(picture.tobytes()))
            sleep(0.05)
        assert name == f"camera {level}"
    recorder.stop()
    recorded = Recorded(folder, read_dataset(folder).examples, bundle.specs)
    levels = [round(float(np.mean(np.asarray(s.data))), -1) for s in recorded.samples(bundle.specs)]
    assert sorted(set(levels)) == [50, 200]
    assert levels == sorted(levels), "the one that was attached last takes over, and nothing is interleaved"
    assert recorder.segments is None


def test_no_sound_is_recorded_twice_where_a_microphone_takes_over(
    session: Session, bundle: Bundle, tmp_path: Path
) -> None:
    spec, recorder, clock = bundle.specs["audio"], Recorder(session, bundle.specs), ClockOffset()
    clock.add(monotonic(), monotonic(), monotonic())
    began = recorder.start(tmp_path / "recording", segment=60.0).began
    sound = memoryview(np.zeros(round(0.1 * spec.rate), np.float32).tobytes())
    taken: list[str] = []
    session.listen(lambda name, _: taken.append(name))
    events: list[str] = []
    session.subscribe(lambda item: events.append(getattr(item, "kind", "")))
    wait_until(lambda: monotonic() > began + 0.5)
    for name, ends in (("first", [0.2]), ("second", [0.25, 0.35])):
        microphone = BrowserSensor(spec, name, clock)
        events.clear()
        session.attach(microphone)
        wait_until(lambda: "attached" in events)
        for number, end in enumerate(ends):
            microphone.put(number, began + end, sound)
        wait_until(lambda name=name, ends=ends: taken.count(name) == len(ends))
    recorder.stop()
    recorded = Recorded(tmp_path / "recording", read_dataset(tmp_path / "recording").examples, bundle.specs)
    assert [s.time for s in recorded.samples(bundle.specs)] == pytest.approx([0.2, 0.35], abs=1e-3)
