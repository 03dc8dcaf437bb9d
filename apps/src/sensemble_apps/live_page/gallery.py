"""The gallery: the bundles at hand, each with an example to play, and what takes how long to build."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from threading import Lock

from sensemble_runtime import subsets
from sensemble_runtime.bundle.manifest import FILE_NAME, Manifest
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_sensors.errors import SensembleError
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from sensemble_apps.console.kinds import words_of
from sensemble_apps.console.output import remark
from sensemble_apps.console.wording import class_words, percent, words
from sensemble_apps.live_page.api import STATIC
from sensemble_apps.tables.run_folder import data_of
from sensemble_apps.web.handlers import files

_PLACES = ("bundle", "*/bundle", "*/instant/bundle", "runs/*/bundle", "*/runs/*/bundle")
"""The places of the bundles of runs and of the studio's projects."""
_NAMED = 12  # classes


def at_hand(folder: Path) -> Iterator[tuple[Path, Manifest]]:
    """Yield the bundles in the usual places below a folder, the newest first, each with its manifest."""
    found = {path for place in _PLACES for path in folder.glob(f"{place}/{FILE_NAME}")}
    for path in sorted(found, key=lambda path: -path.stat().st_mtime):
        try:
            yield path.parent, read_manifest(path)
        except SensembleError as error:
            remark(f"sensemble: {error}")


class Gallery:
    """Offers the bundles below a folder; the one that was opened last is served by its own process.

    Attributes:
        routes: of its page.
    """

    def __init__(self, folder: Path, host: str) -> None:
        self._folder, self._host = folder, host
        self._lock = Lock()
        self._process: subprocess.Popen[str] | None = None
        self.routes: Sequence[BaseRoute] = (
            Route("/", self._page),
            Route("/open/{how}/{bundle:path}", self._open),
            Mount("/", files(STATIC)),
        )

    def close(self) -> None:
        """End the process of the bundle that is open."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def _page(self, _: Request) -> Response:
        built = "".join(
            _article(path.relative_to(self._folder), m, path) for path, m in at_hand(self._folder)
        )
        nothing = f"<p>No bundle is below {escape(str(self._folder.resolve()))} yet.</p>"
        page = (STATIC / "gallery.html").read_text("utf-8")
        return HTMLResponse(page.replace("<!-- bundles -->", built or nothing))

    async def _open(self, request: Request) -> Response:
        known = {str(path.relative_to(self._folder)): path for path, _ in at_hand(self._folder)}
        path = known.get(request.path_params["bundle"])
        if path is None:
            return PlainTextResponse("there is no such bundle", 404)
        address = await asyncio.to_thread(self._serve, path, demo=request.path_params["how"] == "demo")
        if address is None:
            return PlainTextResponse(f"{path}: could not be opened; the terminal says why", 500)
        return RedirectResponse(address, 303)

    def _serve(self, path: Path, *, demo: bool) -> str | None:
        """Serve a bundle in place of the last one; return its address, None if it cannot be opened."""
        command = [sys.executable, "-P", "-m", "sensemble_apps", "serve", str(path), "--host", self._host]
        with self._lock:
            self.close()
            self._process = subprocess.Popen(
                [*command, "--port", "0", *["--demo"] * demo], stdout=subprocess.PIPE, text=True
            )
            assert self._process.stdout is not None  # noqa: S101 - a pipe
            found = re.search(r"https?://\S+", self._process.stdout.readline())
        return found[0] if found else None


def _article(name: Path, manifest: Manifest, path: Path) -> str:
    """Return the article of a bundle: its classes, its sensors, what it is right about, and its links."""
    classes = class_words(manifest.labels, _NAMED)
    sensors = words(words_of(m).sensor for m in manifest.modalities)
    score = manifest.audited.get(subsets.name(sorted(manifest.modalities)))
    right = "not audited yet"
    if score is not None:
        accuracy, low, high = (percent(one, 0) for one in (score.accuracy, score.low, score.high))
        right = f"right {accuracy} % of the time ({low} to {high} % by {score.n} examples)"
    data = data_of(path)
    links = [("live", "Use my own sensors")]
    if data is not None and data.is_dir():
        links.insert(0, ("demo", "Play an example"))
    shown = "".join(
        f'<a class="button" href="open/{how}/{escape(str(name))}">{text}</a>' for how, text in links
    )
    title = escape(str(name.parent if name.parent.name else name.absolute().parent.name))
    return (
        f"<section><h2>{title}</h2><p>{escape(classes)}</p>"
        f'<p class="hint">With {escape(sensors)}: {escape(right)}.</p>'
        f'<p class="buttons">{shown}</p></section>'
    )
