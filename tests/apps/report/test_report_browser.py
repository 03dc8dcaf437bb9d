"""Both pages in a real browser: they fit a phone, and ask the network for nothing."""

import http.server
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from sensemble_apps.commands.report import write_page
from sensemble_runtime import subsets

from tests.apps.conftest import METHODS, matrices, write_matrix
from tests.apps.shipped import write_audit, write_run

pytestmark = pytest.mark.needs("chromium")

# Without these, the browser itself looks for updates, which has nothing to do with the page.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


SIX = [f"{device}.{quantity}" for device in ("phone", "watch") for quantity in ("acc", "gyr", "mag")]


@pytest.fixture(scope="module", params=["run", "experiment", "six sensors"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    if request.param == "run":
        write_audit(write_run(folder))
    elif request.param == "experiment":
        write_matrix(folder / "matrix.json", matrices())
    else:
        row = {subsets.name(one): len(one) / 7 for one in subsets.subsets(SIX)}
        trained = dict.fromkeys(("+".join(SIX), SIX[0]), row)
        write_matrix(folder / "matrix.json", dict.fromkeys(METHODS, trained))
    write_page(folder, folder / "report.html")
    return folder / "report.html"


def browse(address: str, profile: Path, *flags: str) -> str:
    command = ["chromium", *FLAGS, f"--user-data-dir={profile}", *flags, address]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def measured(page: Path, profile: Path, width: int, expression: str) -> str:
    """Show the page in a frame (a headless window is at least 500 px wide) and evaluate something of it."""
    probe = page.with_name("probe.html")
    probe.write_text(
        f"<iframe src=report.html style='width:{width}px;height:800px;border:0'></iframe><script>"
        f"onload = () => {{ const page = frames[0]; document.title = {expression} }}</script>",
        encoding="utf-8",
    )
    with served(page.parent) as address:
        dom = browse(f"{address}/probe.html", profile, "--virtual-time-budget=5000", "--dump-dom")
    title = re.search(r"<title>(.*?)</title>", dom)
    assert title is not None, dom[:500]
    return title[1]


# A word that is broken within has more lines than words.
BROKEN = """JSON.stringify([...page.document.querySelectorAll(".amounts dd")]
    .map((one) => [one.textContent.trim(), one.getBoundingClientRect().height])
    .filter(([text, height]) => height > 28 * text.split(" ").length))"""
CUT = """JSON.stringify([...page.document.querySelectorAll("th, td")].filter((one) =>
    one.checkVisibility() && one.scrollWidth > one.clientWidth + 1).map((one) => one.textContent))"""
WIDTH = "page.document.documentElement.scrollWidth"


@pytest.mark.parametrize("width", [320, 360, 768])
def test_nothing_overflows_the_width_of_a_phone(page: Path, tmp_path: Path, width: int) -> None:
    assert measured(page, tmp_path, width, WIDTH) == str(width)


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_no_cell_runs_into_another(page: Path, tmp_path: Path, width: int) -> None:
    assert measured(page, tmp_path, width, CUT) == "[]"


def test_an_amount_stays_on_one_line_beside_a_long_name(page: Path, tmp_path: Path) -> None:
    long = page.with_name("long") / "report.html"
    long.parent.mkdir(exist_ok=True)
    html = page.read_text(encoding="utf-8").replace(
        "a window of microphone", "a window of phone accelerometer"
    )
    long.write_text(html, encoding="utf-8")
    assert measured(long, tmp_path, 360, BROKEN) == "[]"


def test_an_overflow_would_be_seen(page: Path, tmp_path: Path) -> None:
    wide = page.with_name("wide") / "report.html"
    wide.parent.mkdir(exist_ok=True)
    wide.write_text("<p style='width:500px'>wide</p>" + page.read_text(encoding="utf-8"), encoding="utf-8")
    assert int(measured(wide, tmp_path, 360, WIDTH)) >= 500


def test_it_loads_nothing_but_itself(page: Path, tmp_path: Path) -> None:
    loaded = "JSON.stringify(page.performance.getEntriesByType('resource').map(entry => entry.name))"
    assert measured(page, tmp_path, 360, loaded) == "[]"


def test_it_prints_within_its_pages(page: Path, tmp_path: Path) -> None:
    pdf = tmp_path / "report.pdf"
    browse(page.as_uri(), tmp_path / "profile", "--no-pdf-header-footer", f"--print-to-pdf={pdf}")
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes()))
    assert 3 <= pages <= 10
