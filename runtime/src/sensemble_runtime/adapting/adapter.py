"""The adapter: which sensors learn from which at a moment, and whose corrections are in use."""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.adapting.correction import Correction
from sensemble_runtime.adapting.pupil import Change, Lesson, Pupil
from sensemble_runtime.adapting.store import Sensor, Store, beside
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.judge import of_subset
from sensemble_runtime.errors import AdaptError
from sensemble_runtime.events import AdaptEvent
from sensemble_runtime.subsets import Subset

Floats = NDArray[np.float32]

CONFIDENT = 0.5
"""The calibrated confidence from which a teacher teaches: it is right more often than not. Its probabilities
are the target, so that a lesson says as much as its teacher knows."""
LABEL = 4.0
"""The weight of a window that a person has labelled."""
PERSON = "a person"
WAITING = 4096  # lessons that may wait for `study`, the newest


class Encoded(Protocol):
    """The newest window of a live modality, encoded."""

    @property
    def modality(self) -> str:
        """The sensor's."""

    @property
    def sensor(self) -> str:
        """The sensor's name."""

    @property
    def embedding(self) -> Floats:
        """Of the window, float32 [d]."""

    @property
    def time(self) -> float:
        """The end of the window, in seconds."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The progress of a sensor's lessons, as it is shown.

    Attributes:
        sensor: its modality and its name.
        used: whether its correction is in use.
        windows: the number of lessons.
        scenes: the number of held-back scenes that the next two are of.
        shipped: the share of their windows about which the bundle's own head agreed with the teacher.
        adapted: about which the correction did, before it had learned from them.
    """

    sensor: Sensor
    used: bool
    windows: int
    scenes: int
    shipped: float
    adapted: float


class Adapter:
    """Lets the sensors of a session teach each other, and keeps what they learn; a context manager.

    The teacher is the opinion of all other live modalities together that are familiar and about the same
    time, as the bundle shipped them: corrections never teach. `learn` and `label` note lessons, `study`
    learns them, and may take milliseconds a scene: call it, `save` and `close` from one thread, which may be
    another one than that of the rest.

    Args:
        bundle: an open bundle, calibrated, of single classes.
        folder: of what was learned; None: beside the bundle (`store.beside`).

    Attributes:
        folder: of what was learned.
        problems: a line on each file in it that was set aside, because it is damaged or of another bundle.

    Raises:
        AdaptError: the bundle cannot be adapted, or the folder cannot be used.
    """

    def __init__(self, bundle: Bundle, folder: Path | str | None = None) -> None:
        if bundle.manifest.task != "multi-class":
            raise AdaptError(f"{bundle.path}: is multi-label; adapting is for bundles of single classes")
        if not any(entry.threshold > 0 for entry in bundle.manifest.calibration.subsets.values()):
            raise AdaptError(
                f"{bundle.path}: is not calibrated, so nothing it says is sure enough to teach; export it "
                "with more examples in the split calibrate"
            )
        self._bundle = bundle
        self._store = Store(Path(folder) if folder else beside(bundle.path), bundle)
        self.folder = self._store.folder
        self._pupils, self.problems = self._store.load()
        self._used: dict[Sensor, Correction] = {}
        self._publish()
        self._lessons: deque[tuple[Sensor, Lesson, Subset, float]] = deque(maxlen=WAITING)
        self._taught_by: dict[Sensor, set[str]] = {}
        self._unsaved: set[Sensor] = set()
        self._changes: deque[AdaptEvent] = deque()
        self._now = 0.0  # of the last lesson

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

    def learn(self, fresh: Collection[str], newest: Mapping[str, Encoded], now: float) -> None:
        """Note what the sensors of `fresh` modalities can learn from the others about the same moment.

        Args:
            fresh: the modalities whose window is new.
            newest: by modality, the newest window of each live one.
            now: the time, in seconds.
        """
        for modality in sorted(fresh):
            window = newest[modality]
            teachers = self._teachers(window, newest)
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
        """Learn what was noted since the last time; with `end`, the scenes that go on, too."""
        while self._lessons:
            sensor, lesson, teachers, self._now = self._lessons.popleft()
            if sensor not in self._pupils:
                alone = of_subset(self._bundle.manifest.calibration, (sensor[0],))
                self._pupils[sensor] = Pupil.new(self._bundle.head, alone)
            pupil = self._pupils[sensor]
            self._taught_by.setdefault(sensor, set()).update(teachers)
            self._unsaved.add(sensor)
            self._report(sensor, pupil.learn(lesson))
        for sensor, pupil in self._pupils.items() if end else ():
            self._report(sensor, pupil.end_scene())
        self._publish()

    def take_changes(self) -> list[AdaptEvent]:
        """Return what has changed since the last time, in order."""
        return [self._changes.popleft() for _ in range(len(self._changes))]

    @property
    def standings(self) -> list[Standing]:
        """The progress of each sensor, sorted."""
        return [
            Standing(sensor, pupil.used, pupil.windows, pupil.trial.scenes, *pupil.trial.agreement)
            for sensor, pupil in sorted(self._pupils.items())
        ]

    def save(self) -> None:
        """Write what was learned since the last time; what cannot be written stays for the next time.

        Raises:
            AdaptError: it cannot be written.
        """
        for sensor in sorted(self._unsaved):
            self._store.save(sensor, self._pupils[sensor])
            self._unsaved.remove(sensor)

    def close(self) -> None:
        """Unlock the folder; what was not saved is lost."""
        self._store.close()

    def _note(self, window: Encoded, lesson: Lesson, teachers: Subset, now: float) -> None:
        self._lessons.append(((window.modality, window.sensor), lesson, teachers, now))

    def _report(self, sensor: Sensor, change: Change | None) -> None:
        if change is None:
            return
        (modality, name), by = sensor, tuple(sorted(self._taught_by.get(sensor, ())))
        shipped, adapted = change.agreement
        kind: Literal["taught", "untaught"] = "untaught"
        if (reason := change.reason) == "":
            kind = "taught"
            reason = f"by {' and '.join(by)}: {100 * shipped:.0f} → {100 * adapted:.0f} % agreement"
        self._changes.append(AdaptEvent(self._now, name, modality, kind, by, shipped, adapted, reason))

    def _publish(self) -> None:
        """Replace the corrections in use at once, so that `correct` needs no lock."""
        self._used = {
            sensor: pupil.correction
            for sensor, pupil in self._pupils.items()
            if pupil.used and pupil.correction
        }

    def _teachers(self, window: Encoded, newest: Mapping[str, Encoded]) -> Subset:
        """Return the modalities that may teach a window: familiar, and of the same time."""
        return tuple(
            modality
            for modality, other in sorted(newest.items())
            if modality != window.modality and self._overlap(window, other) and self._is_familiar(other)
        )

    def _overlap(self, one: Encoded, other: Encoded) -> bool:
        """True if two windows share at least half of the shorter one; a caption holds while it is live."""
        spans = [self._bundle.specs[window.modality].window for window in (one, other)]
        return min(spans) == 0 or abs(one.time - other.time) <= min(spans) / 2

    def _is_familiar(self, window: Encoded) -> bool:
        return bool(self._bundle.judge.are_familiar(window.modality, window.embedding))

    def _is_background(self, window: Encoded) -> bool:
        """True if a window is unfamiliar, and likelier to show none of the classes than one of them.

        A voice that the encoder has not heard is unfamiliar, and is to be learned; silence is not.
        """
        scores, row = self._bundle.head.familiarity, self._bundle.modalities.index(window.modality)
        return (
            scores is not None and not self._is_familiar(window) and scores.score(row, window.embedding) < 0
        )
