"""The sources of real sound servers, PulseAudio and PipeWire: listed, heard, watched, guarded."""

import errno
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import active_count
from typing import Any

import numpy as np
import pytest
from sensemble_sensors.devices import pulse
from sensemble_sensors.devices.discovery import microphones, watched_microphones
from sensemble_sensors.devices.microphone import _STEADY, Microphone
from sensemble_sensors.devices.pulse import Source, parse
from sensemble_sensors.devices.source_clock import SourceClock
from sensemble_sensors.devices.watcher import Appeared, Disappeared, Watcher
from sensemble_sensors.errors import SensorLostError, SensorUnavailableError
from sensemble_sensors.isolation.isolated import Isolated

from tests.processes import children
from tests.sensors.reading import read_on
from tests.sensors.studio import Specs, Studio
from tests.waiting import PATIENCE, wait_until

SoundServer = Any


def listen(microphone: Microphone, until: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return a second of sound that is louder than `until`; a silent start is passed over."""
    heard: list[np.ndarray[Any, Any]] = []
    while sum(map(len, heard)) < 16000:
        sample = microphone.read(30)
        assert sample is not None
        wave = np.asarray(sample.data, np.float32)
        if heard or np.abs(wave).max() > until:
            heard.append(wave)
    return np.concatenate(heard)


def test_a_source_is_listed_named_and_heard_as_what_it_is(
    either_server: SoundServer, studio: Studio, specs: Specs
) -> None:
    before = active_count()
    either_server.plug("desk", "Desk mic é 麦克风")
    (found,) = [device for device in microphones() if device.id == "desk.monitor"]
    assert (found.name, found.key) == ("Monitor of Desk mic é 麦克风", "desk.monitor")
    tone = studio.write("loud.wav", wave=studio.tone(60, 16000, 440), audio="pcm_s16le")
    player = either_server.play(tone, "desk")
    try:
        for name in ("monitor of desk MIC É 麦克风", "Desk mic"):
            microphone = Microphone(name)
            microphone.open(specs["audio"])
            first = microphone.read(30)
            assert first is not None
            assert (first.cut, np.shape(first.data)) == (True, (1600,))
            heard = listen(microphone, 0.1)[800:]
            microphone.close()
            microphone.close()
            assert np.abs(heard).max() == pytest.approx(0.5, abs=0.1)
            spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
            assert np.argmax(spectrum) * 16000 / len(heard) == pytest.approx(440, abs=2)
        with pytest.raises(SensorLostError, match="is closed"):
            microphone.read(0)
        for name in ("speaker.monitor", "default", "pulse"):  # the last one by PortAudio
            other = Microphone(name)
            other.open(specs["audio"])
            assert np.abs(listen(other, -1.0)[4000:]).max() == 0, "each hears its own, also in one process"
            other.close()
    finally:
        player.terminate()
        player.wait(PATIENCE)
    assert active_count() == before


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
    with pytest.raises(SensorUnavailableError, match=r"desk\.monitor: .*speaker\.monitor") as reported:
        desk.open(specs["audio"])
    assert "Hz" not in str(reported.value), "its rate has nothing to do with it"
    for _ in range(2):
        module = either_server.plug("desk")
        desk.open(specs["audio"])
        assert desk.read(30) is not None
        either_server.unplug(module)
        assert isinstance(read_on(desk)[1], SensorLostError)
        with pytest.raises(SensorLostError, match=r"was unplugged|gives no more sound"):
            desk.read(1)
        desk.close()


def test_a_server_that_ends_takes_its_sources_with_it(either_server: SoundServer, specs: Specs) -> None:
    desk = Isolated(Microphone, "speaker.monitor")
    desk.open(specs["audio"])
    assert desk.read(30) is not None
    either_server.stop()
    assert isinstance(read_on(desk)[1], SensorLostError)
    desk.close()
    with pytest.raises(SensorUnavailableError, match=r"`sensemble doctor`") as reported:
        desk.open(specs["audio"])
    assert "Hz" not in str(reported.value)


@pytest.mark.usefixtures("sound_server")
def test_sound_after_a_hole_has_the_time_of_its_capture(specs: Specs) -> None:
    desk = Microphone("speaker.monitor")
    desk.open(specs["audio"])
    before = desk.read(30)
    for suspended in ("1", "0"):
        subprocess.run(["pactl", "suspend-sink", "speaker", suspended], check=True)
        while suspended == "1" and (sample := desk.read(1.5)) is not None:
            before = sample
    after = desk.read(30)
    desk.close()
    assert before is not None
    assert after is not None
    assert after.cut
    assert after.time - before.time > 1, "though it is the next sound that the source gave"


def test_a_server_without_a_source_is_not_blamed_on_the_rate(sound_server: SoundServer, specs: Specs) -> None:
    sound_server.unplug_speaker()
    assert pulse.sources() == []
    with pytest.raises(SensorUnavailableError, match="default: the sound server has no source"):
        Microphone("default").open(specs["audio"])


def test_a_server_that_hangs_makes_a_watch_blind_and_ends_no_guard(
    sound_server: SoundServer, specs: Specs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "_PATIENCE", 2.0)
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


LISTEN = """
import signal, sys
from sensemble_sensors.devices.microphone import Microphone
from sensemble_sensors.spec import InputSpec
signal.signal(signal.SIGINT, lambda *_: None)
microphone = Microphone("speaker.monitor")
microphone.open(InputSpec("audio", "float32", (1, 16000), 16000, 1, 0.5, 2))
print(microphone.read(30).time, flush=True)
sys.stdin.readline()
for _ in range(20):
    assert microphone.read(30) is not None
microphone.close()
"""


@pytest.mark.usefixtures("sound_server")
def test_ctrl_c_does_not_end_the_tools_before_the_program_that_uses_them() -> None:
    command = [sys.executable, "-c", LISTEN]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, process_group=0, text=True) as program:
        assert program.stdout is not None
        assert float(program.stdout.readline()) > 0
        os.killpg(program.pid, signal.SIGINT)
        program.communicate("go on\n", PATIENCE)
    assert program.returncode == 0


def test_ctrl_c_is_not_for_the_tool_that_lists_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that it broke off seemed to be one without the source."""
    for tool in ("pactl", "parec"):
        (tmp_path / tool).write_text(f"#!/bin/sh\nread -r stat </proc/$$/stat\necho $stat >{tmp_path}/stat\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "getsid", lambda _: 0)
    assert pulse.sources() == []
    assert int((tmp_path / "stat").read_text().split()[4]) != os.getpgrp()


@pytest.mark.usefixtures("sound_server")
def test_a_killed_program_leaves_no_tool_behind() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", LISTEN], stdin=pipe, stdout=pipe) as program:
        assert program.stdout is not None
        assert program.stdout.readline()
        # Before it is `pactl`, `setpriv` may not have asked yet to be killed, too.
        wait_until(lambda: any(command(tool)[1:] == [b"subscribe"] for tool in tools(program.pid)))
        started = tools(program.pid)
        program.kill()
    assert len(started) >= 2  # `parec` and `pactl subscribe`
    wait_until(lambda: not any(map(command, started)))


def tools(program: int) -> list[Path]:
    """Return the folders of /proc of a program's children."""
    return [Path(f"/proc/{child}") for child in children(program)]


def command(process: Path) -> list[bytes]:
    """Return the command of a process of /proc; empty if it is over, or a zombie."""
    with suppress(OSError):
        return (process / "cmdline").read_bytes().split(b"\0")[:-1]
    return []


@pytest.mark.usefixtures("sound_server")
def test_a_source_that_cannot_be_watched_is_not_captured(
    specs: Specs, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorders: list[Path] = []

    def found() -> list[Path]:
        return [tool for tool in tools(os.getpid()) if b"--device=speaker.monitor" in command(tool)]

    def fail(*_: object) -> None:
        wait_until(lambda: recorders.extend(found()) or recorders)  # the kernel may list it a little later
        raise BlockingIOError(errno.EAGAIN, "no more processes")

    monkeypatch.setattr(pulse, "SourceWatch", fail)
    with pytest.raises(SensorUnavailableError):
        Microphone("speaker.monitor").open(specs["audio"])
    (recorder,) = recorders
    assert not recorder.exists()  # as a zombie would


def test_a_server_without_its_recorder_is_left_to_portaudio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pactl").write_text("#!/bin/sh\n")
    (tmp_path / "pactl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pulse.sources() is None


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


def test_buffers_that_come_late_do_not_make_the_clock_jump() -> None:
    clock, rng = SourceClock(_STEADY), np.random.default_rng(0)
    # Now and then one is held up for half a second, and those behind it come at once with it.
    late = (
        np.maximum.accumulate(np.where(np.arange(400) % 30 == 13, 0.5, 0.0) + np.arange(400) * 0.05)
        - np.arange(400) * 0.05
    )
    ends = 100.0 + 0.05 * np.arange(1, 401)
    times = ends + late + rng.uniform(0, 0.01, 400)
    reported = [clock.read(0.05 * i, t) for i, t in enumerate(times)]
    assert reported == sorted(reported)
    np.testing.assert_allclose(reported, ends, atol=0.011)


def test_a_pause_of_the_device_is_found_in_the_times_after_it() -> None:
    clock = SourceClock(_STEADY)
    ends = [100.0 + 0.05 * i + (3.0 if i > 100 else 0.0) for i in range(200)]
    reported = [clock.read(0.05 * i, t) for i, t in enumerate(ends)]
    assert reported[100] == pytest.approx(ends[100])
    assert reported[-1] == pytest.approx(ends[-1])
