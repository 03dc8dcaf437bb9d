"""A microphone as a sensor, through PortAudio."""

import sys
from threading import Lock
from time import monotonic
from types import ModuleType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.clock import Clock
from sensemble_sensors.devices import Device, microphones, portaudio
from sensemble_sensors.errors import SensorLostError, SensorUnavailableError
from sensemble_sensors.mailbox import Mailbox
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

_CHUNK = 0.05  # seconds of sound in a sample
_WAITING = 64  # samples that wait for a slow reader
_STEADY = 40  # buffers, and so 2 s of sound, of which the one that came soonest tells the time of all


class _Stream(Protocol):
    """What is used here of `sounddevice.InputStream`, which has no types of its own."""

    def start(self) -> None: ...
    def close(self) -> None: ...


class _Moment(Protocol):
    """PortAudio's times of a buffer, in seconds on the stream's own clock."""

    inputBufferAdcTime: float  # noqa: N815
    currentTime: float  # noqa: N815


class _Flags(Protocol):
    input_overflow: bool


class Microphone:
    """Gives mono sound at the spec's rate in samples of 0.05 s, stamped with the time at which it was heard.

    Args:
        device: "default" or None for the system's choice, or the number, the key, the name or a part of the
            name of a device, as `devices.microphones` lists them.
        name: what the sensor is called; by default, after its device.
    """

    modality = "audio"
    live = True

    def __init__(self, device: int | str | None = None, name: str | None = None) -> None:
        self._device = "default" if device is None else str(device)
        self.name = name or f"microphone {self._device}"
        self._rate = 0.0
        self._clock = Clock(_STEADY)
        self._count = 0  # samples of sound since it was opened
        self._box = Mailbox(_WAITING)
        self._stream: _Stream | None = None

    def open(self, spec: InputSpec) -> None:
        """Open the device and start to listen.

        Raises:
            SensorUnavailableError: PortAudio is missing, there is no such device, it cannot be used at this
                rate, or `spec` is not one of audio; says what to do.
        """
        if spec.modality != self.modality:
            raise SensorUnavailableError(f"{self.name}: gives audio, not {spec.modality}")
        self.close()
        fresh = "sounddevice" not in sys.modules
        library = portaudio()
        with _opening:
            if not _open and not fresh:
                # PortAudio looks for devices only when it starts: one plugged in since is seen after this.
                library._terminate()  # noqa: SLF001
                library._initialize()  # noqa: SLF001
            self._start(library, spec)
            _open.add(self)

    def read(self, timeout: float) -> Sample | None:
        """Return the next 0.05 s of sound, or None when none came within `timeout` seconds; see `Sensor`."""
        if self._stream is None:
            raise SensorLostError(f"{self.name}: is closed")
        return self._box.get(timeout)

    def close(self) -> None:
        """Stop to listen and release the device."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None
        _open.discard(self)

    def _start(self, library: ModuleType, spec: InputSpec) -> None:
        number = self._number(microphones())
        self._rate, self._box, self._clock, self._count = spec.rate, Mailbox(_WAITING), Clock(_STEADY), 0
        try:
            self._stream = library.InputStream(
                samplerate=spec.rate,
                blocksize=round(_CHUNK * spec.rate),
                device=number,
                channels=1,
                dtype="float32",
                latency=2 * _CHUNK,
                callback=self._hear,
                finished_callback=self._finish,
            )
            self._stream.start()
        except library.PortAudioError as error:
            self.close()
            raise SensorUnavailableError(
                f"{self.name}: cannot be opened at {spec.rate:g} Hz ({error.args[0]}); choose another device "
                "of those that `sensemble doctor` shows"
            ) from error

    def _number(self, devices: list[Device]) -> int | None:
        """Return PortAudio's number of the device, None for the system's choice."""
        wanted = self._device.lower()
        if wanted == "default" and devices:
            return None
        matches = [
            [d for d in devices if wanted in (d.id, d.name.lower(), d.key.lower())],
            [device for device in devices if wanted in device.name.lower()],
        ]
        found = matches[0] or matches[1]
        if len(found) == 1:
            return int(found[0].id)
        problem = "names several devices" if found else "is not there"
        here = ", ".join(f"{device.id} ({device.name})" for device in found or devices) or "none"
        raise SensorUnavailableError(f"{self.name}: {problem}; `sensemble doctor` shows these: {here}")

    def _hear(self, sound: NDArray[np.float32], count: int, moment: _Moment, flags: _Flags) -> None:
        """Take a buffer, on PortAudio's own thread."""
        now = monotonic()
        if flags.input_overflow:
            self._clock = Clock(_STEADY)
        delay = moment.currentTime - moment.inputBufferAdcTime - count / self._rate
        # Some drivers give no times or wild ones; then the sound counts as heard just now.
        latest = now - (delay if 0 <= delay < 1 else 0.0)
        self._count += count
        time = self._clock.read(self._count / self._rate, latest)
        wave = np.clip(sound[:, 0], -1, 1)
        self._box.put(Sample("audio", wave, time, cut=flags.input_overflow))

    def _finish(self) -> None:
        self._box.end(SensorLostError(f"{self.name}: gives no more sound; is it still plugged in?"))


_open: set[Microphone] = set()  # those that listen now
_opening = Lock()
