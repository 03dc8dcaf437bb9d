"""A command of Sensemble in its own process; its lines of JSON are followed.

`python -m sensemble_apps.studio.command_process COMMAND ...` runs a command, and stops it when its standard
input ends.
"""

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from runpy import run_module
from threading import Lock, Thread
from typing import IO, Any

_NICE = 5  # it gives way to sensors and the page
_LINES = 20  # kept of its errors


class Process:
    """A command that `run` runs once. Safe from any thread.

    Args:
        arguments: of `sensemble`, or of another module.
        module: to run; it ends when its standard input does.

    Attributes:
        reason: the last line of its errors, once it is over.
    """

    def __init__(
        self, arguments: Sequence[str], module: str = "sensemble_apps.studio.command_process"
    ) -> None:
        self.reason = ""
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._unsent: list[str] = []  # lines for its standard input
        self._lock = Lock()
        self._stopped = False
        self._process: subprocess.Popen[str] | None = None

    def run(self, note: Callable[[dict[str, Any]], None]) -> int:
        """Run it to its end, and return its exit status; 1 if it was stopped before, or cannot be started.

        The status is negative if a signal killed it. `note` is called with each object of JSON printed.
        """
        with self._lock:
            if self._stopped:
                return 1
            try:
                process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    errors="replace",
                    start_new_session=True,  # Ctrl-C of the terminal is the studio's
                    env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},  # finds what the studio finds
                )
            except OSError as error:
                self.reason = f"a process cannot be started ({error.strerror})"
                return 1
            self._process = process
            self._send()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + _NICE)
        assert process.stdout is not None  # noqa: S101 - both are pipes
        assert process.stderr is not None  # noqa: S101
        errors: deque[str] = deque(maxlen=_LINES)
        listener = Thread(target=_collect, args=(process.stderr, errors), daemon=True)
        listener.start()
        with suppress(BrokenPipeError), process:  # of lines that it did not read
            for line in process.stdout:
                with suppress(ValueError):
                    if isinstance(message := json.loads(line), dict):
                        note(message)
            listener.join()
        self.reason = errors[-1].removeprefix("sensemble: ") if errors else ""
        return process.returncode

    def send(self, line: str) -> None:
        """Write a line to its standard input, once it runs."""
        with self._lock:
            self._unsent.append(line)
            self._send()

    def _send(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError, ValueError):  # it is over, and its standard input closed
                self._process.stdin.writelines(f"{line}\n" for line in self._unsent)
                self._process.stdin.flush()
            self._unsent.clear()

    def stop(self, *, kill: bool = False) -> None:
        """Stop it as Ctrl-C does, or kill it; it cannot be started afterwards.

        By SIGTERM: a studio that a script starts in the background ignores SIGINT, and so does its process.
        """
        with self._lock:
            self._stopped = True
            if self._process is not None and self._process.poll() is None:
                self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)


def _collect(lines: IO[str], errors: deque[str]) -> None:
    errors.extend(line.strip() for line in lines if line.strip())


def _stop_at_the_end() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    Thread(target=_stop_at_the_end, daemon=True).start()
    run_module("sensemble_apps", run_name="__main__")
