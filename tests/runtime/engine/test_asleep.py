"""Sensors that sleep, in an engine: closed, woken by doubt, and never lost."""

from dataclasses import replace

import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.manifest import Calibration, SparingCalibration
from sensemble_runtime.engine.scheduler import Policy, PolicyError
from sensemble_runtime.engine.sparing import CHECK
from sensemble_sensors.errors import SensorUnavailableError

from tests.runtime.engine import bench as benches
from tests.runtime.engine.bench import SPECS, Bench, head_alone
from tests.runtime.engine.script import HEAD, STRANGE, bundle

SPARING = SparingCalibration(
    (("audio", "text"), ("video",)),
    (2.0, 10.0),
    0.9,
    1.0,
    0.95,
    0,
    1.0,
    False,
    (1.0, 0.2),
    *(0.9, 0.8, 0.0, 0.9, 0.8, 0.0),
)


def sleepy() -> Bundle:
    calibration = Calibration(0.05, 0.6, 100, 0.0, {}, {}, sparing=SPARING)
    return bundle(replace(HEAD, familiarity=None), calibration, SPECS)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> "Room":
    monkeypatch.setattr(benches, "head_alone", sleepy)
    return Room()


class Room(Bench):
    """A microphone that says something again and again, and a camera."""

    def __init__(self) -> None:
        super().__init__(Policy(sparing=True))
        self.microphone, self.camera = self.attach("audio"), self.attach("video", "camera")

    def hear(self, seconds: float, *, sure: bool = True) -> None:
        """Let time pass in which the sensors that are read give windows, and readers obey."""
        until = self.now + seconds
        while self.now < until:
            self.wait(0.25)
            if self.readers[self.camera] == "opening":
                self.open(self.camera)
            self.close(self.camera)
            if self.readers[self.camera] == "reading":
                self.give_window(self.camera)
            self.give_window(self.microphone)
            while self.windows:
                modality = min(self.windows)
                self.encode(modality, 0 if sure or modality == "video" else 7)

    def doze(self) -> None:
        """Let time pass until the camera is to sleep, and its reader is about to close it."""
        while self.state != "asleep":
            self.wait(0.25)
            for key in (self.microphone, self.camera):
                self.give_window(key)
            self.encode_all()

    @property
    def state(self) -> str:
        return next(one.state for one in self.engine.view(self.now).sensors if one.name == "camera")


def test_a_camera_that_is_not_needed_is_closed_and_not_lost(room: Room) -> None:
    room.hear(0.5)
    assert room.state == "attached"  # tried when the session begins
    room.hear(2.0)
    assert room.state == "asleep"
    assert room.readers[room.camera] == "idle"
    view = room.engine.view(room.now)
    assert view.live == ("audio",)
    assert not view.faults
    assert "video" not in room.freed  # its encoder stays loaded
    assert room.predictions[-1].threshold == pytest.approx(0.95)


def test_doubt_opens_it_again_and_says_why(room: Room) -> None:
    room.hear(3.0)
    room.hear(0.5, sure=False)
    assert room.readers[room.camera] == "reading"
    kind, why = room.of("camera")[-2]
    assert kind == "woken"
    assert why.startswith("unsure between ")
    room.hear(0.5, sure=False)
    assert room.engine.live(room.now) == ("audio", "video")
    room.hear(3.0)
    assert room.of("camera")[-1][0] == "asleep"
    assert "its first answer took" in room.of("camera")[-1][1]


def test_a_camera_does_not_sleep_before_the_microphone_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benches, "head_alone", sleepy)
    bench = Bench(Policy(sparing=True))
    bench.attach("audio", open_now=False)
    camera = bench.attach("video", "camera")
    for _ in range(12):
        bench.wait(0.25)
        bench.give_window(camera)
        bench.encode_all()
    assert bench.kinds("camera") == ["attached"]
    assert bench.engine.live(bench.now) == ("video",)


def test_a_microphone_that_is_lost_wakes_the_camera(room: Room) -> None:
    room.hear(3.0)
    room.fail(room.microphone)
    for _ in range(30):
        room.wait(0.5)
        if room.readers[room.camera] == "opening":
            room.open(room.camera)
    assert "woken" in room.kinds("camera")
    assert room.state in ("attached", "unhealthy")


def test_a_camera_that_cannot_be_opened_when_it_is_tried_is_found(room: Room) -> None:
    room.hear(3.0)
    asleep = room.now
    while room.readers[room.camera] != "opening":
        room.give_window(room.microphone)
        room.encode_all()
        room.wait(1.0)
    assert room.now - asleep < CHECK + 2
    room.fail(room.camera, SensorUnavailableError("in use"))
    assert room.state == "unavailable"
    assert room.engine.view(room.now).faults


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_camera_that_is_known_to_be_unplugged_while_it_sleeps_is_lost(
    room: Room, *, is_closed: bool
) -> None:
    room.doze()
    if is_closed:
        room.close(room.camera)
    assert room.state == "asleep"
    room.tell("lose", "camera", "was unplugged")
    assert room.state == "lost"
    room.hear(0.25)
    room.tell("retry", "camera")
    room.open(room.camera)
    assert room.state == "asleep"  # it is back, and not needed


def test_a_camera_that_is_needed_while_it_is_closed_is_opened_again(room: Room) -> None:
    room.doze()
    room.tell("wake")
    room.wait(1.0)
    assert room.state == "woken"
    room.close(room.camera)
    assert room.readers[room.camera] == "opening"


def test_all_are_woken_when_one_asks(room: Room) -> None:
    room.hear(3.0)
    room.tell("wake")
    assert room.readers[room.camera] == "opening"
    room.hear(50.0)
    assert room.state == "attached"
    room.hear(20.0)
    assert room.state == "asleep"


def test_a_camera_that_is_asleep_in_an_empty_room_says_that_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calibration = Calibration(0.05, 0.6, 100, 0.0, {}, dict.fromkeys(SPECS, -0.5), sparing=SPARING)
    monkeypatch.setattr(benches, "head_alone", lambda: bundle(HEAD, calibration, SPECS))
    room = Room()
    room.hear(3.0)
    assert room.of("camera")[-1] == ("asleep", "the others are sure enough")
    for _ in range(150):
        room.wait(0.25)
        if room.readers[room.camera] == "opening":
            room.open(room.camera)
        room.close(room.camera)
        for key in [room.microphone, *[room.camera] * (room.readers[room.camera] == "reading")]:
            room.give_window(key)
        room.encode_all(STRANGE)
    assert room.state == "asleep"
    assert room.of("camera")[-1][1].startswith("the others have known nothing for 30 s")


@pytest.fixture
def ladder(monkeypatch: pytest.MonkeyPatch) -> "Room":
    """A room whose policy asks a second camera before the camera."""
    specs = {**SPECS, "video.rear": replace(SPECS["video"], modality="video.rear")}
    policy = replace(SPARING, order=(("audio", "text"), ("video.rear",), ("video",)))
    calibration = Calibration(0.05, 0.6, 100, 0.0, {}, {}, sparing=policy)
    monkeypatch.setattr(
        benches, "head_alone", lambda: bundle(replace(HEAD, familiarity=None), calibration, specs)
    )
    return Room()


def test_doubt_wakes_the_camera_past_one_that_is_not_there(ladder: Room) -> None:
    ladder.hear(12.0)
    assert ladder.state == "asleep"
    ladder.hear(0.5, sure=False)
    assert ladder.state == "attached"
    assert ladder.of("camera")[-2][1].startswith("unsure between ")


@pytest.mark.parametrize("answers", [0, 1], ids=["asleep", "woken"])
def test_doubt_wakes_the_camera_past_one_that_died(ladder: Room, answers: int) -> None:
    """It dies while it sleeps, or between its waking and its first window."""
    rear = ladder.attach("video.rear", "rear")
    ladder.hear(12.0)
    ladder.close(rear)
    assert (ladder.kinds("rear")[-1], ladder.state) == ("asleep", "asleep")
    ladder.hear(0.25, sure=False)
    assert ladder.readers[rear] == "opening"
    assert ladder.state == "asleep"  # the other was asked first
    if answers:
        ladder.open(rear)
    ladder.fail(rear, SensorUnavailableError("no such device"))
    ladder.hear(0.5, sure=False)
    assert ladder.state == "attached"


@pytest.mark.parametrize("acts", [("wake", "detach camera"), ("detach camera", "wake")])
def test_the_time_that_a_camera_was_unplugged_is_not_that_of_its_waking(room: Room, acts: tuple[str]) -> None:
    room.hear(3.0)
    for act in acts:
        room.tell(*act.split())
    room.wait(20.0)
    room.camera = room.attach("video", "camera")
    room.hear(70.0)
    assert room.of("camera")[-1] == ("asleep", "the others are sure enough")


def test_a_sensor_that_is_detached_while_it_sleeps_is_gone(room: Room) -> None:
    room.hear(3.0)
    room.tell("detach", "camera")
    assert room.readers[room.camera] == "over"


def test_a_played_sensor_is_read_on_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benches, "head_alone", sleepy)
    bench = Bench(Policy(sparing=True))
    sound, film = bench.attach("audio", played=True), bench.attach("video", played=True)
    for _ in range(12):
        bench.wait(0.25)
        for key in (sound, film):
            bench.give_window(key)
        bench.encode_all()
    assert bench.kinds("video") == ["attached", "asleep"]
    assert bench.readers[film] == "reading"
    assert bench.engine.live(bench.now) == ("audio",)
    bench.tell("wake")
    assert bench.kinds("video")[-2:] == ["woken", "attached"]


def test_ten_thousand_wakings_leave_nothing_behind(room: Room) -> None:
    room.hear(3.0)
    woken = 0
    for _ in range(10_000):
        room.engine.spare({}, {})
        room.advance()
        woken += room.readers[room.camera] == "opening"
        room.readers[room.camera] = "reading"
        room.tell("opened", room.camera)
        room.tell("ready", room.camera)
        room.engine.spare({"video": ""}, {})
        room.advance()
        room.close(room.camera)
        room.items.clear()
    assert woken == 10_000
    assert len(room.engine.view(room.now).sensors) == 2


def test_a_bundle_without_a_policy_is_refused() -> None:
    assert head_alone().manifest.calibration.sparing is None
    with pytest.raises(PolicyError, match="no sensor may sleep"):
        Bench(Policy(sparing=True))
