"""The time from opening the static page to its answers: `python apps/benchmarks/page_start.py SITE...`.

SITE is a folder that `sensemble web` wrote. Chromium opens it with a fake camera and microphone. Both and
the captions are given as soon as the page offers them, and a caption is written. Cold is a new profile;
warm is the page, opened again once it works offline; restarted is a new browser with that profile. Times
are medians in seconds after the navigation: until the page shows its sensors, until the first answer, and
until the first one with each modality.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import BrowserContext, Page, Playwright, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.apps.browser.hosting import hosted

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)
SLOW, SETTLE = 120_000, 5_000  # milliseconds
# The page itself presses and notes: a driver would take its own time.
_PRESS = """(() => {
    const seen = window.seen = {};
    let due = 0; // when a caption is written again
    const note = (what) => (seen[what] ??= performance.now() / 1000);
    const look = () => {
        if (document.querySelector("#live")?.checkVisibility()) note("shown");
        for (const button of document.querySelectorAll("#sensors button[aria-pressed=false]"))
            if (!/motion/.test(button.textContent)) button.click();
        const field = document.querySelector("#sensors form input");
        if (field && !seen.text && performance.now() > due) {
            due = performance.now() + 1000;
            field.value = "this is a caption";
            field.form.requestSubmit();
        }
        const [, live] = document.querySelector("#evidence")?.textContent.match(/ from ([^;]*)/) ?? [];
        if (live) ["answer", ...live.split(", ")].forEach(note);
    };
    setInterval(look, 10);
})()"""


@contextmanager
def opened(playwright: Playwright, profile: str) -> Iterator[BrowserContext]:
    """Start a browser with a profile."""
    context = playwright.chromium.launch_persistent_context(
        profile, executable_path="/usr/bin/chromium", args=FLAGS, permissions=["camera", "microphone"]
    )
    context.add_init_script(_PRESS)
    try:
        yield context
    finally:
        context.close()


def start(page: Page, address: str, modalities: int) -> dict[str, float]:
    """Open the page, and return when it showed what."""
    page.goto("about:blank")  # the sensors of before are gone, and the service worker keeps what it was given
    page.wait_for_timeout(SETTLE)
    page.goto(address)
    wanted = modalities + len(("shown", "answer"))
    page.wait_for_function("count => Object.keys(window.seen).length >= count", arg=wanted, timeout=SLOW)
    found: dict[str, float] = page.evaluate("window.seen")
    expect(page.locator("#offline")).to_have_text("works offline", timeout=SLOW)
    return found


def main() -> None:
    """Open each site again and again, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sites", nargs="+", type=Path)
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    for site in given.sites:
        modalities = len([path for path in (site / "bundle").iterdir() if path.is_dir()])
        times: dict[str, list[dict[str, float]]] = {"cold": [], "warm": [], "restarted": []}
        for _ in range(given.times):
            with hosted(site) as server, sync_playwright() as playwright, TemporaryDirectory() as profile:
                address = f"http://localhost:{server.server_port}/"
                with opened(playwright, profile) as context:
                    page = context.new_page()
                    times["cold"].append(start(page, address, modalities))
                    times["warm"].append(start(page, address, modalities))
                with opened(playwright, profile) as context:
                    times["restarted"].append(start(context.new_page(), address, modalities))
        for kind, found in times.items():
            medians = {name: statistics.median(one[name] for one in found) for name in sorted(found[0])}
            print(f"{site} {kind}: " + ", ".join(f"{name} {value:.2f} s" for name, value in medians.items()))


if __name__ == "__main__":
    main()
