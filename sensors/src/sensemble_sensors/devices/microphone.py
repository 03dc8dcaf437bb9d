"""A microphone as a sensor, through PortAudio; a sound server's source through ALSA's device `pulse`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from time import monotonic
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.devices import pulse
from sensemble_sensors.devices.clock import Clock
from sensemble_sensors.devices.discovery import Device, portaudio_inputs, sources, watched_microphones
from sensemble_sensors.devices.portaudio import portaudio, restart
from sensemble_sensors.errors import SensorLostError, SensorUnavailableError, printable
from sensemble_sensors.sample_queue import SampleQueue
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

if TYPE_CHECKING:
    import sounddevice

_CHUNK = 0.05  # seconds of sound in a sample
_WAITING = 64  # samples that wait for a slow reader
_INVALID_RATE = -9997  # PortAudio's error for a rate that the device does not have
_STEADY = 40  # buffers, or 2 s of sound; the one with the least delay sets the clock


class Microphone:
    """Gives mono sound at the spec's rate in samples of 0.05 s, stamped with the time of capture.

    Args:
        device: "default" or None for the system's choice, or the number, the key, the name or a part of the
            name of a device that `discovery.microphones` lists. A source is lost when the server removes it.
    """

    live = True
    native = True  # its driver may hang, or end the process
    present = staticmethod(watched_microphones)

    def __init__(
        self, device: int | str | None = None, name: str | None = None, modality: str = "audio"
    ) -> None:
        self.modality = modality
        self._device = "default" if device is None else str(device)
        self.name = printable(name or f"microphone {self._device}")
        self._rate = 0.0
        self._clock = Clock(_STEADY)
        self._count = 0  # samples of sound since it was opened
        self._queue = SampleQueue(_WAITING, continuous=True)
        self._stream: sounddevice.InputStream | None = None
        self._watch: pulse.SourceWatch | None = None

    def open(self, spec: InputSpec) -> None:
        """Open the device and start capturing; raise SensorUnavailableError, which says what to do."""
        if spec.modality != self.modality:
            raise SensorUnavailableError(f"{self.name}: gives {self.modality}, not {spec.modality}")
        self.close()
        fresh = "sounddevice" not in sys.modules
        library = portaudio()
        with _opening:
            if not _open and not fresh:
                # One plugged in since it started is found after this.
                restart()
            self._start(library, spec)
            _open.add(self)

    def read(self, timeout: float) -> Sample | None:
        """Return the next 0.05 s of sound; see `Sensor`."""
        if self._stream is None:
            raise SensorLostError(f"{self.name}: is closed")
        return self._queue.get(timeout)

    def close(self) -> None:
        """Stop capturing and release the device."""
        if self._watch is not None:
            self._watch.close()
        self._watch = None
        if self._stream is not None:
            self._stream.close()
        self._stream = None
        _open.discard(self)

    def _start(self, library: ModuleType, spec: InputSpec) -> None:
        number, source = self._choose(sources(), portaudio_inputs())
        queue = SampleQueue(_WAITING, continuous=True)
        self._rate, self._queue, self._clock, self._count = spec.rate, queue, Clock(_STEADY), 0
        try:
            with _chosen(source):
                self._stream = library.InputStream(
                    samplerate=spec.rate,
                    blocksize=round(_CHUNK * spec.rate),
                    device=number,
                    channels=1,
                    dtype="float32",
                    latency=2 * _CHUNK,
                    callback=self._put,
                    finished_callback=self._finish,
                )
                self._stream.start()
            if source is not None:
                gone = SensorLostError(f"{self.name}: was unplugged")
                self._watch = pulse.SourceWatch(source, lambda: queue.end(gone))
        except (library.PortAudioError, OSError) as error:
            self.close()
            raise SensorUnavailableError(
                f"{self.name}: {_why(error, source, spec.rate)}; choose another device "
                "of those that `sensemble doctor` shows"
            ) from error

    def _choose(self, served: list[Device], inputs: list[Device]) -> tuple[int | None, str | None]:
        """Return PortAudio's number of the device, None for the system's choice, and the source's name."""
        wanted = self._device.lower()
        if wanted == "default" and inputs:
            return None, None
        ways: list[list[Device]] = [
            [d for d in served if d.id == self._device],
            *(
                [d for d in some if wanted in (d.id, d.name.lower(), d.key.lower())]
                for some in (served, inputs)
            ),
            *([d for d in some if wanted in d.name.lower()] for some in (served, inputs)),
        ]
        matches = next(filter(None, ways), [])
        if len(matches) != 1:
            problem = "names several devices" if matches else "is not there"
            here = ", ".join(f"{d.id} ({d.name})" for d in matches or [*served, *inputs]) or "none"
            raise SensorUnavailableError(f"{self.name}: {problem}; `sensemble doctor` shows these: {here}")
        (match,) = matches
        if match in inputs:
            return int(match.id), None
        bridges = [int(device.id) for device in inputs if device.name == "pulse"]
        if not bridges:
            raise SensorUnavailableError(
                f"{self.name}: ALSA has no device `pulse` to reach the sound server by; "
                "`apt-get install libasound2-plugins`"
            )
        return bridges[0], match.id

    def _put(self, sound: NDArray[np.float32], count: int, moment: Any, flags: Any) -> None:  # noqa: ANN401
        """Queue a buffer, on PortAudio's own thread."""
        now = monotonic()
        if flags.input_overflow:
            self._clock = Clock(_STEADY)
        delay = moment.currentTime - moment.inputBufferAdcTime - count / self._rate
        # Some drivers give no times or wild ones; then the sound counts as captured just now.
        latest = now - (delay if 0 <= delay < 1 else 0.0)
        self._count += count
        time = self._clock.read(self._count / self._rate, latest)
        wave = np.clip(sound[:, 0], -1, 1)
        wave.flags.writeable = False
        self._queue.put(Sample(self.modality, wave, time, cut=flags.input_overflow))

    def _finish(self) -> None:
        self._queue.end(SensorLostError(f"{self.name}: gives no more sound; is it still plugged in?"))


@contextmanager
def _chosen(source: str | None) -> Iterator[None]:
    """Let ALSA's device `pulse` capture this source in the context; None: the server's choice."""
    before = os.environ.get(pulse.VARIABLE)
    if source is not None:
        os.environ[pulse.VARIABLE] = source
    try:
        yield
    finally:
        if before is not None:
            os.environ[pulse.VARIABLE] = before
        elif source is not None:
            del os.environ[pulse.VARIABLE]


def _why(error: Exception, source: str | None, rate: float) -> str:
    there = pulse.sources()
    if source is not None and source not in [known.name for known in there or ()]:
        return "is no longer there"
    if there == []:
        return "the sound server has no source"
    if error.args[1:2] == (_INVALID_RATE,):
        return f"cannot be opened at {rate:g} Hz ({error.args[0]})"
    return f"cannot be opened ({error.args[0]})"


_open: set[Microphone] = set()  # those that capture now
_opening = Lock()
