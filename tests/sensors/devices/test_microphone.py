"""PortAudio for real: a tone is played into PulseAudio's null sink and heard from its monitor."""

from collections.abc import Mapping
from threading import active_count
from typing import Any

import numpy as np
import pytest
from sensemble_sensors.devices.clock import Clock
from sensemble_sensors.devices.microphone import _STEADY, Microphone
from sensemble_sensors.errors import SensorLostError
from sensemble_sensors.spec import InputSpec

Studio = Any
SoundServer = Any
Specs = Mapping[str, InputSpec]


def listen(microphone: Microphone, until: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return a second of sound that is louder than `until`; a silent start is passed over."""
    heard: list[np.ndarray[Any, Any]] = []
    while len(heard) < 20:
        sample = microphone.read(10)
        assert sample is not None
        wave = np.asarray(sample.data, np.float32)
        if heard or np.abs(wave).max() > until:
            heard.append(wave)
    return np.concatenate(heard)


def test_buffers_that_come_late_do_not_make_the_clock_jump() -> None:
    clock, rng = Clock(_STEADY), np.random.default_rng(0)
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
    clock = Clock(_STEADY)
    ends = [100.0 + 0.05 * i + (3.0 if i > 100 else 0.0) for i in range(200)]
    reported = [clock.read(0.05 * i, t) for i, t in enumerate(ends)]
    assert reported[100] == pytest.approx(ends[100])
    assert reported[-1] == pytest.approx(ends[-1])


def test_a_tone_that_is_played_is_heard(studio: Studio, specs: Specs, sound_server: SoundServer) -> None:
    path = studio.write("tone.wav", wave=studio.tone(30, 16000, 440), audio="pcm_s16le")
    before = active_count()
    for device in ("default", "puls"):
        microphone = Microphone(device)
        microphone.open(specs["audio"])
        first = microphone.read(10)
        second = microphone.read(10)
        assert first is not None
        assert second is not None
        assert first.cut
        assert np.asarray(first.data).shape == (800,)
        assert first.time < second.time
        player = sound_server.play(path)
        heard = listen(microphone, 0.1)[800:]
        player.terminate()
        player.wait()
        microphone.close()
        microphone.close()
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
        assert np.argmax(spectrum) * 16000 / len(heard) == pytest.approx(440, abs=2)
        assert np.abs(heard).max() == pytest.approx(0.5, abs=0.05)
    with pytest.raises(SensorLostError, match="is closed"):
        microphone.read(0)
    assert active_count() == before
