"""The live page in a real browser: its camera and microphone, its buttons, its forms, and who can use it."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.media.dataset import Example

from tests.apps.chromium import (
    SCHEMES,
    SLOW,
    WIDTHS,
    chromium,
    complaining,
    devices,
    film,
    inaccessible,
    sound,
    unreached,
)
from tests.needs import WEB_CHECKS

from .serving import Served, packed, serving

pytestmark = pytest.mark.needs("chromium")

TSC = WEB_CHECKS / "typescript" / "bin" / "tsc"
expect.set_options(timeout=SLOW)

LOADED = "performance.getEntriesByType('resource').map(({name}) => name)"
DURATIONS = "[...document.querySelectorAll('*')].map((one) => getComputedStyle(one).transitionDuration)"
CHANGES = """new Promise((resolve) => {
    let changes = 0;
    const wave = document.querySelector(".card.audio path");
    new MutationObserver(() => changes++).observe(wave, {attributes: true});
    setTimeout(() => resolve(changes), 2500);
})"""


@pytest.fixture(scope="module")
def page_of_a_replay(bundle: Bundle, examples: Sequence[Example]) -> Iterator[Served]:
    with serving(bundle, examples) as served:
        yield served


def opened(browser: Browser, served: Served, **options: Any) -> tuple[Page, list[str]]:  # noqa: ANN401
    """Open the page; give it and what its console complains about."""
    page = browser.new_context(**options).new_page()
    complaints = complaining(page)
    page.goto(f"{served.origin}/")
    expect(page.locator("#connection")).to_have_text("connected")
    expect(page.locator("#evidence")).to_contain_text("from audio, text, video")
    return page, complaints


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_fits_complains_of_nothing_and_axe_finds_nothing(
    page_of_a_replay: Served, browser: Browser, width: int, scheme: str
) -> None:
    size: Any = {"width": width, "height": 900}
    page, complaints = opened(browser, page_of_a_replay, viewport=size, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    violations = inaccessible(page)
    names = page.evaluate(LOADED)
    page.context.close()
    assert (violations, complaints) == ([], [])
    assert all(name.startswith(page_of_a_replay.origin) for name in names)


def test_the_keyboard_reaches_everything(page_of_a_replay: Served, browser: Browser) -> None:
    page, _ = opened(browser, page_of_a_replay)
    assert unreached(page) == set()
    page.locator("main").focus()
    page.keyboard.press("2")
    label = page_of_a_replay.board.bundle.manifest.labels[1]
    expect(page.locator("#labels [aria-pressed=true]")).to_contain_text(label)
    page.keyboard.press("Escape")
    expect(page.locator("#labels [aria-pressed=true]")).to_have_count(0)
    page.context.close()


def test_the_timeline_is_looked_back_at(page_of_a_replay: Served, browser: Browser) -> None:
    page, _ = opened(browser, page_of_a_replay)
    page.get_by_role("button", name="Unplug replay video").click()
    expect(page.locator("#evidence")).to_contain_text("from audio, text")
    expect(page.locator("#events li").first).to_contain_text("detached")
    page.get_by_role("button", name="Plug back replay video").click()
    expect(page.locator("#evidence")).to_contain_text("from audio, text, video")
    page.locator("#scrub").focus()
    page.keyboard.press("Home")
    expect(page.locator("#moment")).to_contain_text("as it was at")
    page.get_by_role("button", name="Back to now").click()
    expect(page.locator("#moment")).to_be_empty()
    page.context.close()


def test_less_motion_is_honoured(page_of_a_replay: Served, browser: Browser) -> None:
    page, _ = opened(browser, page_of_a_replay, reduced_motion="reduce")
    durations = page.evaluate(DURATIONS)
    assert set(durations) == {"0s"}
    changes = page.evaluate(CHANGES)
    assert changes <= 3
    page.context.close()


def test_the_interface_for_programs_is_described(page_of_a_replay: Served, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{page_of_a_replay.origin}/api.html")
    expect(page.get_by_role("heading", name="POST /api/label")).to_be_visible()
    page.close()


def test_a_browsers_camera_and_microphone_come_go_and_come_back(
    playwright: Playwright, bundle: Bundle, tmp_path: Path
) -> None:
    label = "two"
    flags = devices(film(tmp_path / "film.y4m", label), sound(tmp_path / "sound.wav", label))
    with (
        serving(bundle) as served,
        chromium(playwright, *flags) as browser,
        captions(served, bundle, label),
    ):
        page = browser.new_context(permissions=["camera", "microphone"]).new_page()
        page.goto(f"{served.origin}/")
        page.get_by_role("button", name="Give this camera").click()
        page.get_by_role("button", name="Give this microphone").click()
        expect(page.locator("#evidence")).to_contain_text("from audio, text, video")
        # So little calibrates the demo of the tests that it may be unsure; the most probable class is shown.
        expect(page.locator("#classes li").first).to_contain_text(label)
        expect(page.locator("#lattice ul").last.locator("li").last).to_contain_text(label)
        expect(page.locator(".card.video .says")).to_contain_text("alone says")
        expect(page.locator(".card.audio .says")).to_contain_text("alone says")
        page.get_by_role("button", name="Unplug camera of browser").click()
        expect(page.locator("#evidence")).to_contain_text("from audio, text")
        page.get_by_role("button", name="Plug back camera of browser").click()
        expect(page.locator("#evidence")).to_contain_text("from audio, text, video")
        # The network is cut: the browser stands still, and its connection stays open.
        with served.viewer() as watcher:
            processes = family(browser_process(tmp_path))
            try:
                for process in processes:
                    os.kill(process, signal.SIGSTOP)
                watcher.next("state", lambda state: state["live"] == ["text"])
                answered = len(served.predictions)
                watcher.next("state", lambda _: len(served.predictions) > answered + 1)
                watcher.next("state", lambda state: len(state["sensors"]) == 1)  # it answers no ping
            finally:
                for process in processes:
                    os.kill(process, signal.SIGCONT)


class captions:  # noqa: N801 - a context manager
    """Another client, which writes the same caption again and again while the block runs."""

    def __init__(self, served: Served, bundle: Bundle, label: str) -> None:
        self._served, self._data = served, packed(bundle, "text", f"this is {label}")
        self._stop = Event()
        self._thread = Thread(target=self._write)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        with self._served.viewer() as viewer:
            sensor, _ = viewer.give("text")
            number = 0
            while not self._stop.wait(0.3):
                viewer.sample(sensor, number, self._data)
                number += 1
                viewer.next("state")


def browser_process(folder: Path) -> int:
    """Return the number of the browser's first process, by the file that its camera plays."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:  # it has ended meanwhile
                continue
            first = b"chromium" in line.split(b"\0")[0] and b"--type=" not in line
            if first and str(folder).encode() in line:
                return int(entry.name)
    raise AssertionError("no browser plays that film")


def family(process: int) -> list[int]:
    """Return a process and all that it started."""
    found = [process]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in children.read_text().split() if int(child) not in found]
    return found


@pytest.mark.needs("web-checks")
def test_the_pages_modules_have_no_error_of_types() -> None:
    project = Path(__file__).with_name("tsconfig.json")
    done = subprocess.run(["node", TSC, "-p", project], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
