"""The page in Chromium with fake devices: installed, offline, and equal to the Python runtime."""

import gzip
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, Playwright, Route, expect
from sensemble_apps.cli import main
from sensemble_apps.running.inputs import examples_of
from sensemble_runtime.auditing.audit import audit
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.manifest import BROWSER
from sensemble_runtime.bundle.manifest_file import read_manifest

from tests.apps.chromium import (
    NO_GPU,
    SLOW,
    chromium,
    complaining,
    devices,
    inaccessible,
    lay_down,
)
from tests.apps.clips import write_dataset

from .colours import write_colours
from .hosting import hosted

pytestmark = pytest.mark.needs("chromium", "web-app", "web-checks")

LABEL = "two"
LIVE = "#lattice .lit .names"  # the live set
_UNPLUG = "sensemble.sensors.get('video').stream.getTracks()[0].dispatchEvent(new Event('ended'))"

expect.set_options(timeout=SLOW)


@pytest.fixture
def server(site: Path) -> Iterator[ThreadingHTTPServer]:
    with hosted(site) as served:
        yield served


def give(page: Page) -> None:
    """Give the camera and the microphone, and wait for the digit that they show."""
    expect(page.locator("#live")).to_be_visible()
    page.get_by_role("button", name="Give this camera").click()
    page.get_by_role("button", name="Give this microphone").click()
    expect(page.locator(LIVE)).to_have_text("microphone + camera")
    expect(page.locator("#classes li").first).to_contain_text(LABEL)


def test_it_is_installed_and_goes_on_offline_while_a_camera_goes_and_comes(
    server: ThreadingHTTPServer, playwright: Playwright, tmp_path: Path
) -> None:
    flags = devices(tmp_path, LABEL)
    with chromium(playwright, *flags) as browser:
        context = browser.new_context(permissions=["camera", "microphone", "accelerometer", "gyroscope"])
        page = context.new_page()
        complaints = complaining(page)
        page.goto(f"http://localhost:{server.server_port}/")
        expect(page.locator("#offline")).to_have_text("works offline")
        give(page)
        assert inaccessible(page) == []
        errors = context.new_cdp_session(page).send("Page.getInstallabilityErrors")
        assert [e["errorId"] for e in errors["installabilityErrors"] if e["errorId"] != "in-incognito"] == []
        assert set(complaints) <= {NO_GPU}

        server.shutdown()
        server.server_close()
        page.reload()
        give(page)
        events = page.locator("#events li")
        # As a browser tells a page that a device was unplugged.
        page.evaluate(_UNPLUG)
        expect(events.filter(has_text="camera lost: the device is gone")).to_have_count(1)
        expect(page.locator(LIVE)).to_have_text("microphone")
        expect(events.filter(has_text="camera attached")).to_have_count(2)
        expect(page.locator(LIVE)).to_have_text("microphone + camera")
        expect(page.locator("#classes li").first).to_contain_text(LABEL)
        page.get_by_role("button", name="Write captions").click()
        expect(page.locator("[data-modality=text] .state")).to_have_text("no caption")
        page.locator("#caption-text").fill(f"this is {LABEL}")
        page.locator("#caption-text").press("Enter")
        expect(page.locator(LIVE)).to_have_text("microphone + captions + camera")
        lay_down(page)
        page.get_by_role("button", name="Give this motion").click()
        expect(page.locator(LIVE)).to_contain_text("microphone + motion")
        expect(page.locator("#classes li").first).to_contain_text(LABEL)
        # What the live page has: a score, a plug that is pulled, any moment with its picture, its words.
        page.get_by_text("Score", exact=True).click()
        page.locator(f"[data-label={LABEL}]").click()
        expect(page.locator("#score tbody tr").first).to_contain_text("microphone")
        page.get_by_role("button", name="Unplug camera").click()
        expect(page.locator("[data-modality=video] .state")).to_have_text("unplugged")
        events.filter(has_text="camera unplugged").locator("button").click()
        expect(page.locator("#moment")).to_contain_text("as it was at")
        expect(page.locator("#then img")).to_have_count(1)
        expect(page.locator("#then q")).to_contain_text(LABEL)
        page.get_by_role("button", name="Back to now").click()
        page.get_by_role("button", name="Plug back camera").click()
        expect(page.locator(LIVE)).to_contain_text("camera")


def test_a_camera_goes_with_its_permission(server: ThreadingHTTPServer, playwright: Playwright) -> None:
    origin = f"http://localhost:{server.server_port}"
    with chromium(playwright, "--use-fake-device-for-media-stream") as browser:
        context = browser.new_context()
        page = context.new_page()
        page.goto(origin)
        page.get_by_role("button", name="Give this camera").click()
        expect(page.locator("#give-note")).to_have_text("video: Permission denied")
        for _ in range(2):
            context.grant_permissions(["camera"], origin=origin)
            expect(page.locator("#dots .live")).to_have_count(1)
            context.clear_permissions()
            expect(page.locator("[data-modality=video] .state")).to_have_text("not there")
        expect(page.locator("#events li", has_text="camera lost: the device is gone")).to_have_count(2)


def test_a_bundle_that_was_altered_is_refused(server: ThreadingHTTPServer, playwright: Playwright) -> None:
    def altered(route: Route) -> None:
        body = gzip.decompress(route.fetch().body())
        route.fulfill(body=body[:-1] + bytes([body[-1] ^ 1]))

    with chromium(playwright) as browser:
        context = browser.new_context(service_workers="block")
        for name, place in (("audio/*.onnx*", "#events"), ("head.safetensors*", "#problem")):
            page = context.new_page()
            page.route(f"**/bundle/{name}", altered)
            page.goto(f"http://localhost:{server.server_port}/")
            if place == "#events":
                page.get_by_role("button", name="Give this microphone").click()
            expect(page.locator(place)).to_contain_text("altered, its SHA-256 is not the manifest's")


def test_its_audit_is_that_of_python(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, bundle = write_dataset(tmp_path / "colours", {"train": 1, "eval": 4}), tmp_path / "bundle"
    write_colours(bundle)
    command = ["export", "verify", str(bundle), "--browser", "/usr/bin/chromium", "--data", str(data)]
    assert site.exists()
    assert main(command) == 0
    assert "audio+text+video: 100.0 % in the browser, 100.0 % here" in capsys.readouterr().out
    manifest = read_manifest(bundle / "manifest.json")
    for entry in manifest.modalities.values():
        there, here = entry.artifacts[BROWSER], entry.artifacts["onnx"]
        assert there.files == here.files
        assert there.parity is not None
        assert there.parity.max_error < 1e-5
        assert there.latency_ms is not None
    scores = audit(Bundle.open(bundle, "onnx"), examples_of(data, "eval")).subsets
    found = manifest.provenance.accuracy_quantized[BROWSER]
    assert found == {name: pytest.approx(score.accuracy, abs=0.003) for name, score in scores.items()}
