"""Train and export a run in the background: `sensemble train`, then `sensemble export`, each a process.

Both continue when they are started again: a training can be cancelled and resumed, also by a later studio.
They end with the studio, also if that is killed.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, TypeGuard

from sensemble_sensors.clock import Clock

from sensemble_apps.errors import InputError
from sensemble_apps.studio.command_process import Process
from sensemble_apps.studio.project import ProjectRun
from sensemble_apps.web.site import TARGET

_PATIENCE = 20.0  # seconds that a process may take to end
_KNOWN = 0.1  # of the work, after which the pace is known
_TRAINING = {
    "decode": 0.05,
    "embed": 0.08,
    "pretrain": 0.06,
    "specialist": 0.05,
    "subset": 0.02,
    "evaluate": 0.02,
}
_EXPORT = {"decode": 0.06, "degrade": 0.08, "lower": 0.02, "measure": 0.1}
"""The first word of a process's stages -> their share of the work of both, in order, on two cores.

What is fitted at the end says nothing meanwhile; the instant model has lowered the encoders already.
"""


class TimeLeft:
    """The seconds that some work still takes: they may stand still, and never rise."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.now()
        self._end: float | None = None  # as expected by the last share
        self._said = math.inf
        self.share = 0.0

    def note(self, share: float) -> None:
        """Note the share of the work that is done; a smaller one than before is none."""
        if share > self.share:
            self.share, now = share, self._clock.now()
            self._end = now + (now - self._began) * (1 - share) / share

    @property
    def seconds(self) -> float | None:
        """Seconds that are left; None while that is unknown."""
        if self._end is None or self.share <= _KNOWN:
            return None
        self._said = min(self._said, max(0.0, self._end - self._clock.now()))
        return self._said


class CommandJob:
    """Runs commands on a run, one after another, each in a process. Safe from any thread.

    Args:
        run: where.
        commands: the arguments of `sensemble`, and the shares of the work of their stages.
        done: called at its end, also after a failure.
        clock: tells how long it takes.

    Attributes:
        status: `running`, `done`, `cancelled` or `failed`; it is running until its processes are gone.
        reason: the failure, in a line.
    """

    def __init__(
        self,
        run: ProjectRun,
        commands: Sequence[tuple[Sequence[str], Mapping[str, float]]],
        done: Callable[[], None],
        clock: Clock,
    ) -> None:
        self.run, self.status, self.reason = run, "running", ""
        self._done, self._clock = done, clock
        self._began = clock.now()
        self._stages: list[str] = []
        self._left = TimeLeft(clock)
        self._ended: float | None = None
        self._cancelled = False
        self._stage: dict[str, Any] = {"stage": "starting", "done": 0, "total": 0}
        self._commands = [(Process([*arguments, "--json"]), shares) for arguments, shares in commands]
        self._thread = Thread(target=self._work, name="sensemble job", daemon=True)

    def start(self) -> None:
        """Start the first process; `done` may be called from now on."""
        self._thread.start()

    def snapshot(self) -> dict[str, Any]:
        """Return the progress for JSON; `left` and `share` are null while they are unknown."""
        left = self._left.seconds
        return {
            "run": self.run.number,
            "status": self.status,
            "reason": self.reason,
            **self._stage,
            "elapsed": round((self._ended or self._clock.now()) - self._began, 1),
            "share": None if left is None else self._left.share,
            "left": None if left is None else round(left, 1),
        }

    def cancel(self) -> None:
        """Stop it; finished stages stay, and the next job of the run continues after them."""
        self._cancelled = True
        for process, _ in self._commands:
            process.stop()

    def close(self) -> None:
        """Cancel it, and wait for its process to end."""
        self.cancel()
        self._thread.join(_PATIENCE)
        for process, _ in self._commands:
            process.stop(kill=True)
        self._thread.join()

    def _work(self) -> None:
        try:
            for process, parts in self._commands:
                if process.run(partial(self._note, parts)) != 0:
                    self.reason = process.reason
                    break
            else:
                self.status = "done"
        finally:
            if self.status == "running":
                self.status = "cancelled" if self._cancelled else "failed"
            self._ended = self._clock.now()
            self._done()

    def _note(self, parts: Mapping[str, float], message: dict[str, Any]) -> None:
        if message.keys() != self._stage.keys():  # the result
            return
        self._stage, stage = message, message["stage"]
        if stage not in self._stages:
            self._stages.append(stage)
        begins = 0.0 if parts is _TRAINING else sum(_TRAINING.values())
        for word, part in parts.items():
            if stage.startswith(word):
                # Nobody knows how many stages of a word there are: each takes half of what is left.
                half = 0.5 ** sum(other.startswith(word) for other in self._stages)
                through = 1 - half * (2 - message["done"] / max(1, message["total"]))
                self._left.note(begins + part * through)
            begins += part


def training(
    run: ProjectRun,
    data: Path,
    options: Sequence[str],
    schemes: Sequence[str],
    done: Callable[[], None],
    clock: Clock,
) -> CommandJob:
    """Return the job that trains on `data` and exports, with further options of the two commands."""
    train = ["train", "--data", str(data), "--out", str(run.folder), *options]
    export = ["export", str(run.folder), *schemes]
    return CommandJob(run, [(train, _TRAINING), (export, _EXPORT)], done, clock)


def preparation(run: ProjectRun, done: Callable[[], None], clock: Clock) -> CommandJob:
    """Return the job that exports a trained run for browsers too."""
    return CommandJob(run, [(["export", str(run.folder), "--target", TARGET], {})], done, clock)


def is_running(job: CommandJob | None) -> TypeGuard[CommandJob]:
    """Return whether there is a job, and a process of it."""
    return job is not None and job.status == "running"


def refuse_while(job: CommandJob | None) -> None:
    """Refuse a change of the data of a training: InputError while a job is running."""
    if is_running(job):
        raise InputError("a model is being trained on these takes; wait until it is done, or cancel it")
