"""The instant head of a project, fitted anew in the background whenever its takes have changed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from sensemble_apps.studio.process import Process
from sensemble_apps.studio.project import Run


class Instant:
    """Fits the instant head by `sensemble train --instant`, one process at a time. Safe from any thread.

    Args:
        run: where its bundle is.
        data: the dataset.
        options: further ones of `sensemble train`.
        done: called after each fit.

    Attributes:
        run: where.
        is_fitting: True while a fit runs.
        sets: how right the newest head is about takes left out, by set of sensors; None before there is one.
        reason: why the newest fit failed, in a line; empty if it did not.
    """

    def __init__(self, run: Run, data: Path, options: Sequence[str], done: Callable[[], None]) -> None:
        self.run, self.is_fitting, self.reason = run, False, ""
        self.sets: dict[str, dict[str, float]] | None = None
        self._arguments = ["train", "--instant", "--data", str(data), "--out", str(run.folder), "--json"]
        self._arguments += options
        self._done = done
        self._lock = Lock()
        self._process: Process | None = None
        self._again = self._closed = False
        self._thread: Thread | None = None

    def fit(self) -> None:
        """Fit it to the takes as they are now; after the fit that runs, if one does."""
        with self._lock:
            self._again = True
            if not self.is_fitting and not self._closed:
                self.is_fitting = True
                self._thread = Thread(target=self._work, name="sensemble instant", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the fit that runs, and wait for it."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.stop()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        again = True
        while again:
            with self._lock:
                self._again = False
                self._process = process = Process(self._arguments)
                if self._closed:
                    process.stop()
            said: list[dict[str, Any]] = []
            try:
                failed = process.run(said.append) != 0
                self.reason = process.reason if failed else ""
            except OSError as error:
                failed, self.reason = True, f"a process cannot be started ({error.strerror})"
            if not failed:
                self.sets = said[-1]["left_out"]
            with self._lock:
                again = self.is_fitting = self._again and not self._closed
            self._done()
