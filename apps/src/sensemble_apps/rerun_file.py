"""Write a session into a Rerun recording (.rrd): samples, opinions, answers and events.

It needs the extra `rerun`. Its timeline `session` counts the seconds since the file was begun.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import numpy as np
from rerun import BarChart, Image, RecordingStream, Scalars, StateChange, TextDocument, TextLog, TextLogLevel
from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.events import Event
from sensemble_runtime.prediction import Answer, Prediction
from sensemble_runtime.session.session import Session
from sensemble_sensors import durable
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

from sensemble_apps.console.output import refused, remark
from sensemble_apps.console.wording import answer, sensor_title
from sensemble_apps.errors import InputError
from sensemble_apps.running.view_events import FAULTS, LiveSetChange, view_event

_TIMELINE = "session"
_QUALITY = 90  # of JPEG
_PICTURE = 3  # dimensions
_CLOSE = 10.0  # seconds to write what waits at the end


@contextmanager
def written(path: Path, bundle: Bundle, session: Session) -> Iterator[None]:
    """Write a session into a new private file while the block runs.

    The session never waits for the file: entries that come too fast are dropped and counted.

    Raises:
        InputError: the file exists, or cannot be written.
    """
    if path.exists():
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
    writer = _Writer(stream, monotonic(), bundle.specs)
    queues = session.listen(writer.sample), session.subscribe(writer.item)
    try:
        yield
    finally:
        for queue in queues:
            session.unsubscribe(queue)
        late = [queue for queue in queues if not queue.join(_CLOSE)]
        try:
            stream.flush(timeout_sec=_CLOSE)
        except RuntimeError as error:
            remark(f"sensemble: {path}: is not whole ({error}); is the disk full?")
        stream.disconnect()
        dropped = sum(queue.dropped for queue in queues)
        if late or dropped:
            remark(f"sensemble: {path}: lacks {dropped or 'some'} samples or predictions that came too fast")


class _Writer:
    """Logs samples, predictions and events; each of two threads calls one of its methods."""

    def __init__(self, stream: RecordingStream, began: float, specs: Mapping[str, InputSpec]) -> None:
        self._kinds = {modality: kind_of(spec) for modality, spec in specs.items()}
        self._stream = stream
        self._began = began
        self._said: dict[str, str] = {}  # by entity, the words that were logged last
        self._live: set[str] = set()

    def sample(self, sensor: str, sample: Sample) -> None:
        self._stream.set_time(_TIMELINE, duration=sample.time - self._began)
        entity = ["sensors", sample.modality, sensor]
        if isinstance(sample.data, str):
            self._stream.log(entity, TextLog(sample.data))
        elif sample.data.ndim == _PICTURE:
            self._stream.log(entity, Image(sample.data).compress(jpeg_quality=_QUALITY))
        elif (level := self._kinds[sample.modality].level(sample.data)) is not None:
            self._stream.log([*entity, "level"], Scalars(level))

    def item(self, item: Prediction | Event) -> None:
        self._stream.set_time(_TIMELINE, duration=item.time - self._began)
        if isinstance(item, Prediction):
            self._answered("answer", item, f"{subsets.name(item.live)}: {answer(item)}")
            self._stream.log("answer/probabilities", BarChart(np.asarray(item.probabilities)))
            for modality, opinion in item.opinions.items():
                self._answered(f"opinions/{modality}", opinion, answer(opinion))
            return
        shown = view_event(item, self._began)
        if isinstance(shown, LiveSetChange):
            for modality in self._live | set(shown.live):
                self._stream.log(f"live/{modality}", Scalars(float(modality in shown.live)))
            self._live |= set(shown.live)
            if not shown.live:
                self._words("answer/words", "nothing is live")
            return
        level = TextLogLevel.WARN if shown.kind in FAULTS else TextLogLevel.INFO
        title = sensor_title(shown.modality, shown.name)
        self._stream.log("events", TextLog(f"{title} {shown.event}", level=level))

    def _answered(self, entity: str, said: Answer, words: str) -> None:
        self._stream.log(f"{entity}/confidence", Scalars(said.confidence))
        self._words(f"{entity}/words", words)

    def _words(self, entity: str, words: str) -> None:
        """Log words that hold until others take their place."""
        if self._said.get(entity) != words:
            self._said[entity] = words
            self._stream.log(entity, StateChange(state=words))
