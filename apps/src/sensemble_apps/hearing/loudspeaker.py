"""Play sound on the loudspeaker, and hear it on a microphone."""

from time import monotonic

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.devices.portaudio import portaudio
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.spec import InputSpec

_AFTER = 1.0  # seconds that are heard after the end, for what is on its way
_FIRST = 10.0  # seconds that the microphone may take for its first sample
_READ = 0.2  # seconds that one read may wait


def play_and_hear(
    wave: NDArray[np.float32], rate: int, microphone: Sensor, spec: InputSpec
) -> NDArray[np.float32]:
    """Play a wave, float32 [n], on the system's loudspeaker, and return what the microphone hears meanwhile.

    Args:
        wave: in [-1, 1].
        rate: samples a second, of the wave and of `spec`.
        microphone: in a process of its own, for PortAudio plays in this one; it is opened and closed.
        spec: the form of the microphone's samples.

    Raises:
        SensorUnavailableError: the microphone or the loudspeaker cannot be opened.
        SensorLostError: the microphone was lost.
    """
    library = portaudio()
    heard = [np.zeros(0, np.float32)]
    microphone.open(spec)
    try:
        began = monotonic()
        while len(heard) == 1:  # only what is heard from before the track begins can be found in it
            heard += _read(microphone)
            if monotonic() - began > _FIRST:
                raise SensorUnavailableError(
                    f"{microphone.name}: gives no sound; choose another, --microphone"
                )
        try:
            library.play(wave, rate)
        except library.PortAudioError as error:
            raise SensorUnavailableError(
                f"the loudspeaker cannot play {rate} Hz ({error.args[0]}); choose another output"
            ) from error
        until = monotonic() + len(wave) / rate + _AFTER
        while monotonic() < until:
            heard += _read(microphone)
    finally:
        library.stop()
        microphone.close()
    return np.concatenate(heard)


def _read(microphone: Sensor) -> list[NDArray[np.float32]]:
    sample = microphone.read(_READ)
    return [] if sample is None else [np.asarray(sample.data, np.float32)]
