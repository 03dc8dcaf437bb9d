"""The trial of a page: that of `sensemble trial`, on the page's sensors or on the examples of its replay."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from secrets import randbelow
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

from sensemble_runtime import subsets
from sensemble_runtime.auditing.comparison import MARGIN, compare
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.session import Session
from sensemble_sensors.errors import SensembleError, printable
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.lines import MAX_SECONDS, Fields
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.decoding import span
from sensemble_sensors.supervision.events import describe

from sensemble_apps.console.wording import percent, sensor_words
from sensemble_apps.errors import InputError
from sensemble_apps.report import compare_page
from sensemble_apps.running import trial
from sensemble_apps.running.trial import SETTLE, Arm, Outcome, ReplayedScenes, Scenes, ShownScenes
from sensemble_apps.tables import comparison_table
from sensemble_apps.tables.comparison_table import recorded_side
from sensemble_apps.web.page_sensors import PageSensor, PageSensors

_MOST = 1000  # times that a class is shown
_LONGEST = 86400.0  # seconds of a trial: its scenes are kept in memory
_LOOK = 0.1  # seconds between two checks whether somebody stopped it


class PageTrial:
    """Runs one trial at a time, in a thread; calls `changed` after each change of its `state`.

    Attributes:
        examples: those of the replay that have labels.
        state: of the last trial, for JSON: what is shown now, its result, or why it failed; None before.
        comparison: of the last trial, as a page; empty before.
        on_sensors: True while a trial unplugs and degrades the page's sensors.
    """

    def __init__(
        self,
        session: Session,
        sensors: PageSensors,
        folder: Path,
        began: float,
        changed: Callable[[], None],
    ) -> None:
        self.examples: Sequence[Example] = ()
        self.state: dict[str, Any] | None = None
        self.comparison = ""
        self.on_sensors = False
        self._session, self._sensors, self._folder, self._changed = session, sensors, folder, changed
        self._began = began
        self._used: Sequence[tuple[PageSensor, Applied | None]] = ()  # as they were before the trial
        self._stopped = Event()
        self._lock = Lock()  # of `_runs`
        self._runs = False

    def about(self) -> dict[str, Any]:
        """Return for JSON how many labelled examples the replay has, and the shortest period of sensors."""
        return {"examples": len(self.examples), "least": SETTLE + span(self._session.bundle.specs)}

    def press(self, given: Fields) -> None:
        """Begin a trial of the arm `unplug` or `condition`, as the command names it; without either, end it.

        With `labels`, a person shows each of them to the sensors `repeat` times for `seconds`. Without, the
        scenes are as many `examples` from all over the replay, as fast as possible.
        """
        unplug, condition = ([text] if (text := given.text(name)) else [] for name in ("unplug", "condition"))
        if not unplug and not condition:
            self._stopped.set()
            return
        if unplug and condition:
            raise InputError("give unplug or condition: a trial is of one change")
        with self._lock:
            self._begin(given, unplug, condition)

    def _begin(self, given: Fields, unplug: Sequence[str], condition: Sequence[str]) -> None:
        if self._runs:
            raise InputError("a trial runs; stop it first")
        bundle = self._session.bundle
        arms = trial.arms_of(unplug, condition, bundle.specs, dashes="")
        degraded = [one.modality for arm in arms for one in arm.conditions]
        if len({*degraded}) < len(degraded):
            raise InputError("give each sensor one condition: a page degrades it by one")
        labels = given.get("labels", tuple[str, ...] | None)
        scenes: Scenes
        if labels:
            seconds = given.number("seconds", 0, MAX_SECONDS)
            scenes = ShownScenes(bundle, self._period, labels, seconds, SETTLE)
            blocks = len(labels) * given.integer("repeat", 1, _MOST)
            plugged = {sensor.modality for sensor in self._sensors.plugged}
            if lacking := next((arm.title for arm in arms if not plugged - arm.unplugged), None):
                raise InputError(f"{lacking}, no sensor is left; plug in another")
            if blocks * (1 + len(arms)) * seconds > _LONGEST:
                raise InputError("a trial takes a day at most; show fewer classes, or each less often")
        elif self.examples:
            examples = trial.spread(self.examples, given.integer("examples", 1, len(self.examples)))
            scenes, blocks = ReplayedScenes(bundle, examples, fast=True), 1
        else:
            raise InputError("choose what you show")
        self._stopped.clear()
        self._runs, self.on_sensors = True, bool(labels)  # before anything else may be pressed
        Thread(target=self._run, args=(bundle, scenes, arms, blocks), daemon=True).start()

    def _run(self, bundle: Bundle, scenes: Scenes, arms: Sequence[Arm], blocks: int) -> None:
        shown = scenes if isinstance(scenes, ShownScenes) else None
        self._used = [(one, one.condition) for one in self._sensors.plugged] if shown else []

        def began(period: int, block: int) -> None:  # without the arm: who shows the scenes must not know it
            self._say(
                period=period + 1,
                periods=blocks * (1 + len(arms)),
                show=shown.shown(block)[0].labels[0] if shown else None,
                seconds=shown.seconds if shown else None,
                began=round(monotonic() - self._began, 3),
            )

        def answered(count: int) -> None:
            self._check()
            if isinstance(scenes, ReplayedScenes):
                self._say(**{**(self.state or {}), "share": count / len(scenes.examples)})

        try:
            outcome = trial.run(bundle, scenes, arms, blocks, randbelow(1 << 16), began, answered)
            state = self._result(bundle, outcome, "devices" if shown else "replay")
        except Exception as error:  # noqa: BLE001 - a full disk, say: else the page would show it for ever
            state = {"failed": str(error) if isinstance(error, SensembleError) else describe(error)}
        for sensor, condition in self._used:
            sensor.degrade(condition)
            with suppress(SensembleError):  # the session is closed, or the sensor is gone
                self._sensors.plug(sensor.name)
        with self._lock:  # the state of the next trial comes after
            self._runs = self.on_sensors = False
            self._say(**state)

    def _period(self, arm: Arm, seconds: float) -> Iterator[tuple[float, Prediction]]:
        """Plug the arm's sensors in anew: the page's session forgets what is unplugged; see `Period`."""
        said: SimpleQueue[Prediction] = SimpleQueue()
        for sensor, _ in self._used:
            self._sensors.unplug(sensor.name)
        began = monotonic()
        subscriber = self._session.subscribe(
            lambda item: said.put(item) if isinstance(item, Prediction) else None
        )
        try:
            for sensor, _ in self._used:
                sensor.degrade(next((one for one in arm.conditions if one.modality == sensor.modality), None))
                if sensor.modality not in arm.unplugged:
                    self._sensors.plug(sensor.name)
            while (left := began + seconds - monotonic()) > 0:
                self._check()
                with suppress(Empty):
                    item = said.get(timeout=min(left, _LOOK))
                    yield item.time - began, item
        finally:
            self._session.unsubscribe(subscriber)

    def _check(self) -> None:
        if self._stopped.is_set():
            raise InputError("the trial was stopped")

    def _say(self, **state: Any) -> None:  # noqa: ANN401 - JSON
        self.state = state
        self._changed()

    def _result(self, bundle: Bundle, outcome: Outcome, data: str) -> dict[str, Any]:
        """Write the records and the comparison; return the numbers for the page, in words."""
        made = datetime.now(UTC)
        folder = self._folder / f"{made:%Y%m%d-%H%M%S}"
        records = trial.write(folder, bundle, outcome, data)
        titles = [*outcome.answers]
        a, b = (
            replace(recorded_side(path), title=title, data=data)
            for path, title in zip(records, titles, strict=True)
        )
        found = compare(a.result, b.result)
        self.comparison = compare_page.render(found, a, b, {}, (), made)
        one = found.sets[outcome.subset]
        shares = [
            ("right", one.before.accuracy, one.after.accuracy, one.change),
            ("sure and wrong", one.before.sure_wrong, one.after.sure_wrong, one.wrong),
            ("unsure", one.before.unsure, one.after.unsure, one.unsure),
        ]
        return {
            "arm": titles[1],
            "verdict": comparison_table.verdict(one, MARGIN),
            "sensors": sensor_words(subsets.parse(outcome.subset)),
            "scenes": one.n,
            "groups": found.groups,
            "lost": len(one.lost),
            "gained": len(one.gained),
            "shares": [
                [title, percent(before), percent(after), comparison_table.points(change)]
                for title, before, after, change in shares
            ],
            "records": printable(str(folder)),
        }
