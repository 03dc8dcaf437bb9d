"""The newest state of a session."""

from collections import Counter, deque
from dataclasses import asdict
from itertools import islice
from threading import Lock
from time import process_time
from typing import Any

import numpy as np
from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.answer import opinion
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.session import Session
from sensemble_sensors.clock import Clock
from sensemble_sensors.process_memory import memory
from sensemble_sensors.supervision.events import Event

from sensemble_apps.console.kinds import as_words, words_of
from sensemble_apps.console.wording import answer_as_json, sensor_title, words
from sensemble_apps.running.recorder import Recorder
from sensemble_apps.running.view_events import Predicted, ViewEvent, event_as_json, event_words
from sensemble_apps.web.page_sensors import PageSensors

KEPT = 2000  # entries of the timeline
_TOP = 5  # labels with their probabilities
_METER = 1.0  # seconds between two readings of the processor's time
_FRESH = 0.05  # seconds that viewers share a snapshot


class SessionState:
    """An output that keeps the newest state of a session, and computes nothing until a thread reads it.

    Attributes:
        version: grows with each item of the stream and each action.
        began: the time of the session's clock from which the times of the stream count.
        viewers: of the page, woken by each change.
        examples: by class and modality, the preview of an example; see `live_page.examples`.
    """

    def __init__(self, session: Session, sensors: PageSensors, recorder: Recorder, began: float) -> None:
        self.version = 0
        self.began = began
        self.viewers = sensors.viewers
        self.examples: dict[str, dict[str, Any]] = {}
        self._session = session
        self.sensors = sensors
        self._recorder = recorder
        self._lock = Lock()
        self._truth: str | None = None
        self._played: tuple[str, ...] = ()  # labels of the example that is played
        self._score: dict[str, Counter[str]] = {}
        self._timeline: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._entries = 0
        self._shown: tuple[Any, ...] = ()  # the last answer of the timeline
        self._meter = _Meter(session.clock)
        # The version and the time of the snapshot.
        self._snapshot: tuple[int, float, Bundle, dict[str, Any]] = (-1, 0.0, session.bundle, {})

    def show(self, event: ViewEvent) -> None:
        """Add the next item of the stream."""
        with self._lock:
            match event:
                case Predicted():
                    self._predicted(event)
                case Event(kind="live", text=""):
                    self._shown = ()
                    self._enter("live", event.time, live=[])
                case Event() if event.kind != "live":
                    self._happened(event)
        self.touch()

    def say(self, truth: str | None) -> None:
        """Note the true label from now on; None for none."""
        with self._lock:
            self._truth = truth
        self.touch()

    def touch(self) -> None:
        """Note a change that the stream does not report."""
        with self._lock:
            self.version += 1
        self.viewers.wake()

    def snapshot(self) -> dict[str, Any]:
        """Return the state for JSON, without timeline and previews; shared, so do not change it."""
        return self.newest()[1]

    def newest(self) -> tuple[Bundle, dict[str, Any]]:
        """Return the bundle whose answer the snapshot has, and the snapshot."""
        version, made, bundle, known = self._snapshot
        if version == self.version and self._session.clock.now() - made < _FRESH:
            return bundle, known
        view = self._session.view()
        prediction, bundle = view.prediction, view.bundle
        with self._lock:
            score = {name: dict(counts) for name, counts in sorted(self._score.items())}
            truth, played, version = self._truth, self._played, self.version
            cpu = self._meter.read()
        snapshot = {
            "version": version,
            "time": round(view.time - self.began, 3),
            "live": list(view.live),
            "sensors": self.sensors.describe(self.began, view),
            "answer": None if prediction is None else self._answer(prediction),
            "lattice": [] if prediction is None else opinions(bundle, prediction),
            "latencies": {m: round(seconds, 6) for m, seconds in view.latencies.items()},
            "dropped": dict(prediction.dropped) if prediction else {},
            "lost": dict(prediction.lost) if prediction else {},
            "truth": truth,
            "played": list(played),
            "score": score,
            "recorded": self._recorder.segments,
            "recording_failed": self._recorder.failure,
            "process": {"cpu": cpu, "memory": memory()},
            "viewers": len(self.viewers),
        }
        self._snapshot = version, self._session.clock.now(), bundle, snapshot
        return bundle, snapshot

    def timeline(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the entries of the timeline whose `number` is above `after`, the oldest first."""
        with self._lock:
            return list(reversed(list(islice(reversed(self._timeline), max(0, self._entries - after)))))

    # With the lock held.

    def _predicted(self, event: Predicted) -> None:
        item, example = event.prediction, event.example
        # Where a browser or a device gives, it shows something else than the replay.
        given = example is not None and any(
            sensor.modality in item.live and sensor.name in self.sensors.active
            for sensor in self.sensors.all
            if not sensor.played
        )
        self._played = example.labels if example and not given else ()
        truths = (self._truth,) if self._truth is not None else self._played
        right = item.label in truths if truths and item.sure else None
        if truths:
            counts = self._score.setdefault(subsets.name(item.live), Counter(right=0, unsure=0, n=0))
            counts["n"] += 1
            counts["right"] += bool(right)
            counts["unsure"] += not item.sure
        shown = (item.live, item.best, item.doubt, right)
        if shown != self._shown:
            self._shown = shown
            fields = answer_as_json(item)
            words = {key: fields[key] for key in ("label", "best", "confidence", "none", "words", "why")}
            self._enter("answer", event.time, live=list(item.live), right=right, **words)

    def _happened(self, event: Event) -> None:
        if event.label:
            by = words(words_of(modality).sensor for modality in event.sensors)
            self._enter(**event_as_json(event), words=f"{as_words(event.label)}, by {by}", fault=False)
            return
        titles = {sensor.name: sensor.title for sensor in self.sensors.all}
        title = titles.get(event.sensor) or sensor_title(event.modality, event.sensor)
        self._enter(**event_as_json(event), words=f"{title} {event_words(event)}", fault=event.is_fault)

    def _enter(self, kind: str, time: float, **fields: Any) -> None:  # noqa: ANN401 - what JSON can hold
        self._entries += 1
        self._timeline.append({"number": self._entries, "kind": kind, "time": round(time, 3), **fields})

    # Without it.

    def _answer(self, prediction: Prediction) -> dict[str, Any]:
        best = np.argsort(-prediction.probabilities, kind="stable")[:_TOP]
        return {
            **answer_as_json(prediction),
            "live": list(prediction.live),
            "unfamiliar": list(prediction.unfamiliar),
            "suspect": prediction.suspect,
            "time": round(prediction.time - self.began, 3),
            "age": round(min(prediction.ages.values()), 4),
            "ages": {modality: round(age, 4) for modality, age in prediction.ages.items()},
            "audited": None if prediction.audited is None else asdict(prediction.audited),
            "probabilities": {prediction.labels[i]: float(prediction.probabilities[i]) for i in best},
        }


class _Meter:
    """The share of one core that this process used lately."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at, self._spent, self._share = clock.now(), process_time(), 0.0

    def read(self) -> float:
        now, spent = self._clock.now(), process_time()
        if now - self._at >= _METER:
            self._share = round((spent - self._spent) / (now - self._at), 3)
            self._at, self._spent = now, spent
        return self._share


def opinions(bundle: Bundle, prediction: Prediction) -> list[dict[str, Any]]:
    """Return the answer of each drawn subset of the sensors that a prediction was made of."""
    return [
        {
            "subset": subsets.name(subset),
            **answer_as_json(opinion(bundle.classifier, prediction.evidence, subset, prediction.lies)),
        }
        for subset in subsets.measured(prediction.evidence)
    ]
