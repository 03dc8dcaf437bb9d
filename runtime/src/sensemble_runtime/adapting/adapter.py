"""The adapter: who teaches whom in a session, and which sensors' corrections are in use."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.adapting.guard import State
from sensemble_runtime.adapting.pupil import LABEL, Change, Lesson, Pupil
from sensemble_runtime.adapting.store import Sensor, Store, beside
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.judge import of_subset
from sensemble_runtime.errors import AdaptError
from sensemble_runtime.events import AdaptEvent
from sensemble_runtime.prediction import Opinion
from sensemble_runtime.subsets import Subset

Floats = NDArray[np.float32]

CONFIDENT = 0.5
"""The calibrated confidence from which a teacher teaches: it is right more often than not. Its probabilities
are the target, so that a lesson says as much as its teacher knows."""

_KINDS: dict[State, Literal["taught", "untaught", "disputed", "settled"]] = {
    "used": "taught",
    "dropped": "untaught",
    "disputed": "disputed",
    "learning": "settled",
}


@dataclass(frozen=True, slots=True)
class Adapt:
    """The settings by which sensors teach each other.

    Attributes:
        folder: of what was learned; None: beside the bundle (`store.beside`).
        trusted: the modalities that may teach; None: all.
        memory: lessons of a sensor after which one counts a third of a new one, 32 or more.
        days: what was learned so long ago is forgotten, above 0.

    Raises:
        AdaptError: a field is out of its range.
    """

    folder: Path | str | None = None
    trusted: tuple[str, ...] | None = None
    memory: int = 512
    days: float = 90.0

    def __post_init__(self) -> None:
        if self.memory < 32:
            raise AdaptError(f"memory {self.memory}: give 32 lessons or more")
        if not self.days > 0:
            raise AdaptError(f"days {self.days}: give a number above 0")


class Heard(Protocol):
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
        state: of the guard; the correction is in use if it is `used`.
        windows: the number of lessons.
        scenes: the number of scenes, the newest ones, that the next two are of.
        shipped: the share of their windows about which the bundle's own head agreed with the teacher.
        adapted: about which the correction did, before it had learned from them.
    """

    sensor: Sensor
    state: str
    windows: int
    scenes: int
    shipped: float
    adapted: float


class Adapter:
    """Teaches the sensors of a session, and keeps what they learn; a context manager.

    A teacher is the opinion of all other live modalities together that are trusted, familiar and about the
    same time, as the bundle shipped them: what a sensor was taught, it does not teach on. It has no thread;
    use it from one at a time. What is learned is kept in `folder`.

    Args:
        bundle: an open bundle, calibrated, of single classes.
        adapt: the rules.

    Raises:
        AdaptError: the bundle cannot be adapted, or the folder or a file in it cannot be used.
    """

    def __init__(self, bundle: Bundle, adapt: Adapt) -> None:
        if bundle.manifest.task != "multi-class":
            raise AdaptError(f"{bundle.path}: is multi-label; adapting is for bundles of single classes")
        if not any(entry.threshold > 0 for entry in bundle.manifest.calibration.subsets.values()):
            raise AdaptError(
                f"{bundle.path}: is not calibrated, so nothing it says is sure enough to teach; export it "
                "with more examples in the split calibrate"
            )
        strange = sorted(set(adapt.trusted or ()) - set(bundle.modalities))
        if strange:
            known = ", ".join(bundle.modalities)
            raise AdaptError(f"trusted: the bundle has no {', '.join(strange)}; it has {known}")
        self._bundle, self._adapt = bundle, adapt
        self._store = Store(Path(adapt.folder) if adapt.folder else beside(bundle.path), bundle, adapt.days)
        self.folder = self._store.folder
        self._changes: list[AdaptEvent] = []
        self._taught_by: dict[Sensor, set[str]] = {}
        try:
            self._pupils: dict[Sensor, Pupil] = self._store.load()
        except AdaptError:
            self._store.close()
            raise
        self._unsaved: set[Sensor] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def logits(self, newest: Mapping[str, Heard]) -> dict[str, Floats]:
        """Return the logits, float32 [C], of the newest windows whose sensor's correction is in use."""
        pupils = ((window, self._pupils.get((m, window.sensor))) for m, window in newest.items())
        used = ((window, pupil.used) for window, pupil in pupils if pupil is not None)
        return {
            window.modality: found.logits(window.embedding)
            for window, found in used
            if found is not None and not self._is_background(window)
        }

    def learn(self, fresh: Collection[str], newest: Mapping[str, Heard], now: float) -> None:
        """Let the sensors of `fresh` modalities learn from what the others say about the same moment.

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
            opinion = self._opinion(teachers, newest)
            if opinion.least <= 0 or opinion.confidence < CONFIDENT:
                continue
            own = self._opinion((modality,), newest)
            sure = int(own.probabilities.argmax()) if own.sure and self._is_familiar(window) else None
            self._teach(window, Lesson(window.embedding, opinion.probabilities, sure=sure), teachers, now)

    def label(self, label: str, newest: Mapping[str, Heard], now: float) -> None:
        """Teach the sensor of each of the newest windows that it shows `label`, as a person says.

        Raises:
            AdaptError: the bundle has no such label.
        """
        labels = self._bundle.manifest.labels
        if label not in labels:
            raise AdaptError(f"{label!r}: no label of the bundle; it has {', '.join(labels)}")
        truth = np.zeros(len(labels), np.float32)
        truth[labels.index(label)] = 1
        for _, window in sorted(newest.items()):
            if not self._is_background(window):
                self._teach(window, Lesson(window.embedding, truth, LABEL), ("a person",), now)

    def take_changes(self) -> list[AdaptEvent]:
        """Return what has changed since the last time, in order."""
        changes, self._changes = self._changes, []
        return changes

    def finish(self, now: float) -> None:
        """Learn the scenes that go on, as at the end of a session."""
        for sensor, pupil in sorted(self._pupils.items()):
            if pupil.scene:
                self._note(sensor, pupil.end_scene(self._adapt.memory), now)
                self._unsaved.add(sensor)

    @property
    def standings(self) -> list[Standing]:
        """The progress of each sensor, sorted."""
        return [
            Standing(sensor, p.guard.state, p.windows, len(p.guard.recent), *p.guard.agreement)
            for sensor, p in sorted(self._pupils.items())
        ]

    def pack(self) -> dict[Sensor, bytes]:
        """Return, by sensor, the contents of the files of what was learned since the last time."""
        packed = {sensor: self._store.pack(sensor, self._pupils[sensor]) for sensor in sorted(self._unsaved)}
        self._unsaved.clear()
        return packed

    def write(self, packed: Mapping[Sensor, bytes]) -> None:
        """Write what `pack` returned, from any thread.

        Raises:
            AdaptError: it cannot be written.
        """
        for sensor, data in packed.items():
            self._store.write(sensor, data)

    def note_unsaved(self, packed: Mapping[Sensor, bytes]) -> None:
        """Note that what `pack` returned could not be written: the next `pack` returns it again."""
        self._unsaved |= packed.keys()

    def close(self) -> None:
        """Unlock the folder; what was not saved is lost."""
        self._store.close()

    def _teachers(self, window: Heard, newest: Mapping[str, Heard]) -> Subset:
        """Return the modalities that may teach a window: trusted, familiar, and of the same time."""
        trusted = self._adapt.trusted
        return tuple(
            modality
            for modality, other in sorted(newest.items())
            if modality != window.modality
            and (trusted is None or modality in trusted)
            and self._overlap(window, other)
            and self._is_familiar(other)
        )

    def _overlap(self, one: Heard, other: Heard) -> bool:
        """True if two windows share at least half of the shorter one; a caption holds while it is live."""
        spans = [self._bundle.specs[window.modality].window for window in (one, other)]
        return min(spans) == 0 or abs(one.time - other.time) <= min(spans) / 2

    def _is_familiar(self, window: Heard) -> bool:
        return self._score(window) >= self._bundle.manifest.calibration.familiar.get(
            window.modality, -math.inf
        )

    def _is_background(self, window: Heard) -> bool:
        """True if a window is unfamiliar, and likelier to show none of the classes than one of them.

        A voice that the encoder has not heard is unfamiliar, and is to be learned; silence is not.
        """
        return not self._is_familiar(window) and self._score(window) < 0

    def _score(self, window: Heard) -> float:
        familiarity = self._bundle.head.familiarity
        if familiarity is None:
            return 0.0
        return familiarity.score(self._bundle.modalities.index(window.modality), window.embedding)

    def _opinion(self, modalities: Subset, newest: Mapping[str, Heard]) -> Opinion:
        """Return what modalities say together, calibrated, without any correction."""
        return self._bundle.judge.answer({m: newest[m].embedding for m in modalities})[0]

    def _teach(self, window: Heard, lesson: Lesson, by: Subset, now: float) -> None:
        sensor = (window.modality, window.sensor)
        if sensor not in self._pupils:
            alone = of_subset(self._bundle.manifest.calibration, (window.modality,))
            self._pupils[sensor] = Pupil.new(self._bundle.head, alone)
        self._taught_by.setdefault(sensor, set()).update(by)
        self._unsaved.add(sensor)
        self._note(sensor, self._pupils[sensor].learn(lesson, self._adapt.memory), now)

    def _note(self, sensor: Sensor, change: Change | None, now: float) -> None:
        if change is None:
            return
        teachers = tuple(sorted(self._taught_by.get(sensor, ())))
        modality, name = sensor
        kind, reason = _KINDS[change.state], change.reason
        if kind == "taught":
            agreement = f"{100 * change.shipped:.0f} → {100 * change.adapted:.0f} % agreement"
            reason = f"by {' and '.join(teachers)}: {agreement}"
        event = AdaptEvent(now, name, modality, kind, teachers, change.shipped, change.adapted, reason)
        self._changes.append(event)
