"""The pupil: one sensor, the running sums of its lessons, the correction they give, and the guard of that."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.adapting.correction import Correction, centred, fit
from sensemble_runtime.adapting.guard import Guard, Outcome, State
from sensemble_runtime.adapting.ridge import Sums
from sensemble_runtime.bundle.head import Head, scaled
from sensemble_runtime.bundle.judge import UNCALIBRATED
from sensemble_runtime.bundle.manifest import SubsetCalibration

Floats = NDArray[np.float32]

SCENE = 4
"""Windows of one scene that are learned from, the first ones; the rest of it would say the same."""
WARM = 8.0
"""The weight of lessons before a correction is judged: one of fewer would only lose its first bets."""
VARIETY = 4.0
"""The variety that lessons must have before a correction is used: as if so many classes, or three quarters of
all, had been taught equally often (the perplexity of what the teacher said)."""
LABEL = 4.0
"""The weight of a window that a person has labelled."""
MOST = 2.0
"""The difference of two log-probabilities that counts as one, so that no single window decides."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A window of a pupil, and what its teacher says about it.

    Attributes:
        embedding: of the window, float32 [d].
        teacher: the teacher's calibrated probabilities, float32 [C]; one 1 for a person's label.
        weight: how much it counts; `LABEL` for a person's label.
        sure: the class that the pupil is sure of by itself, in familiar input; None where it is not.
    """

    embedding: Floats
    teacher: Floats
    weight: float = 1.0
    sure: int | None = None

    @property
    def answer(self) -> int:
        """The class that the teacher names."""
        return int(self.teacher.argmax())

    @property
    def disputed(self) -> bool:
        """True if the pupil is sure of another class than the teacher, and no person said which is right."""
        return self.sure is not None and self.sure != self.answer and self.weight == 1.0


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a pupil's state.

    Attributes:
        state: the new one.
        shipped: the agreement of the shipped head with the teacher, in the newest scenes.
        adapted: that of the correction.
        reason: why, in words.
    """

    state: State
    shipped: float
    adapted: float
    reason: str


@dataclass(slots=True)
class Pupil:
    """The lessons of one sensor.

    Attributes:
        head: the bundle's.
        calibration: of this modality alone.
        sums: of the lessons.
        guard: of the correction.
        taught: the weight of the lessons about each class, as the teacher named it, [C].
        correction: what the lessons so far give; not to be used unless `guard.state` is `used`.
        answers: in how many judged scenes the shipped head, less its mean logits here, named each class, [C].
        windows: the number of lessons so far.
        scene: the lessons of the scene that goes on, which nothing was learned from yet.
    """

    head: Head
    calibration: SubsetCalibration
    sums: Sums
    guard: Guard
    answers: NDArray[np.float64]
    taught: NDArray[np.float64]
    correction: Correction | None = None
    windows: int = 0
    scene: list[Lesson] = field(default_factory=list)

    @classmethod
    def new(cls, head: Head, calibration: SubsetCalibration = UNCALIBRATED) -> "Pupil":
        """Return a pupil that has learned nothing."""
        classes, d = head.weight.shape
        return cls(head, calibration, Sums.empty(d, classes), Guard(), np.zeros(classes), np.zeros(classes))

    @property
    def used(self) -> Correction | None:
        """The correction, if it is in use."""
        return self.correction if self.guard.state == "used" else None

    def learn(self, lesson: Lesson, memory: int) -> Change | None:
        """Take a lesson; a lesson about another class than the one before ends the scene, which is learned.

        Args:
            lesson: a window and what the teacher says about it.
            memory: the number of lessons after which one counts a third of a new one.

        Returns:
            A change of the state, if there was one.
        """
        change = None
        if self.scene and self.scene[0].answer != lesson.answer:
            change = self.end_scene(memory)
        if len(self.scene) < SCENE:
            self.scene.append(lesson)
        return change

    def end_scene(self, memory: int) -> Change | None:
        """Judge the scene that goes on, then learn from it; see `learn`."""
        scene, self.scene = self.scene, []
        if not scene:
            return None
        before, agreement = self.guard.state, self.guard.agreement
        sure = [lesson for lesson in scene if lesson.sure is not None]
        agreed = sum(not lesson.disputed for lesson in sure)
        reason = self.guard.dispute(agreed / len(sure)) if sure else ""
        lessons = [lesson for lesson in scene if not (lesson.disputed and self.guard.credible)]
        if not reason and self.guard.state != "disputed" and lessons:
            if self.correction is not None and self.sums.weight >= WARM:
                reason = self.guard.judge(self._outcome(lessons), varied=self._varied)
            self._add(lessons, memory)
        if self.guard.state in ("dropped", "disputed") and self.guard.state != before:
            self._forget_all()
        if not reason:
            return None
        agreement = self.guard.agreement if self.guard.state == "used" else agreement
        return Change(self.guard.state, *agreement, reason)

    @property
    def _varied(self) -> bool:
        shares = self.taught[self.taught > 0] / self.taught.sum()
        perplexity = float(np.exp(-(shares * np.log(shares)).sum()))
        return perplexity >= min(VARIETY, 0.75 * len(self.taught))

    def _outcome(self, lessons: list[Lesson]) -> Outcome:
        x = np.stack([lesson.embedding for lesson in lessons])
        answer = lessons[0].answer
        assert self.correction is not None  # noqa: S101 - asked for only where there is one
        adapted, shipped = self.correction.logits(x), self.head.logits(x)

        def log_share(logits: Floats) -> NDArray[np.float64]:
            fitted = self.calibration
            calm = scaled(logits.astype(np.float64), fitted.temperature, fitted.power, self.head.task)
            return np.asarray(calm[:, answer] - np.logaddexp.reduce(calm, axis=1), np.float64)

        own = ((x - self.sums.mean) @ centred(self.head.weight)).argmax(axis=1)
        chance = (self.answers[answer] + 1) / (self.answers.sum() + len(self.answers))
        outcome = Outcome(
            adapted=float((adapted.argmax(axis=1) == answer).mean()),
            shipped=float((shipped.argmax(axis=1) == answer).mean()),
            gain=float(np.clip(log_share(adapted) - log_share(shipped), -MOST, MOST).mean() / MOST),
            beyond=float((own == answer).mean() - chance),
        )
        np.add.at(self.answers, own, 1 / len(own))
        return outcome

    def _add(self, lessons: list[Lesson], memory: int) -> None:
        for lesson in lessons:
            self.sums.forget(1 - 1 / memory)
            self.taught *= 1 - 1 / memory
            self.sums.add(lesson.embedding, lesson.teacher, lesson.weight)
            self.taught[lesson.answer] += lesson.weight
        self.windows += len(lessons)
        self.correction = fit(self.sums, self.head)

    def _forget_all(self) -> None:
        classes, d = self.head.weight.shape
        self.sums, self.correction, self.windows = Sums.empty(d, classes), None, 0
        self.answers, self.taught = np.zeros(classes), np.zeros(classes)
