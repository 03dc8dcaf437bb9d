"""Record takes of named classes in turn: choose the next, count down, keep or delete."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import sleep

from sensemble_sensors.recording.header import INDEX, form_of
from sensemble_sensors.recording.takes import Take, delete_take, read_takes
from sensemble_sensors.recording.writer import Recording
from sensemble_sensors.spec import InputSpec, declared

from sensemble_apps.console.output import remark
from sensemble_apps.errors import InputError
from sensemble_apps.running.capture import Capture

COUNTDOWN = 3  # seconds before a take
_QUIT, _DELETE = "q", "d"


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


def takes_in(folder: Path) -> tuple[Take, ...]:
    """Return the takes of a folder; none before its first recording."""
    return read_takes(folder) if (folder / INDEX).exists() else ()


def plan(classes: Sequence[str], takes: int, backgrounds: int = 0, unlabelled: int = 0) -> tuple[Wanted, ...]:
    """Return what to record: takes of each class, backgrounds, and unlabelled ones."""
    return (
        *(Wanted(name, takes, labels=(name,)) for name in classes),
        Wanted("background (none of the classes)", backgrounds, background=True),
        Wanted("unlabelled (anything)", unlabelled, split="pretrain"),
    )


def upcoming(wanted: Sequence[Wanted], takes: Sequence[Take]) -> Wanted | None:
    """Return what has the fewest takes so far; None when there are enough of each.

    Classes take turns, so that what changes meanwhile, such as the light, goes with none of them.
    """
    counts = [(len(each.of(takes)), each) for each in wanted]
    lacking = [(count, each) for count, each in counts if count < each.count]
    return min(lacking, key=lambda pair: pair[0])[1] if lacking else None


@dataclass(frozen=True, slots=True)
class TakeRecorder:
    """Records takes of open sensors into a folder: `seconds` a take, `segment` seconds an example."""

    folder: Path
    specs: Mapping[str, InputSpec]
    capture: Capture
    seconds: float
    segment: float

    def record(self, wanted: Wanted, show: Callable[[float], None]) -> Take:
        """Record a take; delete it if Ctrl-C breaks it off."""
        recording = Recording(
            self.folder,
            form_of(self.specs),
            declared=declared(self.specs.values()),
            seconds=self.segment,
            split=wanted.split,
            labels=wanted.labels,
            background=wanted.background,
        )
        try:
            with recording:
                self.capture.take(recording, self.seconds, show)
        except KeyboardInterrupt:
            if recording.segments:
                delete_take(self.folder, recording.take)
            raise
        if not recording.segments:
            raise InputError(f"{self.folder}: take {recording.take} is empty: no sensor gave a sample")
        return next(take for take in takes_in(self.folder) if take.number == recording.take)


def record_all(
    recorder: TakeRecorder,
    wanted: Sequence[Wanted],
    ask: Callable[[str], str],
    show: Callable[[str], None],
) -> None:
    """Record takes until there are enough, the sensors have ended, or the user quits."""
    done: list[Take] = []  # in this sitting, and not deleted
    while not recorder.capture.over:
        takes = takes_in(recorder.folder)
        following = upcoming(wanted, takes)
        answer = ask(_question(done, following, takes))
        if answer == _DELETE and done:
            delete_take(recorder.folder, done[-1].number)
            remark(f"deleted {_titled(done.pop())}")
        elif answer == _QUIT or (following is None and not answer):
            return
        elif answer or following is None:
            remark(f"{answer}: no such key")
        else:
            done.append(_after_countdown(recorder, following, show))
            gave = " and ".join(done[-1].modalities)
            remark(f"recorded {_titled(done[-1])}: {done[-1].seconds:g} s of {gave}")
    remark("all sensors have ended")


def _question(done: Sequence[Take], following: Wanted | None, takes: Sequence[Take]) -> str:
    if following is None:
        first = "That was all. Enter ends"
    else:
        first = f"Next: {following.title}, {len(following.of(takes)) + 1} of {following.count}. Enter begins"
    keys = [first, *([f"{_DELETE} deletes {_titled(done[-1])}"] if done else []), f"{_QUIT} quits"]
    return "; ".join(keys)


def _after_countdown(recorder: TakeRecorder, wanted: Wanted, show: Callable[[str], None]) -> Take:
    for left in range(COUNTDOWN, 0, -1):
        show(f"{wanted.title} in {left}")
        sleep(1)

    def remaining(seconds: float) -> None:
        show(f"{wanted.title} {seconds:.1f} s")

    return recorder.record(wanted, remaining)


def _titled(take: Take) -> str:
    kind = "background" if take.background else "unlabelled"
    return f"take {take.number} ({', '.join(take.labels) or kind})"
