"""Ring buffers that turn a sensor's samples into the windows an encoder takes, one a hop, newest first.

When windows complete depends on the samples alone, never on when somebody takes them: a taker that is late
gets the newest, and the older ones count as dropped.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.sensor import STEP, Media, Sample
from sensemble_sensors.spec import InputSpec

from sensemble_runtime.errors import SensembleRuntimeError

# Frames kept for each one that a window needs: close enough for the nearest to be a good one, and memory does
# not grow with the camera's rate.
OVERSAMPLING = 4


class SampleError(SensembleRuntimeError):
    """A sensor gave a sample that the modality's encoder cannot take."""


@dataclass(frozen=True, slots=True)
class Window:
    """What one encoder call sees: `data` of the spec's dtype and shape, or a caption; `time`, of its end."""

    data: Media | str
    time: float


class Windows(ABC):
    """The windows of one modality, as its samples complete them. For one thread at a time.

    Attributes:
        dropped: how many windows nobody took, because a newer one was complete.
        lost: how many samples never came here, because nobody read them in time.
    """

    def __init__(self, spec: InputSpec) -> None:
        self.dropped = 0
        self.lost = 0
        self._spec = spec
        self._longest_gap = max(spec.window, spec.hop)
        self._time = -math.inf  # of the newest sample
        self._untaken = 0
        self._saved: Window | None = None

    @property
    def due(self) -> float | None:
        """When the next window will end, if samples go on as they do; None if that cannot be told."""
        return None

    @property
    def end(self) -> float:
        """When the newest complete window ends."""
        return self._saved.time if self._saved else self._end_time()

    @property
    def ready(self) -> bool:
        """Whether a window is complete that was not taken."""
        return self._untaken > 0

    def push(self, sample: Sample) -> None:
        """Add a sample; O(its size).

        No window spans a cut, a step back in time of more than `STEP`, or a gap longer than a window and a
        hop. One that was complete before it can still be taken. What steps back by less counts as if it had
        come with the sample before.

        Raises:
            SampleError: the sample is not of the spec's form, or its time is not finite.
        """
        if not math.isfinite(sample.time):
            raise SampleError(f"{sample.modality}: its time is {sample.time}, which no clock shows")
        begin = sample.time - self._seconds(sample)
        back = sample.time < self._time - STEP
        if sample.cut or back or begin - self._time > self._longest_gap:
            self._saved = self._newest() if self.ready and self._saved is None else self._saved
            self._empty()
            self._time = sample.time
        self._time = max(self._time, sample.time)
        self.lost += sample.lost
        completed = self._append(sample)
        if completed:
            self._untaken += completed
            self._saved = None

    def take(self) -> Window | None:
        """Return the newest window that is complete and was not taken, or None; older ones are dropped."""
        if not self.ready:
            return None
        window = self._saved or self._newest()
        self.dropped += self._untaken - 1
        self._untaken = 0
        self._saved = None
        return window

    @abstractmethod
    def _seconds(self, sample: Sample) -> float:
        """Check the sample's form and return how long it lasts."""

    @abstractmethod
    def _empty(self) -> None:
        """Forget the samples."""

    @abstractmethod
    def _append(self, sample: Sample) -> int:
        """Add a checked sample and return how many windows it completes."""

    def _end_time(self) -> float:
        """Return when the newest complete window of the ring ends."""
        return self._time

    @abstractmethod
    def _newest(self) -> Window:
        """Copy the newest complete window out of the ring."""


class AudioWindows(Windows):
    """Windows of S samples; the first ends S samples after a cut, the others a hop apart."""

    def __init__(self, spec: InputSpec) -> None:
        super().__init__(spec)
        self._size = spec.shape[1]
        self._hop = max(1, round(spec.hop * spec.rate))
        # The newest window ends less than a hop before the newest sample.
        self._ring = np.zeros(self._size + self._hop, dtype=np.float32)
        self._empty()

    def _seconds(self, sample: Sample) -> float:
        data = sample.data
        if not isinstance(data, np.ndarray) or data.dtype != np.float32 or data.ndim != 1:
            raise SampleError(f"audio: {_form(data)}, not float32 [n]")
        if not np.isfinite(data).all():
            raise SampleError("audio: holds NaN or infinity")
        return len(data) / self._spec.rate

    def _empty(self) -> None:
        self._count = 0
        self._end = self._size - self._hop  # of the newest window, counted in samples as `_count` is

    @property
    def due(self) -> float | None:
        """See `Windows`."""
        if math.isinf(self._time):
            return None
        return self._time + (self._end + self._hop - self._count) / self._spec.rate

    def _append(self, sample: Sample) -> int:
        data = np.asarray(sample.data, dtype=np.float32)
        self._count += len(data)
        tail = data[-len(self._ring) :]
        at = (self._count - len(tail)) % len(self._ring)
        first = len(self._ring) - at
        self._ring[at : at + len(tail)] = tail[:first]
        self._ring[: max(0, len(tail) - first)] = tail[first:]
        completed = max(0, (self._count - self._end) // self._hop)
        self._end += completed * self._hop
        return completed

    def _newest(self) -> Window:
        at = (self._end - self._size) % len(self._ring)
        head = self._ring[at : at + self._size]
        data = np.concatenate([head, self._ring[: self._size - len(head)]])[None]
        return Window(data, self._end_time())

    def _end_time(self) -> float:
        return self._time - (self._count - self._end) / self._spec.rate


class VideoWindows(Windows):
    """Windows of T frames, those nearest to steps of 1/rate that end at the newest frame; one a hop.

    A camera may be faster or slower than `rate`, and its frames may jitter by half a step.
    """

    def __init__(self, spec: InputSpec) -> None:
        super().__init__(spec)
        count = spec.shape[1]
        slots = OVERSAMPLING * count + 3
        self._step = 1 / spec.rate
        self._offsets = (np.arange(count) - (count - 1)) * self._step
        self._frames = np.zeros((slots, *spec.shape[2:]), dtype=np.uint8)
        self._times = np.zeros(slots)
        self._empty()

    def _seconds(self, sample: Sample) -> float:
        shape = self._frames.shape[1:]
        data = sample.data
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape != shape:
            raise SampleError(f"video: {_form(data)}, not uint8 {list(shape)}")
        return 0.0

    def _empty(self) -> None:
        self._times.fill(-math.inf)
        self._slot = -1  # of the newest frame
        self._due = math.nan  # when the next window is; NaN before the first

    @property
    def due(self) -> float | None:
        """See `Windows`."""
        if self._slot < 0:
            return None
        first = float(self._times[np.isfinite(self._times)].min())
        return first - float(self._offsets[0]) if math.isnan(self._due) else self._due

    def _append(self, sample: Sample) -> int:
        # A frame too close to the one before it is only kept while it is the newest.
        spacing = float(self._times[self._slot]) - float(self._times[self._slot - 1])
        if not spacing < self._step / OVERSAMPLING:
            self._slot = (self._slot + 1) % len(self._times)
        self._times[self._slot] = self._time
        self._frames[self._slot] = np.asarray(sample.data, dtype=np.uint8)
        kept = self._times[np.isfinite(self._times)]
        first = kept.min()
        if first > self._time + self._offsets[0] + self._step / 2:
            return 0
        hop = self._spec.hop
        if math.isnan(self._due):
            self._due = self._time + hop
            return 1
        # The frame nearest to when a window is due ends it. Hops count from the first: jitter never adds up.
        early = min((self._time - first) / (len(kept) - 1), hop) / 2
        if self._time + early < self._due:
            return 0
        self._due += (math.floor((self._time + early - self._due) / hop) + 1) * hop
        return 1

    def _newest(self) -> Window:
        by_time = np.argsort(self._times, kind="stable")
        wanted = self._time + self._offsets
        nearest = np.abs(self._times[by_time] - wanted[:, None]).argmin(axis=1)
        return Window(self._frames[by_time[nearest]][None], self._time)


class TextWindows(Windows):
    """Each caption is a window."""

    def _seconds(self, sample: Sample) -> float:
        if not isinstance(sample.data, str):
            raise SampleError(f"text: {_form(sample.data)}, not a caption")
        return 0.0

    def _empty(self) -> None:
        self._caption = ""

    def _append(self, sample: Sample) -> int:
        self._caption = str(sample.data)
        return 1

    def _newest(self) -> Window:
        return Window(self._caption, self._time)


def windows(spec: InputSpec) -> Windows:
    """Return an empty ring for the modality of `spec`."""
    kinds: dict[str, type[Windows]] = {"audio": AudioWindows, "text": TextWindows, "video": VideoWindows}
    return kinds[spec.modality](spec)


def _form(data: NDArray[np.generic] | str) -> str:
    return f"{data.dtype} {list(data.shape)}" if isinstance(data, np.ndarray) else type(data).__name__
