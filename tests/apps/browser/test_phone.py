"""`sensemble serve --phone`: the page over TLS, for who has the token of its QR code."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Playwright, expect

from tests.apps.chromium import SLOW, chromium, devices
from tests.apps.conftest import Started

from .colours import put_to_sleep

pytestmark = pytest.mark.needs("chromium", "web-app")


def test_a_phone_opens_the_printed_address(bundle: Path, playwright: Playwright, tmp_path: Path) -> None:
    (temporary := tmp_path / "temporary").mkdir()
    given, environment = ("serve", bundle, "--phone", "--port", "0"), {**os.environ, "TMPDIR": str(temporary)}
    with Started(*given, stderr=subprocess.DEVNULL, env=environment) as served:
        try:
            address = re.search(r"https://\S+", served.stdout.readline())
            assert address is not None
            assert "certificate" in served.stdout.readline()
            assert "█" in served.stdout.readline() + served.stdout.readline(), "the QR code"
            fakes = devices(tmp_path, "two")
            with chromium(playwright, *fakes) as browser:
                page = browser.new_context(ignore_https_errors=True).new_page()
                page.goto(address[0])
                expect(page.locator("#live")).to_be_visible(timeout=SLOW)
                stranger = browser.new_context(ignore_https_errors=True).new_page()
                refused = stranger.goto(address[0].partition("?")[0])
                assert refused is not None
                assert refused.status == 401
                # Without a trusted certificate no page is kept, which it says; an open one goes on.
                expect(page.locator("#unkept")).to_be_visible(timeout=SLOW)
                page.locator("#start-all").click()
                answer = page.locator("#classes li").first
                expect(answer).to_contain_text("two", timeout=SLOW)
                served.kill()
                page.locator("[data-modality=video]").get_by_role("button", name="Unplug").click()
                page.locator("[data-modality=audio]").get_by_role("button", name="Unplug").click()
                expect(answer).to_be_hidden(timeout=SLOW)
                page.locator("[data-modality=video]").get_by_role("button", name="Plug back").click()
                expect(answer).to_contain_text("two", timeout=SLOW)
        finally:
            served.kill()
    assert not list(temporary.iterdir()), "a copy of the site, which nobody removes after a kill"


def test_its_sensors_sleep_from_the_first_on_if_asked_to(
    bundle: Path, playwright: Playwright, tmp_path: Path
) -> None:
    given = ("serve", bundle, "--phone", "--sparing", "--port", "0")
    with Started(*given, stderr=subprocess.PIPE) as refused:
        assert "no sensor may sleep" in refused.stderr.read()
    put_to_sleep(bundle)
    with Started(*given, stderr=subprocess.DEVNULL) as served:
        try:
            address = re.search(r"https://\S+", served.stdout.readline())
            assert address is not None
            with chromium(playwright, *devices(tmp_path, "two")) as browser:
                page = browser.new_context(ignore_https_errors=True).new_page()
                page.goto(address[0])
                page.locator("#start-all").click(timeout=SLOW)
                asleep = page.locator("[data-modality=video] .state")
                expect(asleep).to_have_text("asleep", timeout=SLOW)
                button = page.get_by_role("button", name="Let sensors sleep")
                expect(button).to_have_attribute("aria-pressed", "true")
                button.click()
                expect(asleep).to_have_text("in use", timeout=SLOW)
        finally:
            served.kill()


def test_an_address_that_is_asked_for_is_kept(bundle: Path) -> None:
    given = ("serve", bundle, "--phone", "--port", "0", "--host", "127.0.0.1")
    with Started(*given, stderr=subprocess.DEVNULL) as served:
        try:
            assert "http://127.0.0.1:" in served.stdout.readline()
        finally:
            served.kill()
