"""Encoders run by WebGPU where that is quicker and says the same; SwiftShader is the GPU here."""

from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, Playwright, expect

from tests.apps.chromium import SLOW, chromium, devices

from .hosting import hosted

pytestmark = pytest.mark.needs("chromium", "web-app")

LABEL = "two"
GPU = ("--enable-unsafe-webgpu", "--enable-features=Vulkan", "--use-webgpu-adapter=swiftshader")
_HAS_GPU = "async () => await sensemble.executor.available"
_TRIED = "() => Object.keys(sensemble.executor.trials).length === 2"
# Makes WebAssembly the slower one on any machine: it waits as long as the GPU took at least, and 30 ms.
_HOLD = """() => {
    const {executor} = sensemble;
    const {start, usual} = executor;
    const shortest = {};
    executor.start = () => {
        const gpu = start();
        const encode = gpu.encode;
        gpu.encode = async (name, window) => {
            const began = performance.now();
            const embedding = await encode(name, window);
            shortest[name] = Math.min(shortest[name] ?? Infinity, performance.now() - began);
            return embedding;
        };
        return gpu;
    };
    const encode = usual.encode.bind(usual);
    usual.encode = async (name, window) => {
        await new Promise((done) => setTimeout(done, (shortest[name] ?? 0) + 30));
        return encode(name, window);
    };
}"""
_LOSE = """() => {
    sensemble.executor.gpu.encode = () => Promise.reject(new Error("the device is lost"));
}"""

expect.set_options(timeout=SLOW)


def opened(page: Page, server: ThreadingHTTPServer, before: str = "") -> list[str]:
    """Open the page and give it a camera and a microphone; return what is asked of the server.

    Where there is something to do before, also wait for a GPU: at a busy start, there is none yet.
    """
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    page.goto(f"http://localhost:{server.server_port}/")
    expect(page.locator("#start-all")).to_be_visible()
    if before:
        for _ in range(20):
            if page.evaluate(_HAS_GPU):
                break
            page.reload()
            expect(page.locator("#start-all")).to_be_visible()
        page.evaluate(before)
    page.get_by_role("button", name="Use this device").click()
    expect(page.locator("#classes li").first).to_contain_text(LABEL)
    page.get_by_text("Session", exact=True).click()
    return asked


def test_webgpu_is_used_only_where_it_pays(site: Path, playwright: Playwright, tmp_path: Path) -> None:
    fakes = devices(tmp_path, LABEL)
    numbers = "#numbers"
    with hosted(site) as server:
        with chromium(playwright, *fakes) as browser:  # which has no adapter
            page = browser.new_context(permissions=["camera", "microphone"]).new_page()
            asked = opened(page, server)
            expect(page.locator(numbers)).to_contain_text("by WebAssembly")
            assert not [address for address in asked if "jspi" in address or "gpu" in address]
        with chromium(playwright, *fakes, *GPU) as browser:
            context = browser.new_context(permissions=["camera", "microphone"])
            page = context.new_page()
            opened(page, server, _HOLD)
            page.wait_for_function(_TRIED, timeout=SLOW)
            for modality, trial in page.evaluate("sensemble.executor.trials").items():
                assert trial["cosine"] > 0.9999, (modality, trial)
                assert trial["agrees"], (modality, trial)
            expect(page.locator(numbers)).to_contain_text("by WebGPU")
            expect(page.locator("#classes li").first).to_contain_text(LABEL)
            page.evaluate(_LOSE)
            expect(page.locator(numbers)).not_to_contain_text("by WebGPU")
            expect(page.locator("#classes li").first).to_contain_text(LABEL)
