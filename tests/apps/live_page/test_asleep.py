"""A live page whose sensors sleep: who does, for how long, who wakes them, and a browser's camera."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, expect
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.manifest import SparingCalibration
from sensemble_runtime.bundle.manifest_file import read_manifest, write_manifest
from sensemble_sensors.media.dataset import Example

from tests.apps.chromium import SLOW, chromium, complaining, devices
from tests.waiting import wait_until

from .serving import serving

pytestmark = pytest.mark.needs("chromium")
expect.set_options(timeout=SLOW)

REMEMBER = """window.tracks = [];
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wish) => {
        const stream = await ask(wish);
        window.tracks.push(...stream.getVideoTracks());
        return stream;
    };"""
STATES = "tracks.map((track) => track.readyState).join()"


@pytest.fixture(scope="module")
def sleepy(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle whose camera is needed for a moment at the beginning, and then by no doubt."""
    copied = Path(shutil.copytree(bundle_folder, tmp_path_factory.mktemp("sleepy") / "bundle"))
    contents = read_manifest(copied / "manifest.json")
    order = ("audio", "text"), ("video",)
    numbers = 0.0, 0.1, 0.9, 3, 1.0, False, (1.0, 0.2), 0.9, 0.8, 0.0, 0.9, 0.8, 0.0
    calibration = replace(contents.calibration, sparing=SparingCalibration(order, (2.0, 10.0), *numbers))
    write_manifest(replace(contents, calibration=calibration), copied / "manifest.json")
    return Bundle.open(copied)


def test_it_shows_who_sleeps_and_a_button_wakes_all(
    sleepy: Bundle, examples: Sequence[Example], browser: Browser
) -> None:
    with serving(sleepy, examples, sparing=True) as served:
        page = browser.new_page()
        complaints = complaining(page)
        page.goto(f"{served.origin}/")
        camera, wake = page.locator(".card[data-modality=video]"), page.get_by_role("button", name="Wake all")
        expect(camera.locator(".state")).to_have_text("asleep")
        expect(camera.locator(".preview")).to_be_empty()
        expect(page.locator("#picture")).to_be_hidden()
        expect(page.locator("#lattice")).to_contain_text("asleep")
        expect(page.locator("#lattice .bad, #dots .bad")).to_have_count(0)  # no reason for alarm
        slept = page.locator("#sensors .hint")
        expect(slept).to_have_text(re.compile(r"^replay video slept \d+ of the last \d+ seconds\.$"))
        wake.click()
        expect(camera.locator(".state")).to_have_text("in use")
        expect(page.locator("#picture")).to_be_visible()
        expect(wake).to_be_hidden()
        expect(slept).to_contain_text("replay video slept")
        expect(page.locator("#events")).to_contain_text("woken: asked for")
        page.context.close()
        assert complaints == []


def test_a_browsers_camera_is_released_while_it_sleeps(
    playwright: Playwright, sleepy: Bundle, tmp_path: Path
) -> None:
    flags = devices(tmp_path, "two")
    with serving(sleepy, sparing=True) as served, chromium(playwright, *flags) as browser:
        page = browser.new_context(permissions=["camera", "microphone"]).new_page()
        page.add_init_script(REMEMBER)
        page.goto(f"{served.origin}/")
        page.get_by_role("button", name="Use this camera and microphone").click()
        camera = page.locator("[data-modality=video] .state")
        expect(camera).to_have_text("asleep")
        wait_until(lambda: page.evaluate(STATES) == "ended")
        page.get_by_role("button", name="Wake all").click()
        expect(camera).to_have_text("in use")
        assert page.evaluate(STATES) == "ended,live"
        page.get_by_role("button", name="Take the camera back").click()
        wait_until(lambda: page.evaluate(STATES) == "ended,ended")
