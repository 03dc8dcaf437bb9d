"""The studio: its parts, and the actions of its page."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import IO, Any

from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import MatrixError
from sensemble_sensors.errors import SensembleError
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.thresholds import DEFAULT

from sensemble_apps.errors import InputError
from sensemble_apps.running.capture import Capture
from sensemble_apps.running.inputs import FORM
from sensemble_apps.running.recorder import Recorder
from sensemble_apps.running.take_recorder import COUNTDOWN, SHORTEST, TakeRecorder, Wanted
from sensemble_apps.studio.between_takes import BETWEEN, BetweenTakes
from sensemble_apps.studio.delivery import (
    Phones,
    folder_files,
    is_for_phones,
    packed,
    page_files,
)
from sensemble_apps.studio.instant_head import InstantHead
from sensemble_apps.studio.live import LivePage, LiveSession
from sensemble_apps.studio.project import Project, ProjectRun
from sensemble_apps.studio.take_list import MOST, Takes
from sensemble_apps.studio.training import CommandJob, is_running, preparation, refuse_while, training
from sensemble_apps.tables.matrices import chance_warnings, most_robust, read_intervals
from sensemble_apps.tables.run_folder import MATRIX, SELECTION
from sensemble_apps.web.page_sensors import PageSensors

LONGEST = 60.0  # seconds of a take
IN_A_ROW = 50  # takes
NOTHING = "None of these"
"""The page's name of the backgrounds."""
ONE_SENSOR = "A model needs takes of two sensors or more, such as a camera and a microphone"
_RUNS = 10  # that the page shows, the newest
# A camera's own rate will do.
_HEALTH = replace(DEFAULT, picture_rate=0.0)
# Sensors that give samples all the time: a take of some seconds has something of each.
SPECS: dict[str, InputSpec] = {modality: spec for modality, spec in FORM.items() if spec.hop > 0}


class Studio:
    """A project with its sensors, its training and its live page. Safe from any thread; methods may wait.

    Args:
        project: an open project.
        countdown: seconds before a take.
        options: further ones of `sensemble train`, such as `--encoder`; with `--from-scratch` alone, there is
            no instant head.

    Attributes:
        capture: reads the sensors all the time, for previews, takes and the live page alike.
        sensors: those of the page.
        instant: fits the instant head; None where there is none.
        job: the last training; None before there is one.
        preparation: of the last trained run for phones; None before there is one.
        phones: serves a model to phones; None while it does not.
        failure: why the last take failed; empty if it did not.
        summary: of the project, for JSON; replaced with each change.
        version: grows with each change of `summary`.

    Raises:
        BadDataError: the recording is damaged.
        InputError: a label of its takes is no name of a class. The actions raise it where they are refused.
        RecordingError: of the actions: there is no such take, or the recording cannot be written.
    """

    def __init__(self, project: Project, countdown: float = COUNTDOWN, options: Sequence[str] = ()) -> None:
        self.project = project
        self.capture = Capture(SPECS, _HEALTH)
        self.sensors = PageSensors(self.capture, SPECS)
        self.began = self.capture.clock.now()
        self.capture.subscribe(lambda _: self.sensors.viewers.wake())
        self.takes = Takes(project.data, SPECS)
        project.adopt(label for take in self.takes.takes for label in take.labels)
        self.recorder = TakeRecorder(Recorder(self.capture, SPECS), project.data, self._recorded, countdown)
        self.live = LivePage()
        self._options = options
        self.job: CommandJob | None = None
        self.preparation: CommandJob | None = None
        self.phones: Phones | None = None
        self.failure = ""
        self.version = 0
        self.summary: dict[str, Any] = {}
        self._live_run: int | None = None
        self._lock = RLock()  # one action at a time
        self.instant: InstantHead | None = None
        self._between: BetweenTakes | None = None
        if "--encoder" in options or "--from-scratch" not in options:
            self.instant = InstantHead(project.instant, project.data, options, self._fitted)
            self.instant.start()
            recorder, folder = Recorder(self.capture, SPECS), project.folder / BETWEEN
            self._between = BetweenTakes(recorder, folder, self._is_busy, self._may_read, self._paused)
            self._between.start()
        self._changed()
        self._fit()
        for run in (*reversed(project.runs()), project.instant):  # the newest that can be used answers again
            if run.bundle is not None and self.live.session is None:
                with suppress(SensembleError):
                    self.open_live(run.number)

    def close(self) -> None:
        """Stop all work; training can be resumed."""
        self.recorder.close()
        if self._between is not None:
            self._between.close()
        if self.instant is not None:
            self.instant.close()
        if self.job is not None:
            self.job.close()
        if self.preparation is not None:
            self.preparation.close()
        self.stop_phones()
        self.close_live()
        self.capture.close()

    # Classes.

    def add_classes(self, names: str) -> None:
        """Add classes, given by names with commas between."""
        with self._changing():
            for name in names.removesuffix(",").split(","):
                self.project.add(name.strip())

    def rename_class(self, name: str, new: str) -> None:
        """Give a class and its takes another name."""
        with self._changing():
            self._check_unused()  # also without takes: its first one may be recorded now
            written = self.project.new_name(name, new)
            self.takes.rename(name, written)  # first, for a class can be known by its takes; see `adopt`
            self.project.rename(name, written)

    def remove_class(self, name: str) -> None:
        """Remove a class without takes."""
        with self._changing():
            if count := len(self.takes.of(self.project.known(name))):
                raise InputError(f"{name}: has {count} takes; delete them first")
            if self.recorder.busy:
                raise InputError("a take is being recorded; wait until it is over")
            self.project.remove(name)

    # Takes.

    def record(
        self, label: str | None, seconds: float, count: int = 1, *, background: bool, now: bool = False
    ) -> None:
        """Count down, and record a take of some seconds, or `count` in a row.

        Args:
            label: the class that is shown; None for a background, or a take without a label.
            seconds: of a take.
            count: takes in a row.
            background: whether none of the classes is shown.
            now: whether the first one begins without a countdown.
        """
        if not SHORTEST <= seconds <= LONGEST:
            raise InputError(f"a take has {SHORTEST:g} to {LONGEST:g} seconds")
        if not 1 <= count <= IN_A_ROW:
            raise InputError(f"1 to {IN_A_ROW} takes can be recorded in a row")
        if not any(sensor.newest for sensor in self.sensors.all):
            raise InputError("no sensor gives anything yet; give a camera or a microphone first")
        with self._lock:
            refuse_while(self.job)
            if len(self.takes.takes) + count > MOST:
                raise InputError(f"a project has {MOST} takes at most; delete some")
            labels, split = self._labels(label, background=background)
            title = label or (NOTHING if background else "unlabelled")
            self.failure = ""
            self.recorder.start(Wanted(title, count, split, tuple(labels), background), seconds, now=now)

    def move_take(self, number: int, label: str | None, *, background: bool) -> None:
        """Give a take to another class; the arguments are those of `record`."""
        with self._changing():
            self._check_unused()
            labels, _ = self._labels(label, background=background)
            self.takes.move(number, labels, background=background)

    def delete_take(self, number: int) -> None:
        """Delete a take."""
        with self._changing():
            self._check_unused()
            self.takes.delete(number)

    # Training and the live page.

    def train(self, number: int | None) -> None:
        """Hold out takes to judge by; train and export run `number`, or a new one, in the background."""
        with self._changing():
            self._check_unused()
            self._check_enough()
            run = None if number is None else self._run(number)
            if run is not None and run.bundle is not None:
                raise InputError(f"run {run.number} is finished; train another one")
            if not self.takes.is_divided:
                self.takes.hold_out()
            self.job = self._train(run or self.project.next_run())
            self.job.start()

    def cancel(self) -> None:
        """Stop the training; it can be resumed."""
        if self.job is not None:
            self.job.cancel()

    def open_live(self, number: int) -> None:
        """Open the live page with the bundle of a run; BundleError if that cannot be used."""
        with self._lock:
            session = self.live.session
            opened = Bundle.open(self._run(number).trained())
            if number == self._live_run and session is not None and session.replace_head(opened):
                return
            self.close_live()
            self.live.session = LiveSession(opened, self.capture, SPECS, self.project.data)
            self.live.session.start()
            self._live_run = number
            self._changed()

    def close_live(self) -> None:
        """End the live page, if there is one."""
        session, self.live.session = self.live.session, None
        self._live_run = None
        if session is not None:
            session.close()

    # What leaves the studio.

    def send_to_phones(self, number: int) -> None:
        """Serve a run's model to phones of the local network, in place of another one."""
        with self._lock:
            run = self._run(number)
            run.trained()
            if not is_for_phones(run):
                last = self.preparation
                self._prepare(run)
                if last is not None and (last.run, last.status) == (run, "failed"):
                    raise InputError(f"the model could not be made ready ({last.reason}); trying again")
                raise InputError("the model is being made ready for phones; try it again in a minute")
            self.stop_phones()
            self.phones = Phones(run, self.project.folder / "phone")
            self._changed()

    def stop_phones(self) -> None:
        """Serve no phones any more."""
        with self._lock:
            phones, self.phones = self.phones, None
            if phones is not None:
                phones.close()
                self._changed()

    def download(self, what: str, number: int) -> IO[bytes]:
        """Return a zip of a run's `model`, of a `site` of it, or of the `data`, if there is one."""
        with self._lock:
            run = self._run(number)
            if what == "site":
                found = page_files(run)
            else:
                found = folder_files(self.project.data if what == "data" else run.trained())
        return packed(found, self.project.folder)

    # From threads of the parts.

    def _recorded(self, error: str | None) -> None:
        with self._changing():
            self.failure = error or ""
            try:
                self.takes.refresh()
            except SensembleError as damage:
                self.failure = str(damage)

    def _is_busy(self) -> bool:
        """Return whether nothing is recorded between takes now: before the first one, nobody asked for it."""
        takes = self.takes.takes
        unwanted = not takes or any(take.background for take in takes)
        return unwanted or self.recorder.busy or not any(sensor.newest for sensor in self.sensors.all)

    def _may_read(self) -> bool:
        return self.instant is not None and self.instant.is_fitting

    def _paused(self) -> None:
        """Fit again with what was between the takes."""
        with self._lock:
            self._fit()

    def _fitted(self, *, written: bool) -> None:
        """Show a `written` bundle of the instant head live, unless that of a run is."""
        with self._lock:
            assert self.instant is not None  # noqa: S101 - it calls
            if self.instant.run.bundle is None:
                if self._live_run == 0:
                    self.close_live()
            elif written and not self._live_run:
                with suppress(SensembleError):  # such as a bundle that the next fit has replaced already
                    self.open_live(0)
            self._changed()

    def _trained(self) -> None:
        """Let a run that was just trained answer, and make it ready for phones."""
        with self._lock:
            if self.job is not None and self.job.status == "done":
                with suppress(SensembleError):  # the page offers it again
                    self.open_live(self.job.run.number)
                self._prepare(self.job.run)
            self._changed()

    def _changed(self) -> None:
        with self._lock:
            self.summary = _summary(self.project, self.takes, self._live_run, self.instant)
            self.summary["preparing"] = self.preparation.run.number if is_running(self.preparation) else None
            self.summary["phones"] = None if self.phones is None else self.phones.describe()
            self.version += 1
        self.sensors.viewers.wake()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the lock, then show and fit what is on the disk, also after a failure."""
        with self._lock:
            before = self.takes.takes
            try:
                yield
            except InputError:
                raise  # before a take changed
            except BaseException:
                with suppress(SensembleError):
                    self.takes.refresh()
                raise
            finally:
                with suppress(SensembleError):
                    self.project.adopt(label for take in self.takes.takes for label in take.labels)
                if self.takes.takes != before:
                    self._fit()
                self._changed()

    # With the lock held.

    def _fit(self) -> None:
        """Fit the instant head again; without takes, its bundle is withdrawn."""
        if self.instant is not None and (self.takes.takes or self.instant.run.bundle):
            self.instant.fit()

    def _train(self, run: ProjectRun) -> CommandJob:
        """Train a run; with pretrained encoders, nothing is quantized, which takes minutes."""
        schemes = []
        if self.instant is not None and self.takes.dataset is not None:
            schemes = ["--scheme", *(f"{modality}=fp32" for modality in self.takes.dataset.modalities)]
        if self.preparation is not None:  # which would compete with it
            self.preparation.cancel()
        return training(run, self.project.data, self._options, schemes, self._trained, self.capture.clock)

    def _prepare(self, run: ProjectRun) -> None:
        """Begin to make a run ready for phones; the instant model's own process does that."""
        if run.number and not is_running(self.preparation):
            self.preparation = preparation(run, self._changed, self.capture.clock)
            self.preparation.start()
            self._changed()

    def _labels(self, label: str | None, *, background: bool) -> tuple[list[str], str]:
        """Return the labels and the split of a take that shows a class, none of them, or anything."""
        if label is not None and background:
            raise InputError("a background shows none of the classes; leave out the class")
        labels = [] if label is None else [self.project.known(label)]
        return labels, "train" if labels or background else "pretrain"

    def _check_unused(self) -> None:
        refuse_while(self.job)
        if self.recorder.busy:
            raise InputError("a take is being recorded; wait until it is over")

    def _check_enough(self) -> None:
        labels = {label for take in self.takes.takes for label in take.labels}
        if len(labels) < 2:
            raise InputError("a model needs takes of two classes or more")
        if self.takes.dataset is not None and len(self.takes.dataset.modalities) < 2:
            raise InputError(ONE_SENSOR)

    def _run(self, number: int) -> ProjectRun:
        runs = (self.project.instant, *self.project.runs())
        run = next((run for run in runs if run.number == number), None)
        if run is None:
            raise InputError(f"there is no run {number}")
        return run


def _summary(project: Project, takes: Takes, live: int | None, instant: InstantHead | None) -> dict[str, Any]:
    """Return the project for JSON; `live` is the number of the run whose live page is open."""
    dataset = takes.dataset
    return {
        "classes": [
            {
                "name": name,
                "takes": len(own),
                "seconds": round(sum(take.seconds for take in own), 1),
                "right": None if instant is None else instant.right.get(name),
            }
            for name in project.classes
            for own in [takes.of(name)]
        ],
        "none": None if instant is None else instant.none,
        "between": instant is not None and not any(take.background for take in takes.takes),
        "takes": takes.describe(),
        "hardest": [] if instant is None else _hardest(instant, takes),
        "sensors": 0 if dataset is None else len(dataset.modalities),
        "runs": [_run(run) for run in reversed(project.runs()[-_RUNS:])],
        "live": live,
        "instant": None if instant is None else _instant(instant),
    }


def _hardest(instant: InstantHead, takes: Takes) -> list[dict[str, Any]]:
    """Return the takes that the instant head finds hardest, without those that were deleted since."""
    there = {f"take {take.number}": take for take in takes.takes if not take.background}
    return [
        {"number": there[name].number, "label": there[name].labels[0], "best": best, "share": round(share, 3)}
        for name, (best, share) in instant.hardest.items()
        if name in there and there[name].labels
    ]


def _instant(instant: InstantHead) -> dict[str, Any]:
    return {
        "fitting": instant.is_fitting,
        "reason": instant.reason,
        "trouble": instant.trouble,
        "mistaken": instant.mistaken,
        "lowered": instant.lowered,
        "done": instant.run.bundle is not None,
        "phone": is_for_phones(instant.run),
        "sets": [{"subset": name, **score} for name, score in instant.sets.items()],
    }


def _run(run: ProjectRun) -> dict[str, Any]:
    done = run.bundle is not None
    return {
        "number": run.number,
        "done": done,
        "phone": is_for_phones(run),
        "scores": _scores(run.folder) if done else None,
    }


def _scores(run: Path) -> dict[str, Any] | None:
    """Return the scores of the exported model on the takes held out, None until it is trained.

    `sets` has the score, its interval and chance for every set of sensors; `warnings` has a sentence for each
    sensor that may be at chance.
    """
    try:
        method, train = most_robust(run / SELECTION)
        row = read_intervals(run / MATRIX)[method][subsets.name(train)]
        warnings = list(chance_warnings(run / MATRIX, method, train))
    except (InputError, MatrixError, KeyError):
        return None
    sets = [
        {"subset": name, "accuracy": s.accuracy, "low": s.low, "high": s.high, "n": s.n, "chance": chance}
        for name, (s, chance) in row.items()
    ]
    return {"method": method, "sets": sets, "warnings": warnings}
