"""Picture the studio for README.md, with a project's takes and what a camera and a microphone give.

    uv run python docs/picture_studio.py PROJECT FILM.y4m SOUND.wav docs/studio.webp

needs Debian's chromium, at /usr/bin/chromium, which plays the film and the sound again and again.
"""

import sys
from io import BytesIO
from pathlib import Path

from pictures import SIZE, served
from PIL import Image
from playwright.sync_api import sync_playwright

QUALITY = 60


def main(project: Path, film: Path, sound: Path, out: Path) -> None:
    """Wait for an answer that is sure, and write the picture."""
    flags = [
        "--no-sandbox",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
        f"--use-file-for-fake-audio-capture={sound}",
    ]
    with served("studio", str(project)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(address)
        page.get_by_role("button", name="Use this camera and microphone").click()
        page.locator("#evidence", has_text="%, by microphone and camera").wait_for()
        page.locator(".take:not(:has(img))").first.wait_for(state="detached")
        picture = Image.open(BytesIO(page.screenshot(type="png"))).convert("RGB")
        browser.close()
    picture.save(out, quality=QUALITY, method=6)
    sys.stdout.write(f"{out}: {out.stat().st_size / 1e3:.0f} kB\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]))
