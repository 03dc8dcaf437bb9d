"""A microphone as a sensor: a sound server's source through `parec`, any other through PortAudio."""

import sys
from collections.abc import Callable
from threading import Lock
from time import monotonic
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.devices import pulse
from sensemble_sensors.devices.discovery import Device, portaudio_inputs, source_device, watched_microphones
from sensemble_sensors.devices.portaudio import portaudio, restart
from sensemble_sensors.devices.source_clock import SourceClock
from sensemble_sensors.errors import SensorLostError, SensorUnavailableError, printable
from sensemble_sensors.sample_queue import SampleQueue
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

if TYPE_CHECKING:
    import sounddevice

_CHUNK = 0.05  # seconds of sound in a sample of PortAudio
_WAITING = 64  # samples that wait for a slow reader
_INVALID_RATE = -9997  # PortAudio's error for a rate that the device does not have
_STEADY = 40  # buffers, or 2 s of sound; the one with the least delay sets the clock


class Microphone:
    """Gives mono sound at the spec's rate in samples of up to 0.1 s, stamped with the time of capture.

    Args:
        device: "default" or None for the system's choice, or the number, the key, the name or a part of the
            name of a device that `discovery.microphones` lists. A source is lost when the server removes it.
    """

    native = True  # its driver may hang, or end the process
    present = staticmethod(watched_microphones)

    def __init__(
        self, device: int | str | None = None, name: str | None = None, modality: str = "audio"
    ) -> None:
        self.modality = modality
        self._device = "default" if device is None else str(device)
        self.name = printable(name or f"microphone {self._device}")
        self._rate = 0.0
        self._clock = SourceClock(_STEADY)
        self._count = 0  # samples of sound since it was opened
        self._queue = SampleQueue(_WAITING, continuous=True)
        self._stream: sounddevice.InputStream | None = None
        self._capture: pulse.Capture | None = None

    def open(self, spec: InputSpec) -> None:
        """Open the device and start capturing; raise SensorUnavailableError, which says what to do."""
        if spec.modality != self.modality:
            raise SensorUnavailableError(f"{self.name}: gives {self.modality}, not {spec.modality}")
        self.close()
        with _opening:
            try:
                chosen = choose(self._device, self.name, pulse.sources(), _fresh_inputs)
                if isinstance(chosen, str):
                    self._capture = pulse.Capture(chosen, self.name, spec)
                else:
                    self._start(portaudio(), chosen, spec)
                    _open.add(self)
            except OSError as error:
                raise SensorUnavailableError(
                    f"{self.name}: cannot be opened ({error.strerror or error})"
                ) from error

    def read(self, timeout: float) -> Sample | None:
        """Return the next piece of sound; see `Sensor`."""
        if self._capture is not None:
            return self._capture.read(timeout)
        if self._stream is None:
            raise SensorLostError(f"{self.name}: is closed")
        return self._queue.get(timeout)

    def close(self) -> None:
        """Stop capturing and release the device."""
        if self._capture is not None:
            self._capture.close()
        self._capture = None
        if self._stream is not None:
            self._stream.close()
        self._stream = None
        _open.discard(self)

    def _start(self, library: ModuleType, number: int | None, spec: InputSpec) -> None:
        self._queue = SampleQueue(_WAITING, continuous=True)
        self._rate, self._clock, self._count = spec.rate, SourceClock(_STEADY), 0
        try:
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
        except library.PortAudioError as error:
            self.close()
            at = f" at {spec.rate:g} Hz" if error.args[1:2] == (_INVALID_RATE,) else ""
            raise SensorUnavailableError(
                f"{self.name}: cannot be opened{at} ({error.args[0]}); choose another device of those that "
                "`sensemble doctor` shows"
            ) from error

    def _put(self, sound: NDArray[np.float32], count: int, moment: Any, flags: Any) -> None:  # noqa: ANN401
        """Queue a buffer, on PortAudio's own thread."""
        now = monotonic()
        if flags.input_overflow:
            self._clock = SourceClock(_STEADY)
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


def choose(
    device: str, title: str, served: list[pulse.Source] | None, list_inputs: Callable[[], list[Device]]
) -> str | int | None:
    """Return a source's name, PortAudio's number of the device, or None for PortAudio's default.

    Raises SensorUnavailableError, with the sensor's `title`, unless one device is meant.
    PortAudio, which takes 20 MB, is asked only if no source of the server, if there is one, is meant.
    """
    wanted = device.lower()
    if wanted == "default":
        if served == []:
            raise SensorUnavailableError(f"{title}: the sound server has no source; plug one in")
        if served:
            return pulse.DEFAULT
        if list_inputs():
            return None
    sources, inputs = [source_device(source) for source in served or ()], list[Device]()

    def called(some: list[Device]) -> list[Device]:
        return [d for d in some if wanted in (d.id, d.name.lower(), d.key.lower())]

    def alike(some: list[Device]) -> list[Device]:
        return [d for d in some if wanted in d.name.lower()]

    matches = [d for d in sources if d.id == device] or called(sources)
    if not matches:
        inputs = list_inputs()
        matches = called(inputs) or alike(sources) or alike(inputs)
    if len(matches) != 1:
        problem = "names several devices" if matches else "is not there"
        here = ", ".join(f"{d.id} ({d.name})" for d in matches or [*sources, *inputs]) or "none"
        raise SensorUnavailableError(f"{title}: {problem}; `sensemble doctor` shows these: {here}")
    return int(matches[0].id) if matches[0] in inputs else matches[0].id


def _fresh_inputs() -> list[Device]:
    fresh = "sounddevice" not in sys.modules
    library = portaudio()
    if not _open and not fresh:
        # One plugged in since it started is found after this.
        restart()
    return portaudio_inputs(library)


_open: set[Microphone] = set()  # those that capture now
_opening = Lock()
