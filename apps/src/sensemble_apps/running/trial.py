"""A trial: matched periods with every sensor, without some, and with some degraded, in random order.

In each block, every arm gets one period and the same scenes: the examples of a dataset, a media file from its
beginning, or what a person shows again. Each period plugs in its sensors anew, so that no arm learns from
another.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Timer
from typing import Protocol

import numpy as np
from sensemble_runtime import subsets
from sensemble_runtime.auditing.audit import truth_of
from sensemble_runtime.auditing.comparison import SetComparison, compared, holm
from sensemble_runtime.auditing.intervals import group_codes, scored
from sensemble_runtime.auditing.metrics import chance
from sensemble_runtime.auditing.reliability import recorded_answers
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import SessionError
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.writer import RecordedAnswer, RecordWriter
from sensemble_runtime.scores import Estimate
from sensemble_runtime.session.session import Session
from sensemble_sensors import durable
from sensemble_sensors.errors import SensembleError
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.decoding import span
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.supervision.events import describe
from sensemble_sensors.thresholds import Thresholds

from sensemble_apps.console.conditions import parse_applied, parse_sensors
from sensemble_apps.console.kinds import words_of
from sensemble_apps.console.output import remark
from sensemble_apps.console.wording import words
from sensemble_apps.errors import InputError
from sensemble_apps.running import real_time, virtual_time
from sensemble_apps.running.real_time import Options
from sensemble_apps.running.view_events import Opened, Predicted

SETTLE = 5.0  # seconds of a period on devices that do not count: sensors open and fill their windows
_LONGEST = 86_400.0  # seconds of a period, a day


@dataclass(frozen=True)
class Arm:
    """Takes some of the sensors, or their quality, for a period."""

    title: str
    unplugged: frozenset[str] = frozenset()
    conditions: tuple[Applied, ...] = ()


CONTROL = Arm("all sensors")


def arms_of(
    unplug: Sequence[str], condition: Sequence[str], specs: Mapping[str, InputSpec], dashes: str = "--"
) -> list[Arm]:
    """Return the arms that texts such as `microphone+watch` and `camera=dark:3` name.

    Raises InputError for an unknown sensor or condition, for an arm without any sensor, and for two that are
    alike. `dashes` stand before the option that an error names; a page has none.
    """
    arms = []
    for text in unplug:
        gone = parse_sensors(text, specs, f"{dashes}unplug")
        if not specs.keys() - gone:
            raise InputError(f"{dashes}unplug {text}: leaves no sensor; name fewer")
        arms.append(Arm(f"without {words(_named(one, specs) for one in text.split('+'))}", frozenset(gone)))
    for text in condition:
        applied = tuple(parse_applied(text, specs, f"{dashes}condition"))
        sensors, _, name = text.partition("=")
        every = words(_named(one, specs) for one in sensors.split("+"))
        arms.append(Arm(f"{every} under {name}", conditions=applied))
    if len({arm.title for arm in arms}) < len(arms):
        raise InputError("two arms are alike; give each once")
    return arms


def _named(sensor: str, specs: Mapping[str, InputSpec]) -> str:
    return words_of(sensor).sensor if sensor in specs else sensor


SceneAnswers = Iterator[tuple[str, Prediction]]
"""The scenes of a period by id, each with its answers; the last answer counts."""


class Scenes(Protocol):
    """Show every arm the same things in a block, numbered from 0."""

    def shown(self, block: int) -> Sequence[Example]:
        """Return the scenes of a block, as examples with an id, labels and groups."""

    def play(self, arm: Arm, block: int) -> SceneAnswers:
        """Play the scenes of a block to the sensors of an arm."""


@dataclass(frozen=True)
class ReplayedScenes:
    """The examples of a dataset, in real time or as `fast` as possible. Those of one id are one group."""

    bundle: Bundle
    examples: Sequence[Example]
    fast: bool

    def shown(self, block: int) -> Sequence[Example]:
        """See `Scenes`; the ids of the first block are those of the dataset."""
        return [replace(one, id=_id(one.id, block), groups=one.groups or (one.id,)) for one in self.examples]

    def play(self, arm: Arm, block: int) -> SceneAnswers:
        """See `Scenes`."""
        plugged = tuple(m for m in self.bundle.specs if m not in arm.unplugged)
        replay = virtual_time.replay if self.fast else real_time.replay
        options = Options(conditions=arm.conditions)
        with closing(replay(self.bundle, self.examples, options, [plugged])) as events:
            for event in events:
                if isinstance(event, Predicted) and event.example is not None:
                    yield _id(event.example.id, block), event.prediction


def _id(example: str, block: int) -> str:
    return f"{example} #{block + 1}" if block else example


def spread(examples: Sequence[Example], count: int) -> Sequence[Example]:
    """Return `count` of the examples, from all over them: those of one person often follow each other."""
    count = min(count, len(examples))
    return [examples[place * len(examples) // count] for place in range(count)]


Period = Callable[[Arm, float], Iterator[tuple[float, Prediction]]]
"""Plays to the sensors of an arm for some seconds; yields predictions, each with its time in the period."""


@dataclass(frozen=True)
class ShownScenes:
    """Scenes that devices see for `seconds`, while a person shows the `labels` in turn, one in each block.

    The first `settle` seconds do not count. A scene is as long as the longest window. The scenes of a block
    are one group.
    """

    bundle: Bundle
    period: Period
    labels: Sequence[str]
    seconds: float
    settle: float

    def __post_init__(self) -> None:
        least, known = self.settle + span(self.bundle.specs), self.bundle.manifest.labels
        if self.seconds < least:
            raise InputError(f"a period of {self.seconds:g} s is too short; give {least:g} s or more")
        if not self.seconds <= _LONGEST:  # nor is NaN
            raise InputError(f"a period of {self.seconds:g} s is too long; give {_LONGEST:g} s or less")
        if unknown := next((label for label in self.labels if label not in known), None):
            raise InputError(f"the bundle has no label {unknown!r}; it has {', '.join(known)}")

    def shown(self, block: int) -> Sequence[Example]:
        """See `Scenes`."""
        label, count = self._label(block), int((self.seconds - self.settle) / span(self.bundle.specs))
        ids = (f"{label} {block + 1}.{place}" for place in range(1, count + 1))
        return [Example(one, "trial", (label,), {}, 0, groups=(f"block {block + 1}",)) for one in ids]

    def play(self, arm: Arm, block: int) -> SceneAnswers:
        """See `Scenes`."""
        length = span(self.bundle.specs)
        for time, said in self.period(arm, self.seconds):
            if time >= self.settle:
                place = int((time - self.settle) / length) + 1
                yield f"{self._label(block)} {block + 1}.{place}", said

    def _label(self, block: int) -> str:
        return self.labels[block % len(self.labels)]


def on_devices(
    bundle: Bundle, sensors: Callable[[], AbstractContextManager[Sequence[Sensor]]], health: Thresholds | None
) -> Period:
    """Return periods that open the devices anew, for a session."""

    def play(arm: Arm, seconds: float) -> Iterator[tuple[float, Prediction]]:
        timer = None
        with sensors() as every:
            used = [sensor for sensor in every if sensor.modality not in arm.unplugged]
            if not used:
                raise InputError(f"{arm.title}, no sensor is left; unplug fewer")
            options = Options(conditions=arm.conditions)
            with closing(real_time.devices(bundle, used, options, health=health)) as events:
                try:
                    for event in events:
                        if isinstance(event, Opened) and event.session is not None:
                            timer = Timer(seconds, _close, [event.session])
                            timer.start()
                        elif isinstance(event, Predicted):
                            yield event.time, event.prediction
                finally:
                    if timer is not None:
                        timer.cancel()

    return play


def _close(session: Session) -> None:
    with suppress(SessionError):  # a sensor that does not stop is abandoned
        session.close()


@dataclass(frozen=True)
class Outcome:
    """The answers of a trial.

    Attributes:
        order: of the complete periods, the titles of their arms.
        subset: the sensors that were live in the control.
        answers: by arm's title, the control first, to every scene that any arm answered; their subset is what
            the arm leaves of the control's.
    """

    order: Sequence[str]
    subset: str
    answers: Mapping[str, Sequence[RecordedAnswer]]

    def comparisons(self, bundle: Bundle, margin: float) -> dict[str, SetComparison]:
        """Return each arm beside the control; p values are adjusted for the number of arms."""
        said = (bundle.manifest.labels, bundle.manifest.task)
        control, *rest = (recorded_answers(answers, *said) for answers in self.answers.values())
        found = [compared(control, arm, margin).sets[self.subset] for arm in rest]
        adjusted = holm([one.p for one in found])
        titles = [*self.answers][1:]
        return {t: replace(one, adjusted=p) for t, one, p in zip(titles, found, adjusted, strict=True)}


def run(
    bundle: Bundle,
    scenes: Scenes,
    arms: Sequence[Arm],
    blocks: int,
    seed: int,
    began: Callable[[int, int], None],
    answered: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """Run the arms and the control once in each block.

    `began` is called with the period, from 0, and its block; `answered` with the number of answers in it so
    far. An error or Ctrl-C ends the trial; the blocks that were complete are the outcome. An arm that leaves
    or takes no sensor that answered is left out.

    Raises:
        InputError: the control gave no answer, or all arms are left out.
        BadDataError: a scene has no label that can be judged.
        SensembleError, KeyboardInterrupt: it ended the trial in the first block.
    """
    arms, draw = [CONTROL, *arms], random.Random(seed)  # noqa: S311 - no secret
    shown = {one.id: one for block in range(blocks) for one in scenes.shown(block)}
    truth_of(bundle, [*shown.values()])
    order = [arm for _ in range(blocks) for arm in draw.sample(arms, len(arms))]
    said: dict[str, dict[str, Prediction]] = {arm.title: {} for arm in arms}
    for period, arm in enumerate(order):
        block = period // len(arms)
        began(period, block)
        try:
            for count, (i, answer) in enumerate(scenes.play(arm, block), 1):
                answered(count)
                if i in shown:
                    said[arm.title][i] = answer
        except (KeyboardInterrupt, SensembleError) as error:
            if not block:
                raise
            why = "interrupted" if isinstance(error, KeyboardInterrupt) else describe(error)
            remark(f"sensemble: ended in block {block + 1} ({why}); the {block} before it count")
            shown = {one.id: one for before in range(block) for one in scenes.shown(before)}
            order = order[: block * len(arms)]
            break
    live = {m for answer in said[CONTROL.title].values() for m in answer.live}
    if not live:
        raise InputError("with all sensors, no scene got an answer; is each sensor live?")
    sets = {arm.title: subsets.name(live - arm.unplugged) for arm in arms}
    for arm in arms[1:]:
        touched = arm.unplugged | {one.modality for one in arm.conditions}
        if not live - arm.unplugged or not live & touched:
            what = "none of its sensors gave" if live - arm.unplugged else "no sensor is left that gave"
            remark(f"sensemble: {arm.title}: {what} an answer, so it is left out")
            del sets[arm.title], said[arm.title]
    if len(sets) == 1:
        raise InputError("no arm leaves and takes a sensor that gave an answer; name others")
    some = {i for answers in said.values() for i in answers}
    return Outcome(
        [arm.title for arm in order if arm.title in sets],
        sets[CONTROL.title],
        {
            title: [_answer(bundle, shown[i], sets[title], answers.get(i)) for i in shown if i in some]
            for title, answers in said.items()
        },
    )


def _answer(bundle: Bundle, scene: Example, subset: str, said: Prediction | None) -> RecordedAnswer:
    """Return the answer to a scene; silence is an answer without evidence."""
    labels = bundle.manifest.labels
    chances = said.probabilities if said else np.full(len(labels), 1 / len(labels), np.float32)
    return RecordedAnswer(
        scene.id,
        scene.line,
        scene.labels,
        subset,
        labels[int(chances.argmax())],
        chances,
        bundle.manifest.calibration.threshold,
        said.doubt if said else "unfamiliar",
        scene.groups,
    )


def write(folder: Path, bundle: Bundle, outcome: Outcome, dataset: str) -> list[Path]:
    """Add the answers of each arm to a record, as an audit; return the files, the control's first."""
    durable.create_folder(folder)
    labels, task = bundle.manifest.labels, bundle.manifest.task
    written = []
    for title, answers in outcome.answers.items():
        table = np.array([[label in one.truth for label in labels] for one in answers])
        truth = table.argmax(axis=1) if task == "multi-class" else table.astype(np.int64)
        groups = group_codes([one.groups for one in answers])
        chances = np.stack([one.probabilities for one in answers])
        score, _ = scored(chances, truth, task, groups, np.full(len(answers), fill_value=True))
        whole = Estimate(score.accuracy, score.low, score.high)
        written.append(folder / f"{title.replace(' ', '-').replace(':', '-')}.sqlite")
        with RecordWriter(written[-1]) as records:
            run = records.begin("audit", bundle, dataset, title)
            records.add_answers(run, answers)
            expected = {answers[0].subset: chance(truth, task)}
            records.add_scores(run, {answers[0].subset: score}, expected, {"P": whole, "R": whole})
            records.end(run)
    return written
