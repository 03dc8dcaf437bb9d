"""Make the pictures of README.md and of the concepts from a run of `sensemble demo` and its data.

    uv run python docs/pictures.py RUN

writes `apps/report.png`, the top of the run's report; `docs/page.webp`, a film of the live page on a replay
whose camera is unplugged, plugged back and lies; `docs/lattice.svg` and `docs/conditions.webp`. With names of
these files behind RUN, it writes them alone. It needs Debian's chromium, at /usr/bin/chromium.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

from draw import conditions, lattice
from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright
from sensemble_apps.commands.report import write_page
from sensemble_apps.tables.run_folder import BUNDLE, data_of
from sensemble_runtime import Bundle

ROOT = Path(__file__).parents[1]
REPORT = ViewportSize(width=1000, height=1180)
SIZE = ViewportSize(width=1440, height=900)
WIDTH = 960  # pixels of the film
STEP = 0.5  # seconds between two pictures
QUALITY = 40
LENGTH = 14.0  # seconds
CUES = {
    2.0: ("unplug", ""),
    6.0: ("plug", ""),
    8.0: ("condition", "swapped"),
    12.5: ("condition", "swapped"),  # which ends it
}
"""The changes of the camera, by the time in seconds."""


@contextmanager
def served(*arguments: str) -> Iterator[str]:
    """Run a command that serves a page while the block runs; yield its address."""
    command = [sys.executable, "-m", "sensemble_apps", *arguments, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        found = re.search(r"http://\S+", process.stdout.readline() if process.stdout else "")
        if found is None:
            raise SystemExit("the page is not served")
        try:
            yield found[0]
        finally:
            process.terminate()


def main(run: Path, *names: str) -> None:
    """Write the pictures of these names, or all."""
    bundle, data = run / BUNDLE, data_of(run / BUNDLE)
    if data is None:
        raise SystemExit(f"{run}: names no data; give a run of `sensemble demo`")
    made: dict[str, Callable[[], object]] = {
        "report.png": lambda: report(run, ROOT / "apps/report.png"),
        "page.webp": lambda: film(bundle, data, ROOT / "docs/page.webp"),
        "lattice.svg": lambda: (ROOT / "docs/lattice.svg").write_text(lattice(Bundle.open(bundle)), "utf-8"),
        "conditions.webp": lambda: conditions(data).save(ROOT / "docs/conditions.webp", quality=70, method=6),
    }
    for name in names or made:
        made[name]()


def report(run: Path, out: Path) -> None:
    """Write the top of a run's report, which is made anew."""
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        write_page(run, Path(folder) / "report.html")
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport=REPORT, color_scheme="light")
        page.goto((Path(folder) / "report.html").as_uri())
        page.screenshot(path=out)
        browser.close()
    picture = Image.open(out).convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
    picture.save(out, optimize=True)


def film(bundle: Path, clips: Path, out: Path) -> None:
    """Film the live page, and write the animation."""
    with served("serve", str(bundle), "--replay", str(clips)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(address)
        page.locator("#dots .live").nth(2).wait_for()
        pictures = list(filmed(page))
        browser.close()
    first, *rest = pictures
    first.save(
        out,
        save_all=True,
        append_images=rest,
        duration=round(1000 * STEP),
        loop=0,
        quality=QUALITY,
        method=2,
    )
    sys.stdout.write(f"{out}: {len(pictures)} pictures, {out.stat().st_size / 1e6:.2f} MB\n")


def filmed(page: Page) -> Iterator[Image.Image]:
    """Yield a picture each step, while the cues are followed."""
    cues = sorted(CUES.items())
    began = monotonic()
    for number in range(round(LENGTH / STEP)):
        sleep(max(0.0, began + number * STEP - monotonic()))
        if cues and number * STEP >= cues[0][0]:
            act(page, *cues.pop(0)[1])
        picture = Image.open(BytesIO(page.screenshot(type="png")))
        height = round(WIDTH * picture.height / picture.width)
        yield picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)


def act(page: Page, what: str, condition: str) -> None:
    """Do to the camera what a person would, without scrolling: the picture and its word stay in sight."""
    if what == "condition":
        page.locator(f"[data-modality=video] [data-condition='{condition}:5']").dispatch_event("click")
    else:
        name = "Unplug camera" if what == "unplug" else "Plug back camera"
        page.get_by_role("button", name=name, exact=True).dispatch_event("click")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
