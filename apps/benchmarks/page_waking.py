"""The time from doubt to the first answer of a camera that slept, on a page that runs a bundle in Chromium.

`uv run python apps/benchmarks/page_waking.py [--seconds N]` plays files as Chromium's camera and microphone.
The sound is of one class for two seconds, and then of all for two: that wakes the camera, by a small bundle's
policy. It prints the seconds from the answer that is unsure to the first one with the camera, as the engine
times both. It needs Debian's chromium and the built page.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright
from sensemble_apps.web.site import write_site

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.apps.browser.colours import put_to_sleep, write_colours
from tests.apps.browser.hosting import hosted
from tests.apps.chromium import chromium, devices

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
            page.wait_for_timeout(1000 * seconds)
            took: list[float] = page.evaluate("took")
    print(f"woken {len(took)} times in {seconds:g} s, a load of {os.getloadavg()[0]:.1f}:")
    print(f"first answer after {median(took):.2f} s in the median, {max(took):.2f} s at most")


if __name__ == "__main__":
    main()
