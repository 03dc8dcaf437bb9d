"""The time from doubt to the first answer of a camera that slept, on a page that runs a bundle in Chromium.

`uv run python apps/benchmarks/page_waking.py [--seconds N]` plays files as Chromium's camera and microphone.
The sound is of one class for two seconds, and then of all for two: that wakes the camera, by a small bundle's
policy. It prints the seconds from the answer that is unsure to the first one with the camera, as the engine
times both, and what all processes of Chromium hold after a tenth of the time and at its end. It needs
Debian's chromium and the built page.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from playwright.sync_api import Page, sync_playwright
from sensemble_apps.web.site import write_site

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.apps.browser.colours import put_to_sleep, write_colours
from tests.apps.browser.hosting import hosted
from tests.apps.chromium import chromium, devices, objects
from tests.processes import children

WATCH = """window.took = [];
    void (async () => {
        let since = null;
        for (;;) {
            const {sensors, prediction} = sensemble.session.view();
            const camera = sensors.find((one) => one.modality === "video");
            if (camera?.state === "woken") since = camera.since;
            if (since !== null && prediction?.time > since && prediction.live.includes("video")) {
                window.took.push(prediction.time - since);
                since = null;
            }
            await new Promise((resolve) => setTimeout(resolve, 5));
        }
    })();"""


def family(pid: int) -> Iterator[Path]:
    yield Path(f"/proc/{pid}")
    for child in children(pid):
        yield from family(child)


def held(page: Page) -> str:
    """Collect the page's garbage; say what all processes hold."""
    elements = objects(page, "HTMLVideoElement")
    descriptors = threads = kilobytes = 0
    for process in [*family(os.getpid())][1:]:
        descriptors += len([*(process / "fd").iterdir()])
        threads += len([*(process / "task").iterdir()])
        lines = (process / "smaps_rollup").read_text().splitlines()
        kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    memory = f"{kilobytes / 1000:.0f} MB of private memory"
    return f"{descriptors} descriptors, {threads} threads, {memory}, {elements} film elements"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0)
    seconds: float = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        bundle, site = write_colours(Path(folder) / "bundle"), Path(folder) / "site"
        put_to_sleep(bundle, wake=0.9)
        write_site(bundle, site)
        flags = devices(Path(folder), "two", doubtful=2.0)
        with hosted(site) as server, sync_playwright() as playwright, chromium(playwright, *flags) as browser:
            page = browser.new_context(permissions=["camera", "microphone"]).new_page()
            page.goto(f"http://localhost:{server.server_port}/#sparing")
            page.locator("#start-all").click()
            page.evaluate(WATCH)
            page.wait_for_timeout(100 * seconds)
            begun: int = page.evaluate("took.length")
            before = held(page)
            page.wait_for_timeout(900 * seconds)
            took: list[float] = page.evaluate("took")
            after = held(page)
    print(f"woken {len(took)} times in {seconds:g} s, a load of {os.getloadavg()[0]:.1f}:")
    print(f"first answer after {median(took):.2f} s in the median, {max(took):.2f} s at most")
    print(f"after {begun} wakings {before}; after {len(took)} {after}")


if __name__ == "__main__":
    main()
