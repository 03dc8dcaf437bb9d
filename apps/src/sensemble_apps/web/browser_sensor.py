"""A browser's camera, microphone or keyboard as a sensor: its samples come over the page's WebSocket."""

import math
import struct
from collections import deque

import numpy as np
from sensemble_sensors.clock import REAL, Clock
from sensemble_sensors.errors import SampleError, SensorLostError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sample_queue import QueuedSensor, SampleQueue
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

HEADER = struct.Struct("<B3xId")
"""Before each sample: which sensor of this client, the sample's number, and when its end was captured, in
seconds on the browser's clock. The rest of the message is the sample's data as `Kind.pack` writes it."""

_WAITING = 32  # samples that wait for the session
_ROUNDS = 16  # exchanges of the clock that are remembered


class ClockOffset:
    """Seconds from a browser's clock to this process's, by exchanges of the time (RFC 5905, Sec. 8).

    The quickest of the last exchanges counts: its offset is wrong by half its round trip at most. `own` is
    the clock of this process.
    """

    def __init__(self, own: Clock = REAL) -> None:
        self.own = own
        self._rounds: deque[tuple[float, float]] = deque(maxlen=_ROUNDS)  # (round trip, offset)

    @property
    def value(self) -> float | None:
        """The offset; None before the first exchange."""
        return min(self._rounds)[1] if self._rounds else None

    @property
    def error(self) -> float | None:
        """The largest error of `value`, in seconds; None before the first exchange."""
        return min(self._rounds)[0] / 2 if self._rounds else None

    def add(self, sent: float, answered: float, received: float) -> None:
        """Add an exchange: sent and received by the browser on its clock, answered here on `own`.

        Raises SampleError if a time is not finite, or it was received before it was sent.
        """
        if not all(map(math.isfinite, (sent, answered, received))) or received < sent:
            raise SampleError("an exchange of the clock whose times no clock shows")
        self._rounds.append((received - sent, answered - (sent + received) / 2))


class BrowserSensor(QueuedSensor):
    """A sensor that one thread feeds with a browser's samples and another reads; closed, it drops them."""

    def __init__(self, spec: InputSpec, name: str, clock: ClockOffset) -> None:
        self.modality = spec.modality
        self.name = name
        self._spec = spec
        self._clock = clock
        self._number: int | None = None  # of the last sample

    def open(self, spec: InputSpec) -> None:  # noqa: ARG002 - the browser was given the spec when it asked
        """Accept samples from now on."""
        self._queue, self._number = SampleQueue(_WAITING, continuous=kind_of(self._spec).continuous), None

    def hang_up(self) -> None:
        """End the sensor, whose browser is gone, once its samples are read."""
        queue = self._queue
        if queue is not None:
            queue.end(SensorLostError(f"{self.name}: the browser is gone"))

    def put(self, number: int, captured: float, data: memoryview) -> None:
        """Add a sample of the browser; one before the first exchange of the clock is dropped.

        `number` counts the samples, with gaps where the browser dropped some; `captured` is when its end was
        captured, in seconds on the browser's clock. Raises SampleError if it is not of the spec's form.
        """
        kind, spec, offset, queue = kind_of(self._spec), self._spec, self._clock.value, self._queue
        if len(data) > kind.max_bytes(spec) or not math.isfinite(captured):
            raise SampleError(f"{self.name}: {len(data)} bytes at {captured} s are no {kind.noun}")
        try:
            content = kind.unpack(np.frombuffer(data, np.uint8), spec)
        except ValueError as error:
            raise SampleError(f"{self.name}: {len(data)} bytes are no {kind.noun}") from error
        if offset is None or queue is None:
            return
        lost = 0 if self._number is None else max(0, number - self._number - 1)
        cut = self._number is None or (lost > 0 and kind.continuous)
        self._number = number
        # After a better exchange of the clock, samples may seem to come from the future.
        time = min(captured + offset, self._clock.own.now())
        queue.put(Sample(self.modality, content, time, cut=cut, lost=lost))
