"""The instant head of a project, fitted anew in the background whenever its takes have changed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from sensemble_apps.studio.process import Process
from sensemble_apps.studio.project import Run


class Instant:
    """Has the instant head fitted by a process that lives as long (`studio.fitting`). Safe from any thread.

    Args:
        run: where its bundle is.
        data: the dataset.
        options: further ones of `sensemble train`.
        done: called with `written` when there is something new: a bundle, if that is true.

    Attributes:
        run: where.
        right: class -> its takes that the newest fit is right about, left out, and all of its takes.
        sets: how right the newest bundle is about takes left out, by set of sensors.
        reason: why there is no head of these takes, in a line; empty if there is one.
        lowered: the share of the encoders that are lowered; None while nobody knows.
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
        """True while takes are there that no head was fitted to."""
        return self._answered < self._asked

    def fit(self) -> None:
        """Have it fitted to the takes as they are now."""
        with self._lock:
            self._asked += 1
        self._process.send("fit")

    def close(self) -> None:
        """End the process, and wait for it."""
        self._process.stop()
        self._thread.join()

    def _work(self) -> None:
        try:
            if self._process.run(self._note) != 0:
                self.reason = self._process.reason or self.reason
        except OSError as error:
            self.reason = f"a process cannot be started ({error.strerror})"
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
