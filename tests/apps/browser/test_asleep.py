"""A phone's page whose camera sleeps: its track is stopped, and a new one is opened when it is needed."""

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Playwright, expect
from sensemble_apps.cli import main
from sensemble_runtime.bundle.manifest import SparingCalibration
from sensemble_runtime.bundle.manifest_file import read_manifest, write_manifest

from tests.apps.chromium import NO_GPU, SLOW, chromium, complaining, devices, inaccessible

from .hosting import hosted

pytestmark = pytest.mark.needs("chromium", "web-app", "web-checks")

STREAM = "sensemble.sensors.get('video').stream"
TRACK = "window.track = sensemble.sensors.get('video').stream.getVideoTracks()[0]"


def test_the_cameras_track_ends_and_another_is_live_when_the_microphone_goes(
    bundle: Path, playwright: Playwright, tmp_path: Path
) -> None:
    contents = read_manifest(bundle / "manifest.json")
    order = ("audio", "imu", "text"), ("video",)
    numbers = 0.01, 1.0, 0.5, 3, 1.0, False, (1.0, 0.2), 0.9, 0.8, 0.0, 0.9, 0.8, 0.0  # no doubt wakes it
    fitted = replace(contents.calibration, sparing=SparingCalibration(order, (3.0, 10.0), *numbers))
    write_manifest(replace(contents, calibration=fitted), bundle / "manifest.json")
    assert main(["web", str(bundle), "--out", str(tmp_path / "site")]) == 0
    flags = devices(tmp_path, "two")
    with hosted(tmp_path / "site") as server, chromium(playwright, *flags) as browser:
        page = browser.new_context(permissions=["camera", "microphone"]).new_page()
        page.set_default_timeout(SLOW)
        complaints = complaining(page)
        page.goto(f"http://localhost:{server.server_port}/")
        page.get_by_role("button", name="Give this camera").click()
        page.get_by_role("button", name="Give this microphone").click()
        live, camera = page.locator("#lattice .lit .names"), page.locator("[data-modality=video] .state")
        expect(live).to_have_text("microphone + camera", timeout=SLOW)
        assert page.evaluate(f"{TRACK}; track.readyState") == "live"

        page.get_by_role("button", name="Let sensors sleep").click()
        expect(camera).to_have_text("asleep", timeout=SLOW)
        expect(live).to_have_text("microphone", timeout=SLOW)
        page.wait_for_function("track.readyState === 'ended'")
        assert page.evaluate(STREAM) is None
        assert inaccessible(page) == []

        page.get_by_role("button", name="Unplug microphone").click()
        expect(live).to_have_text("camera", timeout=SLOW)
        expect(page.locator("#events")).to_contain_text("woken: the others give nothing")
        assert page.evaluate(f"{TRACK}; track.readyState") == "live"

        page.get_by_role("button", name="Plug back microphone").click()
        expect(camera).to_have_text("asleep", timeout=SLOW)
        page.wait_for_function("track.readyState === 'ended'")
        page.get_by_role("button", name="Wake all").click()
        expect(live).to_have_text("microphone + camera", timeout=SLOW)
        assert page.evaluate(f"{TRACK}; track.readyState") == "live"
        assert set(complaints) <= {NO_GPU}
        page.context.close()
