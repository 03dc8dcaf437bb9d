"""The instant head of a project: a linear one on pretrained encoders, fitted after each change of takes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from sensemble_apps.studio.process import Process
from sensemble_apps.studio.project import Run


class Instant:
    """Runs the process that fits the instant head (`studio.fitting`). Safe from any thread.

    `done` is called after each change; `written` says whether a new bundle is there.

    Attributes:
        right: class -> the takes that the newest fit gets right when left out, and all its takes.
        sets: the scores of the newest bundle on takes left out, by set of sensors.
        reason: why these takes have no head, in a line; empty if they have one.
        lowered: the share of the encoders that are lowered; None while it is unknown.
    """

    def __init__(self, run: Run, data: Path, options: Sequence[str], done: Callable[..., None]) -> None:
        self.run, self.reason = run, ""
        self.right: dict[str, tuple[int, int]] = {}
        self.sets: dict[str, dict[str, float]] = {}
        self.lowered: float | None = None
        self._done = done
        self._lock = Lock()
        self._asked = self._answered = 0
        self._process = Process([str(data), str(run.folder), *options], "sensemble_apps.studio.fitting")
        self._thread = Thread(target=self._work, name="sensemble instant", daemon=True)
        self._thread.start()

    @property
    def is_fitting(self) -> bool:
        """True while the newest takes have no head."""
        return self._answered < self._asked

    def fit(self) -> None:
        """Fit it to the present takes."""
        with self._lock:
            self._asked += 1
        self._process.send("fit")

    def close(self) -> None:
        """End the process, and wait for it."""
        self._process.stop()
        self._thread.join()

    def _work(self) -> None:
        if self._process.run(self._note) != 0:
            self.reason = self._process.reason or self.reason
        self._answered = self._asked
        self._done(written=False)

    def _note(self, said: dict[str, Any]) -> None:
        if said.get("stage") == "lower":
            self.lowered = said["done"] / said["total"]
        self._answered = said.get("answered", self._answered)
        self.right = said.get("right", self.right)
        self.sets = said.get("sets", self.sets)
        if is_news := bool({"right", "bundle", "reason"} & said.keys()):
            self.reason = said.get("reason", "")
        if is_news or said["stage"] == "lower":
            self._done(written="bundle" in said)
