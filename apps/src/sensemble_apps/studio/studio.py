"""The studio itself: its parts, and what a page may do to them."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from threading import RLock
from typing import Any

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.errors import SensembleError
from sensemble_sensors.spec import InputSpec

from sensemble_apps.console.output import remark
from sensemble_apps.errors import InputError
from sensemble_apps.running.sources import FORM
from sensemble_apps.running.takes import COUNTDOWN
from sensemble_apps.studio.bench import Bench
from sensemble_apps.studio.instant import Instant
from sensemble_apps.studio.live import LivePage, LiveSession
from sensemble_apps.studio.project import Project, Run
from sensemble_apps.studio.recorder import Recorder
from sensemble_apps.studio.summary import NOTHING, ONE_SENSOR, describe
from sensemble_apps.studio.takes import MOST, Takes
from sensemble_apps.studio.training import Estimate, Job, is_left_behind, refuse_while
from sensemble_apps.web.previews import Previews

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
        project: its classes and runs.
        bench: the sensors.
        previews: what they gave last.
        takes: of the project.
        recorder: records takes.
        live: the live page.
        instant: fits the instant head; None where there is none.
        job: the last training; None before there is one.
        estimate: of the time of the next one; None while there is none for these takes.
        failure: why the last take failed; empty if it did not.
        summary: of the project, as JSON holds it; replaced with each change.
        version: grows with each change of `summary`.
        viewers: how many look.

    Raises:
        BadDataError: the recording is damaged.
        InputError: a label of its takes is no name of a class.
    """

    def __init__(self, project: Project, countdown: float = COUNTDOWN, options: Sequence[str] = ()) -> None:
        self.project = project
        self.bench = Bench(SPECS)
        self.previews = Previews(self.bench.switchboard)
        self.takes = Takes(project.data, SPECS)
        project.adopt(label for take in self.takes.takes for label in take.labels)
        self.recorder = Recorder(self.bench.switchboard, project.data, self._recorded, countdown)
        self.live = LivePage()
        self._options = options
        self.instant: Instant | None = None
        if "--encoder" in options or "--from-scratch" not in options:
            self.instant = Instant(project.instant, project.data, options, self._fitted)
        self.job: Job | None = None
        self.estimate: Estimate | None = None
        self.failure = ""
        self.version = 0
        self.viewers = 0
        self.summary: dict[str, Any] = {}
        self._live_run: int | None = None
        self._lock = RLock()  # one action at a time
        for run in filter(is_left_behind, project.runs()):
            remark(f"sensemble: run {run.number} is still being trained: an earlier studio left it behind")
            self.job = Job(run, project.data, options, 0.0, self._over)
        self._changed()
        self._fit()

    def close(self) -> None:
        """End what is going on; all of it can be taken up again."""
        self.recorder.close()
        with self._lock:
            self._drop_estimate()
        if self.instant is not None:
            self.instant.close()
        if self.job is not None:
            self.job.close()
        self.close_live()
        self.bench.close()

    # Classes.

    def add_class(self, name: str) -> None:
        """Add a class; see `Project.add`."""
        with self._lock:
            self.project.add(name)
            self._changed()

    def rename_class(self, name: str, new: str) -> None:
        """Give a class and its takes another name.

        Raises:
            InputError: there is no such class, the name is none, or the takes are in use.
            RecordingError: the takes cannot be written.
        """
        with self._lock:
            self._check_unused()  # also without takes: its first one may be recorded now
            written = self.project.new_name(name, new)
            self.takes.rename(name, written)  # first, for a class can be known by its takes; see `adopt`
            self.project.rename(name, written)
            self._fit()
            self._changed()

    def remove_class(self, name: str) -> None:
        """Remove a class without takes.

        Raises:
            InputError: there is no such class, or it has takes.
        """
        with self._lock:
            if count := len(self.takes.of(self.project.known(name))):
                raise InputError(f"{name}: has {count} takes; delete them first")
            if self.recorder.busy:
                raise InputError("a take is being recorded; wait until it is over")
            self.project.remove(name)
            self._changed()

    # Takes.

    def record(self, label: str | None, seconds: float, *, background: bool) -> None:
        """Count down, and record a take.

        Args:
            label: the class that is shown; None for a background, or a take without a label.
            seconds: of the take.
            background: whether none of the classes is shown.

        Raises:
            InputError: there is no such class, or too many takes; or as `Recorder.start`.
        """
        with self._lock:
            refuse_while(self.job)
            if len(self.takes.takes) >= MOST:
                raise InputError(f"a project has {MOST} takes at most; delete some")
            if label is not None and background:
                raise InputError("a background shows none of the classes; leave out the class")
            labels = [] if label is None else [self.project.known(label)]
            title = label or (NOTHING if background else "unlabelled")
            split = "train" if labels or background else "pretrain"
            self.failure = ""
            self.recorder.start(title, seconds, split=split, labels=labels, background=background)

    def delete_take(self, number: int) -> None:
        """Delete a take.

        Raises:
            InputError: takes are in use.
            RecordingError: there is no such take, or it cannot be deleted.
        """
        with self._lock:
            self._check_unused()
            self._drop_estimate()
            self.takes.delete(number)
            self._fit()
            self._changed()

    def hold_out(self) -> None:
        """Hold out the takes that are proposed.

        Raises:
            InputError: there are too few takes, or takes are in use.
            RecordingError: the recording cannot be written.
        """
        with self._lock:
            self._check_unused()
            self.takes.hold_out()
            self._changed()
            with suppress(InputError):  # of takes that no model can be trained on, there is none
                self.estimate_time()

    # Training and the live page.

    def estimate_time(self) -> None:
        """Estimate in the background how long a training on the takes will take.

        Raises:
            InputError: takes are missing, or in use.
        """
        with self._lock:
            self._check_unused()
            self._check_enough()
            self._drop_estimate()
            self.estimate = Estimate(self.project.data, self._options, self._over)
            self._changed()

    def train(self, number: int | None) -> None:
        """Train and export in the background; the live page ends for that.

        Args:
            number: of the run to go on with; None for another run.

        Raises:
            InputError: there is no such run, it is finished, a model is being trained, or takes are missing.
        """
        with self._lock:
            self._check_unused()
            self._check_enough()
            run = self.project.next_run() if number is None else self._run(number)
            if run.bundle is not None:
                raise InputError(f"run {run.number} is finished; train another one")
            self.close_live()
            expected = (self.estimate.seconds if self.estimate is not None else None) or 0.0
            if self.estimate is not None and self.estimate.running:
                self._drop_estimate()
            self.job = Job(run, self.project.data, self._options, expected, self._over)
            self._changed()

    def cancel(self) -> None:
        """End the training; it can be taken up again."""
        if self.job is not None:
            self.job.cancel()

    def open_live(self, number: int) -> None:
        """Open the live page with the bundle of a run.

        Raises:
            InputError: there is no such run, or it has no bundle.
            BundleError: the bundle cannot be used.
        """
        with self._lock:
            refuse_while(self.job)
            bundle = self._run(number).bundle
            if bundle is None:
                raise InputError(f"run {number} has no bundle yet; train it to its end")
            if number == self._live_run:
                return
            opened = Bundle.open(bundle)
            self.close_live()
            self.live.session = LiveSession(opened, self.bench, self.project.folder / "recordings")
            self.bench.listener = self.live.session.take
            self._live_run = number
            self._changed()

    def close_live(self) -> None:
        """End the live page, if there is one."""
        session, self.live.session = self.live.session, None
        self.bench.listener, self._live_run = None, None
        if session is not None:
            session.close()

    # From threads of the parts.

    def _recorded(self, error: str | None) -> None:
        with self._lock:
            self._drop_estimate()
            try:
                self.takes.refresh()
                self.failure = error or ""
                self._fit()
            except SensembleError as damage:
                self.failure = str(damage)
            self._changed()

    def _fitted(self) -> None:
        """Let the live page of the instant head, if it is open, go on with the newest one."""
        with self._lock:
            if self._live_run == 0 and self.instant is not None and not self.instant.reason:
                self._live_run = None
                with suppress(SensembleError):  # such as a bundle that the next fit has replaced already
                    self.open_live(0)
            self._changed()

    def _over(self) -> None:
        """Note that a training or an estimate is over."""
        with self._lock:
            self._changed()

    # With the lock held.

    def _changed(self) -> None:
        self.summary = describe(self.project, self.takes, self.estimate, self._live_run, self.instant)
        self.version += 1

    def _fit(self) -> None:
        """Fit the instant head anew, if two classes have two takes that are not held out."""
        learned = [take for take in self.takes.takes if take.split != "eval"]
        counts = Counter(label for take in learned for label in take.labels)
        if self.instant is not None and sum(count > 1 for count in counts.values()) > 1:
            self.instant.fit()

    def _drop_estimate(self) -> None:
        if self.estimate is not None:
            self.estimate.stop()
            self.estimate = None

    def _check_unused(self) -> None:
        refuse_while(self.job)
        if self.recorder.busy:
            raise InputError("a take is being recorded; wait until it is over")

    def _check_enough(self) -> None:
        labels = {label for take in self.takes.takes for label in take.labels}
        if len(labels) < 2:
            raise InputError("a model needs takes of two classes or more")
        if not self.takes.is_divided:
            raise InputError("hold out the takes that are proposed first: a model is judged by them")
        if self.takes.dataset is not None and len(self.takes.dataset.modalities) < 2:
            raise InputError(ONE_SENSOR)

    def _run(self, number: int) -> Run:
        runs = (self.project.instant, *self.project.runs())
        run = next((run for run in runs if run.number == number), None)
        if run is None:
            raise InputError(f"there is no run {number}")
        return run
