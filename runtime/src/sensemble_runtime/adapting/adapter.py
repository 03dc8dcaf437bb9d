"""The adapter: which sensors learn from which at a moment, and the corrections in use."""

from collections import deque
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.adapting.correction import Correction
from sensemble_runtime.adapting.learner import Decision, Learner, Lesson
from sensemble_runtime.adapting.store import Sensor, Store, default_folder
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.judge import of_subset
from sensemble_runtime.encoded import Encoded
from sensemble_runtime.errors import AdaptError
from sensemble_runtime.events import AdaptEvent
from sensemble_runtime.subsets import Subset

Floats = NDArray[np.float32]

CONFIDENT = 0.5
"""The least calibrated confidence of a teacher: it is right more often than not."""
LABEL = 4.0
"""The weight of a window that a person has labelled."""
PERSON = "a person"
WAITING = 4096  # lessons that may wait for `study`, the newest


class Adapter:
    """Lets the sensors of a session teach each other, and keeps their corrections; a context manager.

    The teacher is the opinion of all other live modalities together that are familiar and about the same
    time, as the bundle shipped them: learned corrections never act as teachers. `learn` and `label` note
    lessons; `study` learns them, which may take milliseconds a scene. Call `study`, `save` and `close` from
    one thread; it may be another one than that of the rest.

    Args:
        bundle: an open bundle, calibrated, of single classes.
        folder: of the corrections; None: beside the bundle (`store.default_folder`).

    Attributes:
        learners: the lessons of each sensor.
        problems: a line on each file that was set aside, because it is damaged or of another bundle.

    Raises:
        AdaptError: the bundle cannot be adapted, or the folder cannot be used.
    """

    def __init__(self, bundle: Bundle, folder: Path | str | None = None) -> None:
        if bundle.manifest.task != "multi-class":
            raise AdaptError(f"{bundle.path}: is multi-label; adapting is for bundles of single classes")
        if not any(entry.threshold > 0 for entry in bundle.manifest.calibration.subsets.values()):
            raise AdaptError(
                f"{bundle.path}: is not calibrated, so no answer is sure enough to teach; export it "
                "with more examples in the split calibrate"
            )
        self._bundle = bundle
        self._store = Store(Path(folder) if folder else default_folder(bundle.path), bundle)
        self.folder = self._store.folder
        self.learners, self.problems = self._store.load()
        self._used: dict[Sensor, Correction] = {}
        self._publish()
        self._lessons: deque[tuple[Sensor, Lesson, Subset, float]] = deque(maxlen=WAITING)
        self._teachers_of: dict[Sensor, set[str]] = {}
        self._unsaved: set[Sensor] = set()
        self._events: deque[AdaptEvent] = deque()
        self._now = 0.0  # the time of the last lesson learned

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def correct(self, newest: Mapping[str, Encoded]) -> dict[str, Floats]:
        """Return the corrected embeddings of the newest windows whose sensor's correction is in use."""
        used = self._used
        return {
            modality: used[modality, window.sensor](window.embedding)
            for modality, window in newest.items()
            if (modality, window.sensor) in used and not self._is_background(window)
        }

    def learn(
        self, fresh: Collection[str], newest: Mapping[str, Encoded], now: float, suspect: str | None = None
    ) -> None:
        """Note what the new windows of `fresh` modalities can learn from the newest ones of the others.

        The suspect (`Prediction.suspect`) teaches none; it may learn, for an unknown voice contradicts too.
        """
        trusted = {modality: window for modality, window in newest.items() if modality != suspect}
        for modality in sorted(fresh):
            window = newest[modality]
            teachers = self._teachers(window, trusted)
            if not teachers or self._is_background(window):
                continue
            opinion, _ = self._bundle.judge.answer({m: newest[m].embedding for m in teachers})
            if opinion.least > 0 and opinion.confidence >= CONFIDENT:
                self._note(window, Lesson(window.embedding, opinion.probabilities), teachers, now)

    def label(self, label: str, newest: Mapping[str, Encoded], now: float) -> None:
        """Note that each of the newest windows shows `label`, as a person says.

        Raises:
            AdaptError: the bundle has no such label.
        """
        labels = self._bundle.manifest.labels
        if label not in labels:
            raise AdaptError(f"{label!r}: no label of the bundle; it has {', '.join(labels)}")
        truth = np.zeros(len(labels), np.float32)
        truth[labels.index(label)] = 1
        for window in newest.values():
            if not self._is_background(window):
                self._note(window, Lesson(window.embedding, truth, LABEL), (PERSON,), now)

    def study(self, *, end: bool = False) -> None:
        """Learn the lessons noted since the last call; with `end`, the current scenes, too."""
        while self._lessons:
            sensor, lesson, teachers, self._now = self._lessons.popleft()
            if sensor not in self.learners:
                alone = of_subset(self._bundle.manifest.calibration, (sensor[0],))
                self.learners[sensor] = Learner.new(self._bundle.head, alone)
            self._teachers_of.setdefault(sensor, set()).update(teachers)
            self._unsaved.add(sensor)
            self._report(sensor, self.learners[sensor].learn(lesson))
        for sensor, learner in self.learners.items() if end else ():
            self._report(sensor, learner.end_scene())
        self._publish()

    def pop_events(self) -> list[AdaptEvent]:
        """Return the changes since the last call, in order."""
        return [self._events.popleft() for _ in range(len(self._events))]

    def save(self) -> None:
        """Write what changed since the last call; after an `AdaptError`, the next call tries again."""
        for sensor in sorted(self._unsaved):
            self._store.save(sensor, self.learners[sensor])
            self._unsaved.remove(sensor)

    def close(self) -> None:
        """Unlock the folder; unsaved lessons are lost."""
        self._store.close()

    def _note(self, window: Encoded, lesson: Lesson, teachers: Subset, now: float) -> None:
        self._lessons.append(((window.modality, window.sensor), lesson, teachers, now))

    def _report(self, sensor: Sensor, decision: Decision | None) -> None:
        if decision is None:
            return
        (modality, name), by = sensor, tuple(sorted(self._teachers_of.get(sensor, ())))
        shipped, adapted = decision.agreement
        taught = f"by {' and '.join(by)}: {100 * shipped:.0f} → {100 * adapted:.0f} % agreement"
        kind: Literal["taught", "untaught"] = "untaught" if decision.reason else "taught"
        reason = decision.reason or taught
        self._events.append(AdaptEvent(self._now, name, modality, kind, by, shipped, adapted, reason))

    def _publish(self) -> None:
        """Replace the corrections in use at once, so that `correct` needs no lock."""
        self._used = {
            sensor: learner.correction
            for sensor, learner in self.learners.items()
            if learner.used and learner.correction
        }

    def _teachers(self, window: Encoded, newest: Mapping[str, Encoded]) -> Subset:
        return tuple(
            modality
            for modality, other in sorted(newest.items())
            if modality != window.modality and self._overlap(window, other) and self._is_familiar(other)
        )

    def _overlap(self, one: Encoded, other: Encoded) -> bool:
        """True if two windows share at least half of the shorter one; a caption holds while it is live."""
        shorter = min(self._bundle.specs[window.modality].window for window in (one, other))
        return shorter == 0 or abs(one.time - other.time) <= shorter / 2

    def _is_familiar(self, window: Encoded) -> bool:
        return bool(self._bundle.judge.are_familiar(window.modality, window.embedding))

    def _is_background(self, window: Encoded) -> bool:
        """True if a window is unfamiliar and likely shows no class: silence, not an unknown voice."""
        scores, row = self._bundle.head.familiarity, self._bundle.modalities.index(window.modality)
        return (
            scores is not None and not self._is_familiar(window) and scores.score(row, window.embedding) < 0
        )
