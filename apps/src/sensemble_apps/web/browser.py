"""A browser of this machine that encodes windows with a bundle's artifacts, as the static page does."""

import os
import shlex
import signal
import subprocess
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from threading import Lock, Thread
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sensemble_apps.errors import InputError, StepError

_STARTS = 120.0  # seconds that a browser may take until its first embedding
_ANSWERS = 60.0  # seconds that it may take for a window

Floats = NDArray[np.float32]


class Browser:
    """A headless browser while the block runs.

    Args:
        program: its command: Chromium, Firefox, or another one that opens an address.
        site: as `write_site` wrote it, with the bundle.
    """

    def __init__(self, program: str, site: Path) -> None:
        self._program, self._started = program, False
        self._encoding = Lock()  # one window at a time: an answer says not whose it is
        self._windows: SimpleQueue[tuple[str, bytes] | None] = SimpleQueue()
        self._answers: SimpleQueue[Floats | str] = SimpleQueue()
        handler = partial(_Handler, self._windows, self._answers, directory=str(site))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._profile = TemporaryDirectory(ignore_cleanup_errors=True)

    def __enter__(self) -> Self:
        address = f"http://localhost:{self._server.server_port}/encode.html"
        command = [*shlex.split(self._program), *_options(self._program, self._profile.name), address]
        Thread(target=self._server.serve_forever, daemon=True).start()
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,  # `xvfb-run` leaves its browser behind
            )
        except OSError as error:
            self._server.shutdown()
            raise InputError(
                f"--browser {self._program}: cannot be started ({error.strerror}); name a browser"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._windows.put(None)
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait()
        self._server.shutdown()
        self._server.server_close()
        self._profile.cleanup()

    def encode(self, modality: str, window: NDArray[Any]) -> tuple[Floats, float]:
        """Return the embedding of a window [1, ...], float32 [d], and its milliseconds; else StepError.

        Safe to call from several threads.
        """
        with self._encoding:
            self._windows.put((modality, np.ascontiguousarray(window).tobytes()))
            try:
                answer = self._answers.get(timeout=_ANSWERS if self._started else _STARTS)
            except Empty:
                answer = "it did not answer; does it open pages, and has it WebAssembly?"
            if isinstance(answer, str):
                raise StepError(f"{self._program}: {answer}")
            self._started = True
        return answer[1:], float(answer[0])


def _options(program: str, profile: str) -> list[str]:
    if "firefox" in program:
        return ["--headless", "--no-remote", "--profile", profile]
    if "chrom" in program or "edge" in program:
        sandbox = ["--no-sandbox"] if os.getuid() == 0 else []
        return ["--headless", "--disable-gpu", "--no-first-run", *sandbox, f"--user-data-dir={profile}"]
    return []


class _Handler(SimpleHTTPRequestHandler):
    def __init__(
        self,
        windows: "SimpleQueue[tuple[str, bytes] | None]",
        answers: "SimpleQueue[Floats | str]",
        *given: Any,  # noqa: ANN401 - as its base
        directory: str,
    ) -> None:
        self._windows, self._answers = windows, answers
        super().__init__(*given, directory=directory)

    def do_POST(self) -> None:
        """Give the next window, or take an embedding."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/problem":
            self._answers.put(body.decode(errors="replace"))
        if self.path == "/embedding":
            self._answers.put(np.frombuffer(body, "<f4"))
        asked = self._windows.get() if self.path == "/windows" else None
        modality, window = asked or ("", b"")
        self.send_response(200 if asked else 204)
        self.send_header("modality", modality)
        self.send_header("Content-Length", str(len(window)))
        self.end_headers()
        self.wfile.write(window)

    def log_message(self, *_: Any) -> None:  # noqa: ANN401 - as its base
        """Say nothing."""
