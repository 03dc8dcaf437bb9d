"""Debian's Chromium with a camera and a microphone of files, driven through Playwright."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import Browser, Page, Playwright

from tests.apps.clips import CLASSES
from tests.needs import WEB_CHECKS, need
from tests.parts import write_wav

SIDE, FPS, RATE = 96, 15, 16000
LOOKS = ((390, "light"), (390, "dark"), (768, "light"), (1440, "dark"))  # widths and colour schemes
SLOW = 180_000  # milliseconds; a busy machine is no failure
NO_GPU = "No available adapters."  # which Chromium says itself, of a machine without one

_AXE = WEB_CHECKS / "axe-core" / "axe.min.js"
_VIOLATIONS = """axe.run().then(({violations}) =>
    violations.map(({id, nodes}) => [id, nodes.map(({html}) => html)]))"""
_OUTLINED = """[document.activeElement, document.activeElement.closest("label")]
    .some((element) => element && getComputedStyle(element).outlineStyle !== "none")"""
_STOPS = """[...document.querySelectorAll("a[href], button:not(:disabled), input, select, [tabindex='0']")]
    .filter((element) => element.checkVisibility() && element.tabIndex >= 0)
    .filter((element) => element.type !== "radio" || element.checked)
    .map((element, index) => element.dataset.stop = index)"""


def _film(path: Path, label: str) -> Path:
    """Write two seconds of the picture of a class as Y4M, which a fake camera plays again and again."""
    rng = np.random.default_rng(0)
    frames = np.clip(rng.normal(CLASSES[label][0], 12, (2 * FPS, SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{SIDE} H{SIDE} F{FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in frames:
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


def _sound(path: Path, label: str, doubtful: float) -> Path:
    """Write two seconds of the sound of a class, and then of all, as a WAV file, which is played again."""
    rng, times = np.random.default_rng(0), np.arange(2 * RATE) / RATE
    heard = 0.4 * np.sin(2 * np.pi * CLASSES[label][1] * times)
    later = np.arange(round(doubtful * RATE)) / RATE
    every = sum(0.2 * np.sin(2 * np.pi * hertz * later) for _, hertz in CLASSES.values())
    heard = np.concatenate([heard, every])
    return write_wav(path, np.clip(heard + rng.normal(0, 0.02, len(heard)), -1, 1), RATE)


@contextmanager
def chromium(playwright: Playwright, *arguments: str) -> Iterator[Browser]:
    """Start a headless Chromium."""
    flags = ["--no-sandbox", "--disable-gpu", *arguments]
    browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
    try:
        yield browser
    finally:
        browser.close()


def devices(folder: Path, label: str, doubtful: float = 0.0) -> tuple[str, ...]:
    """Return the flags of a browser whose camera and microphone show a class, and which asks nobody.

    After each two seconds of the class, the microphone hears all classes for `doubtful` seconds.
    """
    film, sound = _film(folder / f"{label}.y4m", label), _sound(folder / f"{label}.wav", label, doubtful)
    return (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
        f"--use-file-for-fake-audio-capture={sound}",
    )


def objects(page: Page, of: str) -> int:
    """Count what a page still holds of a class of JavaScript, after its garbage was collected."""
    devtools = page.context.new_cdp_session(page)
    found = devtools.send("Runtime.evaluate", {"expression": f"{of}.prototype"})["result"]
    query = {"prototypeObjectId": found["objectId"]}
    held = devtools.send("Runtime.queryObjects", query)["objects"]
    asked = {"objectId": held["objectId"], "returnByValue": True}
    count = "function() { return this.length; }"
    answer = devtools.send("Runtime.callFunctionOn", asked | {"functionDeclaration": count})
    return int(answer["result"]["value"])


def lay_down(page: Page) -> None:
    """Give the browser the motion sensors of a phone that lies on its back."""
    devtools = page.context.new_cdp_session(page)
    for sensor, z in (("accelerometer", 9.8), ("linear-acceleration", 0.0), ("gyroscope", 0.0)):
        metadata = {"available": True}
        devtools.send(
            "Emulation.setSensorOverrideEnabled", {"enabled": True, "type": sensor, "metadata": metadata}
        )
        reading = {"xyz": {"x": 0.1, "y": 0.1, "z": z}}
        devtools.send("Emulation.setSensorOverrideReadings", {"type": sensor, "reading": reading})


def complaining(page: Page) -> list[str]:
    """Return a list of what the console of a page complains about from now on."""
    complaints: list[str] = []
    page.on(
        "console", lambda message: complaints.extend([message.text] * (message.type in ("error", "warning")))
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


def inaccessible(page: Page) -> list[Any]:
    """Return what axe finds on a page."""
    need("web-checks")
    page.evaluate(_AXE.read_text())
    found: list[Any] = page.evaluate(_VIOLATIONS)
    return found


def unreached(page: Page) -> set[int]:
    """Press the tabulator until all that can be used was reached, and is seen to be; return what was not."""
    wanted = set(page.evaluate(_STOPS))
    for _ in range(3 * len(wanted)):
        page.keyboard.press("Tab")
        stop = page.evaluate("document.activeElement?.dataset.stop ?? ''")
        if stop and page.evaluate(_OUTLINED):
            wanted.discard(int(stop))
    return wanted
