"""A phone's page whose camera sleeps: its track is stopped, and a new one is opened when it is needed."""

from pathlib import Path

import pytest
from playwright.sync_api import Playwright, expect
from sensemble_apps.cli import main

from tests.apps.chromium import NO_GPU, SLOW, chromium, complaining, devices, inaccessible, objects
from tests.waiting import wait_until

from .colours import put_to_sleep
from .hosting import hosted

pytestmark = pytest.mark.needs("chromium", "web-app", "web-checks")

STREAM = "sensemble.sensors.get('video').stream"
WAKINGS = 6
COUNT = """window.woken = [];
    void (async () => {
        const {session} = sensemble;
        const camera = () => session.view().sensors.find((one) => one.modality === "video");
        const state = async (wanted) => {
            while (camera()?.state !== wanted) await new Promise((resolve) => setTimeout(resolve, 5));
            return camera().why;
        };
        for (;;) {
            await state("asleep");
            const why = await state("woken");
            window.woken.push([why, await state("asleep")]);
        }
    })();"""
TRACK = "window.track = sensemble.sensors.get('video').stream.getVideoTracks()[0]"


def test_the_cameras_track_ends_and_another_is_live_when_the_microphone_goes(
    bundle: Path, playwright: Playwright, tmp_path: Path
) -> None:
    put_to_sleep(bundle)
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
        wait_until(lambda: page.evaluate("track.readyState") == "ended")
        assert page.evaluate(STREAM) is None
        assert inaccessible(page) == []

        page.get_by_role("button", name="Unplug microphone").click()
        expect(live).to_have_text("camera", timeout=SLOW)
        expect(page.locator("#events")).to_contain_text("woken: the others give nothing")
        assert page.evaluate(f"{TRACK}; track.readyState") == "live"

        page.get_by_role("button", name="Plug back microphone").click()
        expect(camera).to_have_text("asleep", timeout=SLOW)
        expect(live).to_have_text("microphone", timeout=SLOW)  # the light moves late
        wait_until(lambda: page.evaluate("track.readyState") == "ended")
        page.get_by_role("button", name="Wake all").click()
        expect(live).to_have_text("microphone + camera", timeout=SLOW)
        assert page.evaluate(f"{TRACK}; track.readyState") == "live"
        assert set(complaints) <= {NO_GPU}
        page.context.close()


def test_doubt_opens_the_camera_again_and_again_and_nothing_is_left(
    bundle: Path, playwright: Playwright, tmp_path: Path
) -> None:
    put_to_sleep(bundle, wake=0.9)
    assert main(["web", str(bundle), "--out", str(tmp_path / "site")]) == 0
    flags = devices(tmp_path, "two", doubtful=2.0)
    with hosted(tmp_path / "site") as server, chromium(playwright, *flags) as browser:
        page = browser.new_context(permissions=["camera", "microphone"]).new_page()
        page.set_default_timeout(SLOW)
        page.goto(f"http://localhost:{server.server_port}/#sparing")
        page.locator("#start-all").click()
        page.evaluate(COUNT)
        wait_until(lambda: page.evaluate("woken.length") >= WAKINGS)
        for why, took in page.evaluate("woken"):
            assert why.startswith("unsure between ")
            assert "its first answer took" in took
        assert objects(page, "HTMLVideoElement") < WAKINGS // 2
        page.context.close()
