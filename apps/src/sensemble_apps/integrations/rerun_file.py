"""Write a session into a Rerun recording (.rrd): samples, opinions, answers and events.

It needs the extra `rerun`. Its timeline `session` counts the seconds since the session was opened.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rerun import (
    BarChart,
    DepthImage,
    Image,
    RecordingStream,
    Scalars,
    StateChange,
    TextDocument,
    TextLog,
    TextLogLevel,
)
from sensemble_runtime import subsets
from sensemble_runtime.background_queue import BackgroundQueue
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.prediction import Answer
from sensemble_sensors import durable
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

from sensemble_apps.console.output import refused, remark
from sensemble_apps.console.wording import answer, sensor_title
from sensemble_apps.errors import InputError
from sensemble_apps.running.view_events import Opened, Predicted, ViewEvent, event_words

_TIMELINE = "session"
_QUALITY = 90  # of JPEG
_PICTURE = 3  # dimensions
_CLOSE = 10.0  # seconds to write what waits at the end


@contextmanager
def written(argument: str, bundle: Bundle) -> Iterator["RerunFile"]:
    """Yield an output that writes a session into a new private file; InputError if that exists."""
    path = Path(argument)
    if not argument or path.exists():
        raise InputError(f"{path}: exists; name another file, or remove it")
    try:
        durable.create(path)
    except OSError as error:
        raise refused(error, path) or error from error
    stream = RecordingStream("sensemble")
    try:
        stream.save(path)
    except RuntimeError as error:  # Rerun's own, with the system's words in it
        path.unlink()
        raise InputError(
            f"{path}: cannot be written ({error}); free some space, or name another disk"
        ) from error
    # Before the session runs: the first entry takes a second, for Rerun's imports.
    order = "\n".join(f"{number}: {label}" for number, label in enumerate(bundle.manifest.labels))
    stream.log("answer/labels", TextDocument(order), static=True)
    file = RerunFile(stream, bundle.specs)
    try:
        yield file
    finally:
        try:
            stream.flush(timeout_sec=_CLOSE)
        except RuntimeError as error:
            remark(f"sensemble: {path}: is not whole ({error}); is the disk full?")
        stream.disconnect()
        if file.dropped:
            remark(f"sensemble: {path}: lacks {file.dropped} samples that came too fast")


class RerunFile:
    """Logs samples, predictions and events; its session ends before its file is closed."""

    def __init__(self, stream: RecordingStream, specs: Mapping[str, InputSpec]) -> None:
        self._kinds = {modality: kind_of(spec) for modality, spec in specs.items()}
        self._stream = stream
        self._began = 0.0
        self._samples: BackgroundQueue[Any] | None = None  # None until the session is opened
        self._words_of: dict[str, str] = {}  # by entity, the words that were logged last
        self._live: set[str] = set()

    @property
    def dropped(self) -> int:
        """The number of samples that came too fast to be logged."""
        return 0 if self._samples is None else self._samples.dropped

    def show(self, event: ViewEvent) -> None:
        """Log an item of the stream."""
        if isinstance(event, Opened):
            if event.session is not None:
                self._began = event.began
                self._samples = event.session.listen(self._sample)
            return
        self._stream.set_time(_TIMELINE, duration=event.time)
        if isinstance(event, Predicted):
            prediction = event.prediction
            self._answered("answer", prediction, f"{subsets.name(prediction.live)}: {answer(prediction)}")
            self._stream.log("answer/probabilities", BarChart(np.asarray(prediction.probabilities)))
            for modality, opinion in prediction.opinions.items():
                self._answered(f"opinions/{modality}", opinion, answer(opinion))
        elif event.kind == "live":
            for modality in self._live | set(event.live):
                self._stream.log(f"live/{modality}", Scalars(float(modality in event.live)))
            self._live |= set(event.live)
            if not event.live:
                self._words("answer/words", "nothing is live")
        else:
            level = TextLogLevel.WARN if event.is_fault else TextLogLevel.INFO
            title = sensor_title(event.modality, event.sensor)
            self._stream.log("events", TextLog(f"{title} {event_words(event)}", level=level))

    def _sample(self, sensor: str, sample: Sample) -> None:
        self._stream.set_time(_TIMELINE, duration=sample.time - self._began)
        entity = ["sensors", sample.modality, sensor]
        if isinstance(sample.data, str):
            self._stream.log(entity, TextLog(sample.data))
        elif sample.data.ndim == _PICTURE:
            grey = sample.data.shape[2] == 1
            shown = DepthImage(sample.data) if grey else Image(sample.data).compress(jpeg_quality=_QUALITY)
            self._stream.log(entity, shown)
        elif (level := self._kinds[sample.modality].level(np.asarray(sample.data, np.float32))) is not None:
            self._stream.log([*entity, "level"], Scalars(level))

    def _answered(self, entity: str, prediction: Answer, words: str) -> None:
        self._stream.log(f"{entity}/confidence", Scalars(prediction.confidence))
        self._words(f"{entity}/words", words)

    def _words(self, entity: str, words: str) -> None:
        """Log words, which hold until the next ones."""
        if self._words_of.get(entity) != words:
            self._words_of[entity] = words
            self._stream.log(entity, StateChange(state=words))
