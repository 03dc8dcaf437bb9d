"""Both pages in a real browser: they fit a phone, paper and weak eyes, and ask the network for nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser
from sensemble_apps.commands.report import write_page
from sensemble_runtime import subsets

from tests.apps.chromium import inaccessible
from tests.apps.conftest import METHODS, ROOT, matrices, write_matrix
from tests.apps.shipped import write_audit, write_run

pytestmark = pytest.mark.needs("chromium")

SIX = [f"{device}.{quantity}" for device in ("phone", "watch") for quantity in ("acc", "gyr", "mag")]
# A word that is broken within has more lines than words.
BROKEN = """[...document.querySelectorAll(".amounts dd")]
    .map((one) => [one.textContent.trim(), one.getBoundingClientRect().height])
    .filter(([text, height]) => height > 28 * text.split(" ").length)"""
CUT = """[...document.querySelectorAll("th, td")].filter((one) =>
    one.checkVisibility() && one.scrollWidth > one.clientWidth + 1).map((one) => one.textContent)"""
WIDTH = "document.documentElement.scrollWidth"
LOADED = "performance.getEntriesByType('resource').map(({name}) => name)"


@pytest.fixture(scope="module", params=["run", "experiment", "six sensors"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
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


def test_it_fits_every_width_and_paper_and_loads_nothing_but_itself(written: Path, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(written.as_uri())
    for width in (320, 360, 390, 768, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(WIDTH) == width
        assert width < 390 or page.evaluate(CUT) == [], width
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert inaccessible(page) == []
    assert page.evaluate(LOADED) == []
    pages = len(re.findall(rb"/Type\s*/Page\b", page.pdf()))
    assert 3 <= pages <= 10
    html = written.read_text(encoding="utf-8")
    page.set_content(html.replace("a window of microphone", "a window of phone accelerometer"))
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate(BROKEN) == [], "an amount stays on one line beside a long name"
    page.close()


def test_the_picture_in_the_readme_is_made_from_a_run(tmp_path: Path) -> None:
    write_audit(write_run(tmp_path))
    make = "from pathlib import Path; from pictures import report; report(Path('.'), Path('report.png'))"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "docs")}
    subprocess.run([sys.executable, "-c", make], cwd=tmp_path, env=environment, check=True)
    made, ships = Image.open(tmp_path / "report.png"), Image.open(ROOT / "apps/report.png")
    assert made.size == ships.size == (1000, 1180)
    assert len(made.getcolors() or ()) > 8
