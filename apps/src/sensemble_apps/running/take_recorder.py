"""Record takes: choose the next, count down, record some seconds of all sensors at once, keep or delete."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Lock, Thread

from sensemble_sensors.clock import sleep
from sensemble_sensors.errors import RecordingError
from sensemble_sensors.recording.header import INDEX
from sensemble_sensors.recording.takes import Take, delete_take, read_takes
from sensemble_sensors.recording.writer import LAG

from sensemble_apps.console.output import remark
from sensemble_apps.errors import InputError
from sensemble_apps.running.recorder import Recorder

COUNTDOWN = 3.0  # seconds before a take
SHORTEST = 1.0  # seconds of a take that is stopped
_PAUSE = 0.8  # seconds between two takes in a row: time to move
_TRIES = 3  # of a take in which no sensor gives a sample
_SHOWN = 0.1  # seconds between two looks at a take
_QUIT, _DELETE = "q", "d"


def takes_in(folder: Path) -> tuple[Take, ...]:
    """Return the takes of a folder; none before its first recording."""
    return read_takes(folder) if (folder / INDEX).exists() else ()


@dataclass(frozen=True, slots=True)
class TakeProgress:
    """The `number`th of `count` takes in a row: its phase, when that ends, and which try it is."""

    title: str
    phase: str
    until: float
    seconds: float
    number: int
    count: int
    tried: int = 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """The `count` of takes wanted of a class, of a background, or without labels."""

    title: str
    count: int
    split: str = "train"
    labels: tuple[str, ...] = ()
    background: bool = False

    def of(self, takes: Sequence[Take]) -> list[Take]:
        """Return the takes that count for it."""
        return [t for t in takes if (t.labels, t.background) == (self.labels, self.background)]


class TakeRecorder:
    """Records one take at a time, in its own thread. Safe from any thread.

    A take in which no sensor gave a sample is tried again. `done` is called after each try, with an error in
    words if it failed.

    Attributes:
        number: of the last take.
        failure: the error of the last take, in words; None if it did not fail.
        progress: the take that is being recorded; None if there is none.
    """

    def __init__(
        self,
        recorder: Recorder,
        folder: Path,
        done: Callable[[str | None], None] = lambda _: None,
        countdown: float = COUNTDOWN,
        segment: float = 1.0,
    ) -> None:
        self._recorder, self._done, self._clock = recorder, done, recorder.clock
        self._countdown, self._segment = countdown, segment
        self._lock = Lock()
        self._stop = Event()
        self._thread: Thread | None = None
        self.folder = folder
        self.number = 0
        self.failure: str | None = None
        self.progress: TakeProgress | None = None

    @property
    def busy(self) -> bool:
        """True while a take is counted down or recorded."""
        return self.progress is not None

    def start(self, wanted: Wanted, seconds: float, *, now: bool = False) -> None:
        """Begin the countdown of the takes that are wanted, in a row, each of some seconds.

        With `now`, the first one begins without a countdown. Raises InputError if another take is being
        recorded.
        """
        with self._lock:
            if self.progress is not None:
                raise InputError("a take is being recorded already")
            self._stop.clear()
            until = self._clock.now() + (0.0 if now else self._countdown)
            self.progress = TakeProgress(wanted.title, "countdown", until, seconds, 1, wanted.count)
            self._thread = Thread(target=self._work, args=(wanted,), name="sensemble take", daemon=True)
            self._thread.start()

    def left(self, progress: TakeProgress) -> float:
        """Return the seconds that are left of a phase."""
        return max(0.0, progress.until - self._clock.now())

    def pause(self) -> None:
        """Wait for a moment between two looks at a take."""
        sleep(self._clock, _SHOWN)

    def stop(self) -> None:
        """End the take that is being recorded, once it has `SHORTEST` seconds, and do not begin another."""
        self._stop.set()

    def close(self) -> None:
        """End the take, and wait until it is on the disk."""
        self.stop()
        if self._thread is not None:
            self._thread.join()

    def _work(self, wanted: Wanted) -> None:
        progress, self.failure = self.progress, None
        try:
            while progress is not None:
                try:
                    progress = self.progress = self._record(progress, wanted)
                except (InputError, RecordingError) as failure:
                    progress, self.progress, self.failure = None, None, str(failure)
                self._done(self.failure)
        finally:
            self.progress = None

    def _record(self, progress: TakeProgress, wanted: Wanted) -> TakeProgress | None:
        """Record a take after its countdown, and return the one that follows."""
        if self._clock.wait(self._stop, self.left(progress)):
            return None
        recording = self._recorder.start(
            self.folder,
            length=progress.seconds,
            segment=self._segment,
            split=wanted.split,
            labels=wanted.labels,
            background=wanted.background,
        )
        self.number, end = recording.take, recording.began + progress.seconds
        try:
            self.progress = replace(progress, phase="recording", until=end)
            if self._clock.wait(self._stop, end + LAG - self._clock.now()):
                sleep(self._clock, recording.began + SHORTEST - self._clock.now())
        finally:
            self._recorder.stop()
        following = replace(progress, phase="countdown", until=end + _PAUSE)
        if recording.segments:
            self.failure, following = None, replace(following, number=progress.number + 1, tried=1)
        else:
            self.failure = f"take {recording.take} is empty: no sensor gave a sample"
            following = replace(following, tried=progress.tried + 1)
        is_over = following.number > following.count or following.tried > _TRIES
        return None if is_over or self._stop.is_set() else following


def plan(classes: Sequence[str], takes: int, backgrounds: int = 0, unlabelled: int = 0) -> tuple[Wanted, ...]:
    """Return the takes to record: of each class, backgrounds, and unlabelled ones."""
    return (
        *(Wanted(name, takes, labels=(name,)) for name in classes),
        Wanted("background (none of the classes)", backgrounds, background=True),
        Wanted("unlabelled (anything)", unlabelled, split="pretrain"),
    )


def record_all(
    recorder: TakeRecorder,
    wanted: Sequence[Wanted],
    seconds: float,
    over: Callable[[], bool],
    ask: Callable[[str], str],
    show: Callable[[str], None],
) -> None:
    """Record takes of some seconds until there are enough, the sensors are `over`, or the user quits."""
    done: list[Take] = []  # in this sitting, and not deleted
    while not over():
        there = takes_in(recorder.folder)
        following = _upcoming(wanted, there)
        answer = ask(_question(done, following, there))
        if answer == _DELETE and done:
            delete_take(recorder.folder, done[-1].number)
            remark(f"deleted {_titled(done.pop())}")
        elif answer == _QUIT or (following is None and not answer):
            return
        elif answer or following is None:
            remark(f"{answer}: no such key")
        else:
            done.append(_record_one(recorder, following, seconds, show))
            sensors = " and ".join(done[-1].modalities)
            remark(f"recorded {_titled(done[-1])}: {done[-1].seconds:g} s of {sensors}")
    remark("all sensors have ended")


def _record_one(recorder: TakeRecorder, wanted: Wanted, seconds: float, show: Callable[[str], None]) -> Take:
    """Record a take; delete it if Ctrl-C breaks it off."""
    before = len(takes_in(recorder.folder))
    recorder.start(replace(wanted, count=1), seconds)
    try:
        while (progress := recorder.progress) is not None:
            waits = progress.phase == "countdown"
            left = recorder.left(progress)
            show(f"{wanted.title} " + (f"in {math.ceil(left)}" if waits else f"{left:.1f} s"))
            recorder.pause()
    except KeyboardInterrupt:
        recorder.close()
        if len(takes_in(recorder.folder)) > before:
            delete_take(recorder.folder, recorder.number)
        raise
    if recorder.failure is not None:
        raise RecordingError(recorder.failure)
    return next(take for take in takes_in(recorder.folder) if take.number == recorder.number)


def _upcoming(wanted: Sequence[Wanted], takes: Sequence[Take]) -> Wanted | None:
    """Return the class with the fewest takes so far, or None if each has enough.

    Classes take turns, so that a change of the light affects all of them.
    """
    counts = [(len(each.of(takes)), each) for each in wanted]
    lacking = [(count, each) for count, each in counts if count < each.count]
    return min(lacking, key=lambda pair: pair[0])[1] if lacking else None


def _question(done: Sequence[Take], following: Wanted | None, takes: Sequence[Take]) -> str:
    if following is None:
        first = "That was all. Enter ends"
    else:
        first = f"Next: {following.title}, {len(following.of(takes)) + 1} of {following.count}. Enter begins"
    keys = [first, *([f"{_DELETE} deletes {_titled(done[-1])}"] if done else []), f"{_QUIT} quits"]
    return "; ".join(keys)


def _titled(take: Take) -> str:
    kind = "background" if take.background else "unlabelled"
    return f"take {take.number} ({', '.join(take.labels) or kind})"
