"""The adapter: which sensors learn from which at a moment, the corrections in use, and their file."""

import hashlib
import json
from collections import deque
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Self
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save
from sensemble_sensors import durable
from sensemble_sensors.lines import opened
from sensemble_sensors.supervision.events import Event

from sensemble_runtime.adapting.correction import Change, Correction, CorrectionTrial, Learner, Lesson
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.answer import opinion
from sensemble_runtime.engine.live_set import WindowEmbedding
from sensemble_runtime.errors import AdaptError
from sensemble_runtime.subsets import Subset

Floats = NDArray[np.float32]

CONFIDENT = 0.5  # the least calibrated confidence of a teacher: it is right more often than not
LABEL = 4.0  # the weight of a window that a person has labelled
SENSORS = 32  # corrections kept; those taught longest ago make room
WAITING = 4096  # lessons that may wait for `study`, the newest
SCHEMA = 5
PERSON = "a person"
_FILE = "corrections"
_LARGEST = 1 << 30  # bytes

SensorKey = tuple[str, str]  # a modality, and the name of a sensor


class Adapter:
    """Lets the sensors of a session teach each other, and keeps their corrections; a context manager.

    The teacher is the opinion of all other familiar live modalities of about the same time together, as
    shipped: learned corrections never act as teachers. `learn` and `label` note lessons; `study` learns them,
    which may take milliseconds a scene. Call `study`, `save` and `close` from one thread.

    The bundle must be calibrated and of single classes. The corrections lie in `folder`, by default beside
    the bundle, for one process at a time. Raises AdaptError otherwise.
    """

    def __init__(self, bundle: Bundle, folder: Path | str | None = None) -> None:
        manifest = bundle.manifest
        if manifest.task != "multi-class":
            raise AdaptError(f"{bundle.path}: is multi-label; adapting is for bundles of single classes")
        if not manifest.calibration.modalities:
            raise AdaptError(
                f"{bundle.path}: is not calibrated, so no answer is sure enough to teach; export it "
                "with more examples in the split calibrate"
            )
        self._bundle = bundle
        whole = bundle.path.resolve()  # by default next to it, because its own folder must not change
        self.folder = Path(folder) if folder else whole.with_name(f"{whole.name}.learned")
        weight = bundle.head.weight
        self._inverse = np.linalg.pinv(weight - weight.mean(axis=0), rcond=1e-3)
        self._teachers_of: dict[SensorKey, set[str]] = {}
        self._events: deque[Event] = deque()
        self._lessons: deque[tuple[WindowEmbedding, Lesson, Subset, float]] = deque(maxlen=WAITING)
        self._changed = False
        self.problem = ""  # why the file was set aside
        try:
            durable.create_folder(self.folder)
            durable.create(self.folder / "lock")
            self._lock = durable.lock(self.folder / "lock")
        except BlockingIOError as error:
            raise AdaptError(f"{self.folder}: in use by another session; end that first") from error
        except OSError as error:
            raise AdaptError(
                f"{self.folder}: cannot be written ({error.strerror}); name another folder"
            ) from error
        self.learners = self._load()  # those taught last at the end
        self._publish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def correct(self, newest: Mapping[str, WindowEmbedding]) -> dict[str, Floats]:
        """Return the corrected embeddings of the newest windows whose sensor's correction is in use."""
        used, moved = self._used, {}
        for modality, window in newest.items():
            correction = used.get((modality, window.sensor))
            if correction is not None and not self._is_background(window):
                # Moves the logits of the linear head by just the correction.
                change = self._inverse @ correction(window.embedding)
                moved[modality] = (window.embedding + change).astype(np.float32)
        return moved

    def learn(
        self,
        fresh: Collection[str],
        newest: Mapping[str, WindowEmbedding],
        now: float,
        suspects: Collection[str] = (),
    ) -> None:
        """Note lessons of the newest windows of the others for the new ones of `fresh` modalities."""
        # A suspect may learn, as an unknown voice contradicts too, but never teaches.
        trusted = {modality: window for modality, window in newest.items() if modality not in suspects}
        for modality in sorted(fresh):
            window = newest[modality]
            teachers = self._teachers(window, trusted)
            if not teachers or self._is_background(window):
                continue
            classifier = self._bundle.classifier
            evidence = {m: classifier.evidence(m, newest[m].embedding[np.newaxis]) for m in teachers}
            taught = opinion(classifier, evidence, tuple(sorted(teachers)))
            if taught.confidence >= CONFIDENT:
                lesson = Lesson(window.embedding, int(taught.probabilities.argmax()))
                self._lessons.append((window, lesson, teachers, now))

    def label(self, label: str, newest: Mapping[str, WindowEmbedding], now: float) -> None:
        """Note that each newest window shows `label`; raise an `AdaptError` if there is no such label."""
        label, labels = normalize("NFC", label), self._bundle.manifest.labels
        if label not in labels:
            raise AdaptError(f"{label!r}: no label of the bundle; it has {', '.join(labels)}")
        for window in newest.values():
            if not self._is_background(window):
                lesson = Lesson(window.embedding, labels.index(label), LABEL)
                self._lessons.append((window, lesson, (PERSON,), now))

    def study(self) -> None:
        """Learn the lessons noted since the last call."""
        while self._lessons:
            window, lesson, teachers, now = self._lessons.popleft()
            sensor = window.modality, window.sensor
            learner = self.learners.pop(sensor, None) or self._new(window.modality)
            self.learners[sensor], self._changed = learner, True
            by = self._teachers_of.setdefault(sensor, set())
            by.update(teachers)
            trial = learner.trial
            change = learner.learn(lesson)
            if change is not None:
                self._report(window, change, trial, tuple(sorted(by)), now)
        self._publish()

    def pop_events(self) -> list[Event]:
        """Return the changes since the last call."""
        return [self._events.popleft() for _ in range(len(self._events))]

    def save(self) -> None:
        """Write the changes since the last call; after an `AdaptError`, the next call tries again."""
        if not self._changed:
            return
        kept = list(self.learners.items())[-SENSORS:]
        tensors = {str(i): learner.moments for i, (_, learner) in enumerate(kept)}
        header = json.dumps([(*sensor, asdict(learner.trial)) for sensor, learner in kept])
        data = save(tensors | {"header": np.frombuffer(header.encode(), np.uint8)})
        path = self.folder / _FILE
        try:
            durable.write(path, self._checksum(data) + data, private=True)
        except OSError as error:
            raise AdaptError(
                f"{path}: cannot be written ({error.strerror}); make room on its disk"
            ) from error
        self._changed = False

    def close(self) -> None:
        """Unlock the folder; unsaved lessons are lost. Closing twice is allowed."""
        self._lock.close()

    def _publish(self) -> None:
        """Replace the corrections in use at once, so that `correct` needs no lock."""
        self._used: dict[SensorKey, Correction] = {
            sensor: one.correction
            for sensor, one in self.learners.items()
            if one.trial.used and one.correction is not None
        }

    def _report(
        self, window: WindowEmbedding, kind: Change, trial: CorrectionTrial, teachers: Subset, now: float
    ) -> None:
        text = "it no longer agrees better with its teachers than the bundle's own head"
        if kind == "taught":
            shares = " → ".join(f"{100 * share:.0f}" for share in trial.agreement)
            text = f"by {' and '.join(teachers)}: {shares} % agreement"
        self._events.append(Event(now, kind, window.modality, window.sensor, text))

    def _new(self, modality: str) -> Learner:
        return Learner(self._bundle.head, self._bundle.manifest.calibration.modalities.get(modality))

    def _load(self) -> dict[SensorKey, Learner]:
        """Read the file. One that is damaged or of another bundle is set aside: all learn anew."""
        path, learners = self.folder / _FILE, dict[SensorKey, Learner]()
        try:
            tensors = load(self._opened(path))
            for i, (modality, name, trial) in enumerate(json.loads(tensors["header"].tobytes())):
                learner = learners[modality, name] = self._new(modality)
                learner.restore(tensors[str(i)], CorrectionTrial(**trial))
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            bad = path.with_suffix(".bad")
            with suppress(OSError):
                path.replace(bad)
            self.problem = f"{path}: {error}; set aside as {bad.name}, the sensors learn anew"
        return learners

    def _checksum(self, data: bytes) -> bytes:
        """Return a checksum of `data` that only this bundle and version gives."""
        checksum = hashlib.sha256(f"{SCHEMA} {self._bundle.fingerprint}".encode())
        checksum.update(data)  # apart: it may be large, and is not copied
        return checksum.digest()

    def _opened(self, path: Path) -> bytes:
        with opened(path) as file:
            checksum, data = file.read(hashlib.sha256().digest_size), file.read(_LARGEST)
        if checksum != self._checksum(data):
            raise ValueError("damaged, or of another bundle or version")
        return data

    def _teachers(self, window: WindowEmbedding, newest: Mapping[str, WindowEmbedding]) -> Subset:
        return tuple(
            modality
            for modality, other in sorted(newest.items())
            if modality != window.modality and self._overlap(window, other) and self._is_familiar(other)
        )

    def _overlap(self, one: WindowEmbedding, other: WindowEmbedding) -> bool:
        """True if two windows share at least half of the shorter one; a caption holds while it is live."""
        shorter = min(self._bundle.specs[window.modality].window for window in (one, other))
        return shorter == 0 or abs(one.time - other.time) <= shorter / 2

    def _is_familiar(self, window: WindowEmbedding) -> bool:
        return bool(self._bundle.classifier.are_familiar(window.modality, window.embedding))

    def _is_background(self, window: WindowEmbedding) -> bool:
        """True if a window is unfamiliar and likely shows no class: silence, not an unknown voice."""
        scores, row = self._bundle.head.familiarity, self._bundle.modalities.index(window.modality)
        if scores is None or self._is_familiar(window):
            return False
        return bool(scores.log_odds(row, window.embedding) < 0)
