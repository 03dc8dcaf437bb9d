"""Text: captions, each a sample and a window."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.codecs.subtitles import read_subtitles
from sensemble_sensors.errors import SampleError
from sensemble_sensors.kinds import near
from sensemble_sensors.kinds.conditions.text import CONDITIONS
from sensemble_sensors.kinds.excerpt import START, ExampleFields, Excerpt
from sensemble_sensors.kinds.kind import Kind, described
from sensemble_sensors.kinds.recording_tracks import TrackReader
from sensemble_sensors.kinds.windows import Window, WindowRing
from sensemble_sensors.sensor import MAX_CAPTION, Data, Media, Sample
from sensemble_sensors.spec import InputSpec, Modality

_TOKENS = 65_536
_WAITING = 16  # captions that wait for a slow encoder


class Text(Kind):
    """Captions (str); their windows are token ids, int64 [1, L], which the bundle's tokenizer makes."""

    name = "text"
    noun = "caption"
    dtype = "int64"
    rank = 2
    steady = False
    tokenized = True
    waiting = 16
    cost = 0.0
    usual = (1, 1), 0, 0
    conditions = CONDITIONS
    near = near.TEXT

    def _time_problems(self, spec: InputSpec) -> Iterator[str]:
        if (spec.rate, spec.window, spec.hop) != (0, 0, 0):
            yield "expected rate, window and hop 0: a caption is its own window"
        if spec.shape[1] > _TOKENS:
            yield f"expected at most {_TOKENS} tokens, got {spec.shape[1]}"

    def windows(self, spec: InputSpec) -> WindowRing:
        return TextRing(spec)

    def summary(self, data: Media | str) -> NDArray[np.float32] | str:
        return str(data)

    def change(self, before: NDArray[np.float32] | str, after: NDArray[np.float32] | str) -> float:
        """Return 0 for the same caption, otherwise 1."""
        return float(before != after)

    def max_bytes(self, spec: InputSpec) -> int:  # noqa: ARG002
        return MAX_CAPTION

    def unpack(self, data: NDArray[np.uint8], spec: InputSpec) -> Media | str:  # noqa: ARG002
        return data.tobytes().decode(errors="replace")

    def window(self, example: ExampleFields, spec: InputSpec, excerpt: Excerpt = START) -> Media | str:  # noqa: ARG002
        return str(example.value(spec.modality) or "")

    def samples(self, example: ExampleFields, spec: InputSpec, end: float) -> Iterator[Sample]:
        yield Sample(spec.modality, self.window(example, spec), end, cut=True)

    def play(self, path: Path, spec: InputSpec, origin: float) -> Iterator[Sample]:
        """Yield the cues of a subtitle file, each when it appears."""
        for cue in read_subtitles(path):
            yield Sample(spec.modality, cue.text, origin + cue.start)

    def seconds(self, path: Path, modality: Modality) -> float:  # noqa: ARG002
        return max(cue.end for cue in read_subtitles(path))

    def describe(self, data: Data) -> dict[str, Any]:
        return {"text": data}

    def track_reader(
        self,
        path: Path | None,  # noqa: ARG002
        modality: str,  # noqa: ARG002
        form: tuple[int, ...],  # noqa: ARG002
    ) -> TrackReader:
        return lambda line: line.string("text")


class TextRing(WindowRing):
    """Windows of one caption each. The newest ones wait: two lines at once are two windows."""

    def __init__(self, spec: InputSpec) -> None:
        super().__init__(spec)
        self._waiting: deque[Window] = deque()

    @property
    def end(self) -> float:
        return self._waiting[0].time if self._waiting else self._time

    @property
    def ready(self) -> bool:
        return bool(self._waiting)

    def pop(self) -> Window | None:
        return self._waiting.popleft() if self._waiting else None

    def _seconds(self, sample: Sample) -> float:
        data: object = sample.data
        if not isinstance(data, str):
            raise SampleError(f"{sample.modality}: {described(data)}, not a caption")
        return 0.0

    def _empty(self) -> None:
        pass  # no window spans two captions

    def _append(self, sample: Sample) -> int:
        if len(self._waiting) == _WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(Window(str(sample.data), self._time))
        return 1

    def _newest(self) -> Window:
        return self._waiting[-1]
