"""The instant head of a project: a linear one on pretrained encoders, fitted after each change of takes."""

import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Condition, Thread
from typing import Any

from sensemble_apps.studio.command_process import Process
from sensemble_apps.studio.project import ProjectRun

FITTING = "sensemble_apps.studio.fitting"
_PATIENCE = 5.0  # seconds that the process may take to end
_STARTS = 2  # in a row, of a process that is killed before it answers
_WHO, _LATER = "The process that learns from the takes", "It starts again with the next change of the takes."


class InstantHead:
    """Runs the process that fits the instant head (`studio.fitting`). Safe from any thread.

    A process that is killed, as one is where memory is short, is started again; if it is killed before it
    answers, only once, until the takes change. `done` is called after each change; `written` says whether a
    new bundle is there.

    Attributes:
        right: class -> the takes that the newest fit gets right when left out, and all its takes.
        hardest: `take N` -> what the newest fit takes it for when left out, and the probability of its class,
            of those that are not surely right; the hardest is the first.
        none: as `right`, of takes of none of the classes; None for fewer than two.
        mistaken: of the windows of each class, left out in turn, those taken for another class, and all; None
            for fewer than three classes.
        sets: the scores of the newest bundle on takes left out, by set of sensors.
        reason: why these takes have no head, in a line; empty if they have one.
        trouble: how the process ended and what follows, in sentences; empty while it works.
        lowered: the share of the encoders that are lowered; None while it is unknown.
    """

    def __init__(
        self, run: ProjectRun, data: Path, options: Sequence[str], done: Callable[..., None]
    ) -> None:
        self.run, self.reason, self.trouble = run, "", ""
        self.right: dict[str, tuple[int, int]] = {}
        self.hardest: dict[str, tuple[str, float]] = {}
        self.none: tuple[int, int] | None = None
        self.mistaken: tuple[int, int] | None = None
        self.sets: dict[str, dict[str, float]] = {}
        self.lowered: float | None = None
        self._done = done
        self._arguments = [str(data), str(run.folder), *options]
        self._changed = Condition()
        self._closed = False
        self._asked = self._answered = 0  # of the process that runs
        self._process = Process(self._arguments, FITTING)
        self._thread = Thread(target=self._work, name="sensemble instant", daemon=True)

    def start(self) -> None:
        """Start the process; `done` may be called from now on."""
        self._thread.start()

    @property
    def is_fitting(self) -> bool:
        """True while the newest takes have no head."""
        return self._answered < self._asked

    def fit(self) -> None:
        """Fit it to the present takes."""
        with self._changed:
            self._asked += 1
            self._process.send("fit")
            self._changed.notify()

    def close(self) -> None:
        """End the process, and wait for it; kill it if it takes long, as one that is stopped does."""
        with self._changed:
            self._closed = True
            self._process.stop()
            self._changed.notify()
        self._thread.join(_PATIENCE)
        self._process.stop(kill=True)
        self._thread.join()

    def _work(self) -> None:
        left = _STARTS
        while True:
            status = self._process.run(self._note)
            left = (_STARTS if self._answered else left) - 1
            again = status < 0 and left > 0
            with self._changed:
                if self._closed:
                    return
                self.trouble = _trouble(status, self._process.reason, again=again)
                if not again:
                    self._answered = self._asked
            self._done(written=False)
            with self._changed:
                if not again:
                    self._changed.wait_for(lambda: self._closed or self.is_fitting)
                    left = _STARTS
                if self._closed:
                    return
                self._asked, self._answered = int(self.is_fitting), 0
                self._process = Process(self._arguments, FITTING)
                if self.is_fitting:
                    self._process.send("fit")

    def _note(self, message: dict[str, Any]) -> None:
        if message.get("stage") == "lower":
            self.lowered = message["done"] / message["total"]
        self._answered = message.get("answered", self._answered)
        self.right, self.none = message.get("right", self.right), message.get("none", self.none)
        self.hardest = message.get("hardest", self.hardest)
        self.mistaken, self.sets = message.get("mistaken", self.mistaken), message.get("sets", self.sets)
        if "answered" in message or not self.is_fitting:
            self.trouble = ""
        if is_news := bool({"right", "bundle", "reason"} & message.keys()):
            self.reason = message.get("reason", "").removeprefix(f"{self._arguments[0]}: ")
        if is_news or message["stage"] == "lower":
            self._done(written="bundle" in message)


def _trouble(status: int, reason: str, *, again: bool) -> str:
    """Return how a process ended and what follows, in sentences."""
    if status >= 0:
        return f"{_WHO} ended: {reason or 'it said nothing'}. {_LATER}"
    killed = f"{_WHO} was killed ({signal.Signals(-status).name}), perhaps for want of memory."
    return f"{killed} It starts again." if again else f"{killed} Close other programs. {_LATER}"
