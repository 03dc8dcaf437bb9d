"""A phone's motion as a sensor of the live page."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, WebSocketRoute, expect
from sensemble_apps.web import server
from sensemble_runtime import Bundle

from tests.apps.browser.colours import write_colours
from tests.apps.chromium import SLOW, lay_down
from tests.waiting import PATIENCE

from .serving import serving

pytestmark = pytest.mark.needs("chromium")


def test_a_browser_gives_its_motion_again_after_a_lost_connection(
    tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_PING", PATIENCE)  # no browser that stands still loses another one
    with serving(Bundle.open(write_colours(tmp_path / "bundle"), "onnx")) as served:
        page = browser.new_page()
        sockets: list[WebSocketRoute] = []

        def through(socket: WebSocketRoute) -> None:
            socket.connect_to_server()
            sockets.append(socket)

        page.route_web_socket("**/socket", through)
        page.goto(f"{served.origin}/")
        expect(page.locator("#connection")).to_have_text("connected", timeout=SLOW)
        lay_down(page)
        page.get_by_role("button", name="Give this imu").click()
        expect(page.locator("#answer")).to_contain_text("two", timeout=SLOW)
        sockets[0].close()
        expect(page.locator("#connection")).not_to_have_text("connected", timeout=SLOW)
        expect(page.locator("#connection")).to_have_text("connected", timeout=SLOW)
        expect(page.get_by_role("button", name="Take the imu back")).to_be_visible(timeout=SLOW)
        assert len(sockets) == 2
