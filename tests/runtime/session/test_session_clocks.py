"""Sensors whose clocks are wrong: it is reported, nothing hangs, and the others go on."""

import math
import time
from collections.abc import Callable

import numpy as np
import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.events import SensorEvent
from sensemble_runtime.session import session
from sensemble_sensors.errors import SensorEndedError
from sensemble_sensors.sensor import Sample
from sensemble_sensors.thresholds import DEFAULT

from tests.runtime.puppets import Log, Puppet
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("no_thread_is_left")

Now = Callable[[], float]


class Played(Puppet):
    live = False


def speak(microphone: Puppet, at: float) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 1600).astype(np.float32)
    microphone.acts.put(Sample("audio", noise, at))


def reported(log: Log, name: str) -> list[tuple[str, str]]:
    return [(e.kind, e.reason) for e in log.events if isinstance(e, SensorEvent) and e.name == name]


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 1e300, -1e300])
def test_a_time_that_no_clock_shows_is_reported_and_the_session_goes_on_and_ends(
    bundle: Bundle, log: Log, wrong: float, *, live: bool
) -> None:
    microphone = (Puppet if live else Played)("audio")
    with session.Session(bundle, health=DEFAULT if live else None) as running:
        running.subscribe(log)
        running.attach(microphone)
        speak(microphone, wrong)
        wait_until(lambda: reported(log, "audio")[-1:] == [("unhealthy", "its clock jumps")])
        wait_until(lambda: reported(log, "audio")[-1:] == [("recovered", "")])
        speak(microphone, time.monotonic())
        assert next(iter(running)).live == ("audio",)
        speak(microphone, wrong)
        microphone.acts.put(SensorEndedError("over"))
        list(running)
    assert [kind for kind, _ in reported(log, "audio")] == [
        "attached",
        "unhealthy",
        "recovered",
        "unhealthy",
        "ended",
    ]


@pytest.mark.parametrize("live", [True, False])
def test_one_that_is_an_hour_ahead_is_reported_and_shuts_nobody_out(
    bundle: Bundle, log: Log, *, live: bool
) -> None:
    microphone, captions = (Puppet if live else Played)("audio"), Puppet("text")
    camera = Puppet("video")
    with session.Session(bundle, health=DEFAULT if live else None) as running:
        running.subscribe(log)
        for sensor in (microphone, camera, captions):
            running.attach(sensor)
        wait_until(lambda: len(log.events) >= 3)
        speak(microphone, time.monotonic() + 3600)
        wait_until(lambda: ("unhealthy", "its clock jumps") in reported(log, "audio"))
        camera.see()
        captions.say()
        wait_until(lambda: running.live == ("text", "video"))


def test_what_is_played_an_hour_behind_is_reported_and_kept(bundle: Bundle, log: Log) -> None:
    film = Played("video")
    with session.Session(bundle) as running:
        running.subscribe(log)
        running.attach(film)
        began = time.monotonic()
        while time.monotonic() - began < 20 and len(reported(log, "video")) < 2:
            picture = np.full((8, 8, 3), 9, np.uint8)
            film.acts.put(Sample("video", picture, time.monotonic() - 10))
            time.sleep(0.05)
        assert reported(log, "video")[:2] == [("attached", ""), ("doubtful", "it is more than 3 s late")]
        assert "video" in running._state.live_set.modalities, "it is only doubted"
