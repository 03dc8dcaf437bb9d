"""Trains and exports a run in the background: `sensemble train`, then `sensemble export`, each a process.

Both go on where they stopped when they are started again: a training can be cancelled and resumed, and so can
that of a studio that was closed. The processes of a studio that was killed run on, and hold the run's lock.
"""

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import IO, Any

from sensemble_sensors import durable

from sensemble_apps.console.output import remark
from sensemble_apps.errors import InputError
from sensemble_apps.studio.process import Process
from sensemble_apps.studio.project import Run
from sensemble_apps.studio.results import curves

_LOOK = 1.0  # seconds between two looks at the curves
_PATIENCE = 20.0  # seconds that a process may take to end


def is_left_behind(run: Run) -> bool:
    """Return whether processes of a studio that was killed still train a run."""
    try:
        durable.lock(_lock(run)).close()
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _lock(run: Run) -> Path:
    return run.folder.with_suffix(".lock")


class Job:
    """A training and export of one run, after what an earlier studio left behind. Safe from any thread.

    Args:
        run: where.
        data: the dataset.
        options: further ones of `sensemble train`.
        expected: seconds that training takes, as they were estimated; 0 if nobody knows.
        done: called when it is over, in whatever way.

    Attributes:
        run: where.
        status: `running`, `done`, `cancelled` or `failed`; it is running until its processes are gone.
        reason: why it failed, in a line.
        curves: of the run, replaced every second; see `results.curves`.
    """

    def __init__(
        self, run: Run, data: Path, options: Sequence[str], expected: float, done: Callable[[], None]
    ) -> None:
        self.run, self.status, self.reason = run, "running", ""
        self.curves: list[dict[str, Any]] = []
        self._expected, self._done = expected, done
        self._began = self._stage_began = self._looked = monotonic()
        self._ended: float | None = None
        self._ending: signal.Signals | None = None  # sent to what an earlier studio left behind
        self._stage: dict[str, Any] = {"stage": "starting", "done": 0, "total": 0}
        self._processes = (
            Process(["train", "--data", str(data), "--out", str(run.folder), "--json", *options]),
            Process(["export", str(run.folder), "--json"]),
        )
        self._thread = Thread(target=self._work, name="sensemble training", daemon=True)
        self._thread.start()

    def snapshot(self) -> dict[str, Any]:
        """Return how far it is, as JSON holds it; `left` is null where nobody knows."""
        elapsed = (self._ended or monotonic()) - self._began
        left = self._left(elapsed)
        return {
            "run": self.run.number,
            "status": self.status,
            "reason": self.reason,
            **self._stage,
            "elapsed": round(elapsed, 1),
            "left": None if left is None else round(left, 1),
        }

    def cancel(self) -> None:
        """End it; what is finished stays, and the next job of the run goes on from there."""
        self._ending = signal.SIGTERM
        for process in self._processes:
            process.stop()

    def close(self) -> None:
        """Cancel it, and wait until its process is gone."""
        self.cancel()
        self._thread.join(_PATIENCE)
        self._ending = signal.SIGKILL
        for process in self._processes:
            process.stop(kill=True)
        self._thread.join()

    def _left(self, elapsed: float) -> float | None:
        """Return the seconds that are left: of what was estimated, or of this stage if it is slower."""
        if self.status != "running":
            return 0.0
        if not self._expected:
            return None
        done, total = self._stage["done"], self._stage["total"]
        of_stage = (monotonic() - self._stage_began) * (total - done) / done if done else 0.0
        return max(self._expected - elapsed, of_stage)

    def _work(self) -> None:
        try:
            with self._alone() as held:
                for process in self._processes:
                    if process.run(self._note, held) != 0:
                        self.reason = process.reason
                        break
                else:
                    self.status = "done"
        except OSError as error:
            self.reason = f"a process cannot be started ({error.strerror})"
        finally:
            if self.status == "running":
                self.status = "failed" if self._ending is None else "cancelled"
            self._ended = monotonic()
            self._done()

    def _alone(self) -> IO[bytes]:
        """Return the lock of the run, once what an earlier studio left behind is over.

        Raises:
            OSError: it cannot be made.
        """
        path = _lock(self.run)
        durable.create_folder(path.parent)
        durable.create(path)
        while True:
            try:
                return durable.lock(path)
            except BlockingIOError:
                self._stage = {
                    **self._stage,
                    "stage": "waiting for a training that an earlier studio left behind",
                }
            if self._ending is not None:
                with suppress(OSError, ValueError):  # it is over meanwhile
                    os.killpg(int(path.read_bytes()), self._ending)
            self.curves = curves(self.run.folder)
            sleep(_LOOK)

    def _note(self, said: dict[str, Any]) -> None:
        """Note a line of progress; the result is another."""
        if said.keys() != self._stage.keys():
            return
        if said["stage"] != self._stage["stage"]:
            self._stage_began = monotonic()
        self._stage = said
        if monotonic() - self._looked > _LOOK:
            self._looked = monotonic()
            self.curves = curves(self.run.folder)


class Estimate:
    """An estimate of how long a training will take, by `sensemble train --estimate`. Safe from any thread.

    Args:
        data: the dataset.
        options: further ones of `sensemble train`.
        done: called when there is one.

    Attributes:
        seconds: of all stages; None until they are known, or if they cannot be.
        running: until it is over.
    """

    def __init__(self, data: Path, options: Sequence[str], done: Callable[[], None]) -> None:
        self.seconds: float | None = None
        self.running = True
        self._done = done
        self._process = Process(["train", "--data", str(data), "--estimate", "--json", *options])
        Thread(target=self._work, name="sensemble estimate", daemon=True).start()

    def stop(self) -> None:
        """End it, for its data has changed; it leaves nothing behind."""
        self._process.stop()

    def _work(self) -> None:
        found: list[dict[str, Any]] = []
        try:
            if self._process.run(found.append) == 0:
                self.seconds = float(found[-1]["seconds"])
        except OSError as error:
            remark(f"sensemble: no estimate: a process cannot be started ({error.strerror})")
        finally:
            self.running = False
            self._done()


def refuse_while(job: Job | None) -> None:
    """Refuse what would change the data of a training.

    Raises:
        InputError: a job is running.
    """
    if job is not None and job.status == "running":
        raise InputError("a model is being trained on these takes; wait until it is done, or cancel it")
