"""The sources of real sound servers, PulseAudio and PipeWire: listed, heard, watched and guarded."""

import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from sensemble_sensors.devices import pulse
from sensemble_sensors.devices.discovery import microphones, watched_microphones
from sensemble_sensors.devices.microphone import Microphone
from sensemble_sensors.devices.pulse import Source, parse
from sensemble_sensors.devices.watcher import Appeared, Disappeared, Watcher
from sensemble_sensors.errors import SensorLostError, SensorUnavailableError
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.spec import InputSpec

SoundServer = Any
Studio = Any
Specs = Mapping[str, InputSpec]


def read_until_lost(sensor: Sensor) -> float:
    """Return how long it gives something, in seconds."""
    began = time.monotonic()
    while time.monotonic() - began < 60:
        try:
            sensor.read(0.5)
        except SensorLostError:
            return time.monotonic() - began
    pytest.fail("it was never lost")


def loudness(microphone: Sensor, seconds: float) -> float:
    """Return the peak of what it hears, but for a start that a resampler may fill."""
    waves = []
    while len(waves) < 20 * seconds:
        sample = microphone.read(10)
        assert sample is not None
        waves.append(np.asarray(sample.data, np.float32))
    return float(np.abs(np.concatenate(waves[5:])).max())


def test_a_source_is_listed_named_and_heard_as_what_it_is(
    either_server: SoundServer, studio: Studio, specs: Specs
) -> None:
    either_server.plug("desk", "Desk mic é 麦克风")
    (found,) = [device for device in microphones() if device.id == "desk.monitor"]
    assert (found.name, found.key) == ("Monitor of Desk mic é 麦克风", "desk.monitor")
    tone = studio.write("loud.wav", wave=studio.tone(60, 16000, 440), audio="pcm_s16le")
    player = either_server.play(tone, "desk")
    try:
        for name in ("monitor of desk MIC É 麦克风", "Desk mic"):
            microphone = Microphone(name)
            microphone.open(specs["audio"])
            assert loudness(microphone, 1) == pytest.approx(0.5, abs=0.1)
            microphone.close()
        other = Microphone("speaker.monitor")
        other.open(specs["audio"])
        assert loudness(other, 1) == 0, "each hears its own, also in one process"
        other.close()
    finally:
        player.terminate()
        player.wait(30)
    assert pulse.VARIABLE not in os.environ


def test_a_watch_tells_of_sources_that_come_and_go(either_server: SoundServer) -> None:
    watcher = Watcher([watched_microphones], lambda _: None)
    assert [item.device.key for item in watcher.search() if isinstance(item, Appeared)] == ["speaker.monitor"]
    for i in range(20):
        module = either_server.plug(f"desk{i}", f"the desk {i}")
        (new,) = watcher.search()
        assert isinstance(new, Appeared)
        assert (new.device.key, new.device.name) == (f"desk{i}.monitor", f"Monitor of the desk {i}")
        either_server.unplug(module)
        assert watcher.search() == [Disappeared(new.device)]
    either_server.stop()
    assert [type(item) for item in watcher.search()][:1] == [Disappeared]


@pytest.mark.parametrize("isolated", [True, False])
def test_a_source_that_is_removed_is_lost_and_no_other_is_heard_in_its_place(
    either_server: SoundServer, specs: Specs, *, isolated: bool
) -> None:
    desk = Isolated(Microphone, "desk.monitor") if isolated else Microphone("desk.monitor")
    with pytest.raises(
        SensorUnavailableError, match=r"desk.monitor: is not there; .*speaker.monitor"
    ) as reported:
        desk.open(specs["audio"])
    assert "Hz" not in str(reported.value), "its rate has nothing to do with it"
    for _ in range(2):
        module = either_server.plug("desk")
        desk.open(specs["audio"])
        assert desk.read(30) is not None
        either_server.unplug(module)
        assert read_until_lost(desk) < 3
        with pytest.raises(SensorLostError, match=r"was unplugged|gives no more sound"):
            desk.read(1)
        desk.close()


def test_a_server_that_ends_takes_its_sources_with_it(either_server: SoundServer, specs: Specs) -> None:
    desk = Isolated(Microphone, "speaker.monitor")
    desk.open(specs["audio"])
    assert desk.read(30) is not None
    either_server.stop()
    assert read_until_lost(desk) < 10
    desk.close()
    with pytest.raises(SensorUnavailableError, match=r"`sensemble doctor`") as reported:
        desk.open(specs["audio"])
    assert "Hz" not in str(reported.value)


def test_a_server_without_a_source_is_not_blamed_on_the_rate(sound_server: SoundServer, specs: Specs) -> None:
    sound_server.unplug_speaker()
    assert pulse.sources() == []
    with pytest.raises(SensorUnavailableError, match="default: the sound server has no source"):
        Microphone("default").open(specs["audio"])


def test_a_server_that_hangs_makes_a_watch_blind_and_ends_no_guard(
    sound_server: SoundServer, specs: Specs
) -> None:
    desk = Microphone("speaker.monitor")
    desk.open(specs["audio"])
    assert desk.read(30) is not None
    os.kill(sound_server.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(SensorUnavailableError, match="does not answer within 2 s"):
            watched_microphones()
    finally:
        os.kill(sound_server.process.pid, signal.SIGCONT)
    assert desk.read(30) is not None
    desk.close()


def test_what_an_output_plays_is_no_microphone_unless_the_output_is_a_null_sink() -> None:
    def block(name: str, sink: str, driver: str, property_: str, description: str) -> str:
        return (
            f"Source #7\n\tState: IDLE\n\tName: {name}\n\tDescription: {description}\n\tDriver: {driver}\n"
            f"\tMonitor of Sink: {sink}\n\tProperties:\n\t\t{property_}\n\n"
        )

    null = 'factory.name = "support.null-audio-sink"'
    alsa = 'device.api = "alsa"'
    listing = (
        block("alsa_input.usb", "n/a", "PipeWire", alsa, "USB: mic\n\tName: evil")
        + block("alsa_output.pci.monitor", "alsa_output.pci", "PipeWire", alsa, "Monitor of Speakers")
        + block("virtual.monitor", "virtual", "PipeWire", null, "Monitor of Virtual")
        + block("old.monitor", "old", "module-null-sink.c", 'device.class = "monitor"', "Monitor of Old")
        + block("auto_null.monitor", "auto_null", "PipeWire", null, "Monitor of Dummy Output")
    )
    assert parse(listing) == [
        Source("alsa_input.usb", "USB: mic", microphone=True),
        Source("alsa_output.pci.monitor", "Monitor of Speakers", microphone=False),
        Source("virtual.monitor", "Monitor of Virtual", microphone=True),
        Source("old.monitor", "Monitor of Old", microphone=True),
        Source("auto_null.monitor", "Monitor of Dummy Output", microphone=False),
    ]
    assert parse("") == parse("nonsense\n") == []
