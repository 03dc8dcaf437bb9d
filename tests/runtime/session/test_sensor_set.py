"""Sensors that lie, stand by for each other, live in processes of their own, and come back early."""

import math
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sensemble_runtime import backoff
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.events import ActiveSensorEvent, LiveSetEvent, SensorEvent
from sensemble_runtime.session import sensor_thread
from sensemble_runtime.session.hotplug import Hotplug
from sensemble_runtime.session.session import Session
from sensemble_sensors.devices import discovery
from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.microphone import Microphone
from sensemble_sensors.devices.watcher import Appeared, Disappeared, SearchFailed, Watcher
from sensemble_sensors.errors import SensorEndedError, SensorLostError, SensorUnavailableError
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.thresholds import Thresholds

from tests.runtime.puppets import Log, Puppet, watched
from tests.waiting import wait_until

SoundServer = Any


class Camera:
    """Gives 20 pictures a second, of noise until the test asks for others."""

    modality = "video"
    live = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.frozen = False
        self.late = 0.0
        self.opened = self.reads = 0
        self._rng = np.random.default_rng(0)
        self._picture = self._noise()

    def _noise(self) -> np.ndarray:
        return self._rng.integers(90, 110, (8, 8, 3)).astype(np.uint8)

    def open(self, spec: InputSpec) -> None:
        assert spec.shape[2:] == self._picture.shape
        self.opened += 1

    def read(self, timeout: float) -> Sample | None:
        self.reads += 1
        time.sleep(min(0.05, timeout))
        if not self.frozen:
            self._picture = self._noise()
        return Sample("video", self._picture, time.monotonic() - self.late)

    def close(self) -> None:
        pass


def reasons(log: Log, name: str) -> list[tuple[str, str]]:
    return [(e.kind, e.reason) for e in log.events if isinstance(e, SensorEvent) and e.name == name]


FROZEN = "the picture is frozen"
QUICK = Thresholds(frozen=0.3, recovery=0.3, stalled=60.0, picture_rate=0.0)


def test_a_camera_that_freezes_is_kept_out_and_comes_back(bundle: Bundle, log: Log) -> None:
    camera, captions = Camera("camera"), Puppet("text")
    with watched(bundle, log, camera, captions, health=QUICK) as running:
        wait_until(lambda: "video" in running.live)
        camera.frozen = True
        wait_until(lambda: ("unhealthy", FROZEN) in reasons(log, "camera"))
        assert "video" not in running.live
        captions.say()
        wait_until(lambda: running.live == ("text",))
        camera.frozen = False
        wait_until(lambda: "video" in running.live)
    kinds = [kind for kind, _ in reasons(log, "camera")]
    assert kinds == ["attached", "unhealthy", "recovered"]
    assert camera.opened == 1


def test_a_standby_takes_over_and_gives_back(bundle: Bundle, log: Log) -> None:
    standby, camera = Camera("standby"), Camera("camera")
    with watched(bundle, log, standby, camera, health=QUICK) as running:
        fed = running._sensors._active
        wait_until(lambda: "video" in fed and fed["video"].name == "camera" and "video" in running.live)
        camera.frozen = True
        wait_until(lambda: "unhealthy" in log.of("camera"))
        wait_until(lambda: "video" in fed and fed["video"].name == "standby" and "video" in running.live)
        camera.frozen = False
        wait_until(lambda: "video" in fed and fed["video"].name == "camera" and "video" in running.live)
    assert log.of("standby") == ["attached"]


def test_of_several_sensors_the_active_one_is_reported(bundle: Bundle, log: Log) -> None:
    desk, door = Puppet("audio", "desk"), Puppet("audio", "door")

    def fed() -> list[str]:
        return [e.name for e in log.events if isinstance(e, ActiveSensorEvent)]

    with watched(bundle, log, desk) as running:
        desk.hear()
        wait_until(lambda: running.live)
        assert fed() == [], "there is only one"
        running.attach(door)
        wait_until(lambda: fed() == ["desk"])
        door.hear()
        wait_until(lambda: fed() == ["desk", "door"])
        door.acts.put(SensorEndedError("door: closed"))
        wait_until(lambda: "ended" in log.of("door"))
        desk.hear()
        wait_until(lambda: fed() == ["desk", "door", "desk"])


def test_why_nothing_is_live_is_reported_before_that_it_is_not(bundle: Bundle, log: Log) -> None:
    captions = Puppet("text")
    with watched(bundle, log) as running:
        for end in (lambda: captions.acts.put(SensorLostError("text: gone")), lambda: running.detach("text")):
            if not captions.opened:
                running.attach(captions)
            captions.say()
            wait_until(lambda: running.live)
            end()
            wait_until(lambda: log.live()[-1:] == [()])
            *_, cause, gone = log.events
            assert isinstance(cause, SensorEvent)
            assert isinstance(gone, LiveSetEvent)
            log.events.clear()


@pytest.mark.usefixtures("soon")
def test_one_that_stays_frozen_is_reopened(bundle: Bundle, log: Log) -> None:
    camera = Camera("camera")
    camera.frozen = True
    health = Thresholds(frozen=0.2, reopen=0.2, stalled=60.0)
    with watched(bundle, log, camera, health=health):
        wait_until(lambda: camera.opened == 3)
    assert reasons(log, "camera")[:4] == [
        ("attached", ""),
        ("unhealthy", FROZEN),
        ("lost", f"camera: {FROZEN}; it is reopened"),
        ("attached", ""),
    ]


@pytest.mark.usefixtures("soon")
def test_one_that_gives_nothing_is_reopened_and_live_at_its_first_window(bundle: Bundle, log: Log) -> None:
    microphone = Puppet("audio")
    with watched(bundle, log, microphone, health=Thresholds(stalled=0.3)) as running:
        wait_until(lambda: microphone.opened == 3)
        microphone.hear()
        assert next(iter(running)).live == ("audio",)
    assert reasons(log, "audio")[:4] == [
        ("attached", ""),
        ("unhealthy", "nothing came for 0.3 s"),
        ("lost", "audio: nothing came for 0.3 s; it is reopened"),
        ("attached", ""),
    ]


@pytest.mark.usefixtures("soon")
def test_one_that_stays_frozen_is_never_live_however_often_it_is_opened(bundle: Bundle, log: Log) -> None:
    camera, standby = Camera("camera"), Camera("standby")
    health = Thresholds(
        frozen=0.2, recovery=0.2, reopen=0.2, stalled=2.0, black=0.5, silent=0.5, flood=0.5, rate=math.inf
    )
    fed_by: set[str] = set()
    with watched(bundle, log, standby, camera, health=health) as running:
        fed = running._sensors._active
        wait_until(lambda: "video" in fed and fed["video"].name == "camera")
        camera.frozen = True
        wait_until(lambda: "lost" in log.of("camera"))
        before = camera.opened

        def is_opened_again() -> bool:
            fed_by.update(reader.name for reader in fed.copy().values())
            return camera.opened >= before + 4

        wait_until(is_opened_again)
        assert fed_by == {"standby"}
        wait_until(lambda: "video" in running.live)
        assert "recovered" not in log.of("camera")
        camera.frozen = False
        wait_until(lambda: log.of("camera")[-1] == "recovered")
        wait_until(lambda: "video" in fed and fed["video"].name == "camera")
    assert log.of("standby") == ["attached"]


def test_one_that_fails_soon_is_waited_for_longer_each_time(
    bundle: Bundle, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "RETRY", (0.05, 100.0))
    captions = Puppet("text")
    for _ in range(4):
        captions.acts.put(Sample("text", "one", time.monotonic()))
        captions.acts.put(SensorLostError("gone"))
    began = time.monotonic()
    with watched(bundle, log, captions):
        wait_until(lambda: captions.opened == 5)
    assert time.monotonic() - began >= 0.05 + 0.1 + 0.2 + 0.4


def test_nan_from_a_microphone_reaches_no_encoder_and_ends_nothing(bundle: Bundle, log: Log) -> None:
    microphone = Puppet("audio")
    health = Thresholds(recovery=0.1, stalled=60.0)
    with watched(bundle, log, microphone, health=health) as running:
        broken = np.full(1600, np.nan, np.float32)
        microphone.acts.put(Sample("audio", broken, time.monotonic()))
        wait_until(lambda: "unhealthy" in log.of("audio"))
        wait_until(lambda: "recovered" in log.of("audio"))
        microphone.hear()
        prediction = next(iter(running))
        assert np.isfinite(prediction.pooled).all()
    assert log.of("audio") == ["attached", "unhealthy", "recovered"]


def test_one_that_floods_in_a_thread_is_not_read_all_the_time(bundle: Bundle, log: Log) -> None:
    class Flood(Puppet):
        reads = 0

        def read(self, timeout: float) -> Sample | None:  # noqa: ARG002
            self.reads += 1
            return Sample("text", "one", time.monotonic())

    captions, began = Flood("text"), time.monotonic()
    with Session(bundle) as running:
        running.subscribe(log)
        running.attach(captions)
        wait_until(lambda: ("unhealthy", "it floods") in reasons(log, "text"))
    most = kind_of("text").flood * (time.monotonic() - began + sensor_thread.BURST)
    assert captions.reads <= most + 2


def test_a_picture_that_drifts_from_the_sound_is_kept_out(bundle: Bundle, log: Log) -> None:
    microphone, camera, stop = Puppet("audio"), Camera("camera"), threading.Event()

    def speak() -> None:
        while not stop.wait(0.05):
            noise = np.random.default_rng(0).uniform(-0.5, 0.5, 800).astype(np.float32)
            microphone.acts.put(Sample("audio", noise, time.monotonic()))

    health = Thresholds(drift=0.5, stalled=60.0, sound_rate=10.0, picture_rate=0.0, late=60.0)
    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        with Session(bundle, health=health) as running:
            running.subscribe(log)
            running.attach(microphone)
            running.attach(camera)
            wait_until(lambda: running.live == ("audio", "video"))
            readers = running._sensors._attached.values()
            wait_until(lambda: all(reader.lag is not None for reader in readers))
            compared = camera.reads + 2  # at the latest: between two reads the sample before is checked
            wait_until(lambda: camera.reads > compared)
            camera.late = 5.0
            wait_until(lambda: ("unhealthy", "it drifts, 0.5 s behind the sound") in reasons(log, "camera"))
            wait_until(lambda: running.live == ("audio",))
    finally:
        stop.set()
        speaker.join()


def test_one_that_is_back_is_tried_at_once(bundle: Bundle, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "RETRY", (1000.0, 1000.0))
    captions = Puppet("text")
    captions.openings.put(SensorUnavailableError("gone"))
    with Session(bundle) as running:
        running.subscribe(log)
        name = running.attach(captions)
        wait_until(lambda: "unavailable" in log.of("text"))
        running.retry(name)
        wait_until(lambda: "attached" in log.of("text"))
        captions.acts.put(SensorLostError("gone"))
        wait_until(lambda: "lost" in log.of("text"))
        running.retry(name)
        captions.say()
        assert next(iter(running)).live == ("text",)
        assert not running.retry("nobody")


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


def test_a_microphone_that_is_unplugged_is_lost_though_another_is_heard_in_its_place(
    bundle: Bundle, log: Log, sound_server: SoundServer
) -> None:
    desk = sound_server.plug("desk")

    def make(device: Device) -> Sensor:
        return Isolated(Microphone, device.key, device.name)

    with (
        Session(bundle, health=None) as running,
        Watcher([discovery.watched_microphones], Hotplug(running, make), interval=0.2),
    ):
        running.subscribe(log)
        wait_until(lambda: "attached" in log.of("Monitor of desk"))
        sound_server.unplug(desk)
        wait_until(lambda: ("lost", "Monitor of desk: was unplugged") in reasons(log, "Monitor of desk"))
        sound_server.plug("desk")
        wait_until(lambda: log.of("Monitor of desk")[-1] == "attached")
    assert log.of("Monitor of speaker") == ["attached"], "which the server would let be heard in its place"


@pytest.mark.usefixtures("soon")
def test_a_crash_in_native_code_is_a_sensor_lost_and_the_rest_go_on(
    bundle: Bundle, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "sensors"))
    from unruly import Unruly

    captions = Puppet("text")
    with Session(bundle) as running:
        running.subscribe(log)
        running.attach(captions)
        running.attach(Isolated(Unruly, "crash", 10))
        wait_until(lambda: log.of("unruly crash").count("lost") >= 2)
        captions.say()
        wait_until(lambda: "text" in running.live)
    assert log.of("unruly crash")[:4] == ["attached", "lost", "attached", "lost"]
    assert ("lost", "unruly crash: its process died of SIGSEGV") in reasons(log, "unruly crash")
    assert any("video" in e.live for e in log.events if isinstance(e, LiveSetEvent))


def test_closing_kills_a_process_that_hangs(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensemble_runtime.session.sensor_thread.CLOSE", 0.1)
    monkeypatch.setattr("sensemble_runtime.session.sensor_thread.KILL", 30.0)
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "sensors"))
    from unruly import Unruly

    before = threading.active_count()
    camera = Isolated(Unruly, "hang opening")
    with Session(bundle) as running:
        running.attach(camera)
        wait_until(lambda: camera.pid is not None)
    assert camera.pid is None
    assert threading.active_count() == before


def test_sensors_may_become_active_while_another_asks_for_the_lag_of_its_partner(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Session(bundle, health=None) as running:
        camera, captions = Puppet("video"), Puppet("text")
        running.attach(camera)
        camera.see()
        wait_until(lambda: "video" in running._sensors._active)

        class Slow(dict[str, InputSpec]):
            def __getitem__(self, modality: str) -> InputSpec:
                if threading.current_thread() is threading.main_thread():
                    captions.say()
                    time.sleep(0.3)  # long enough for the caption to arrive, were nothing in its way
                return super().__getitem__(modality)

        running.attach(captions)
        wait_until(lambda: ("attached", "") in running._sensors.reasons[1:])
        monkeypatch.setattr(running._sensors._sink, "specs", Slow(bundle.specs))
        assert running._sensors.lag_of_other("audio") is None


@pytest.mark.usefixtures("soon")
def test_a_sensor_whose_device_goes_while_it_opens_is_lost(bundle: Bundle, log: Log) -> None:
    class Unplugged(Puppet):
        """Its device goes while it is opened for the first time."""

        def open(self, spec: InputSpec) -> None:
            super().open(spec)
            if self.opened == 1:
                running.lose(self.name, "was unplugged")

    with watched(bundle, log) as running:
        running.attach(Unplugged("audio"))
        wait_until(lambda: ("lost", "audio: was unplugged") in reasons(log, "audio"))
        wait_until(lambda: reasons(log, "audio")[-1] == ("attached", ""))
