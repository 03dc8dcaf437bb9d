"""A phone's motion as a sensor of the live page."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sensemble_runtime import Bundle

from tests.apps.browser.colours import write_colours
from tests.apps.chromium import SLOW, lay_down

from .serving import serving

pytestmark = pytest.mark.needs("chromium")


def test_a_browser_gives_its_motion(tmp_path: Path, browser: Browser) -> None:
    with serving(Bundle.open(write_colours(tmp_path / "bundle"), "onnx")) as served:
        page = browser.new_page()
        page.goto(f"{served.origin}/")
        expect(page.locator("#connection")).to_have_text("connected", timeout=SLOW)
        lay_down(page)
        page.get_by_role("button", name="Give this imu").click()
        expect(page.locator("#answer")).to_contain_text("two", timeout=SLOW)
