"""The npm package: the code in its README, in a page that another project bundles."""

import re
import subprocess
import tarfile
from pathlib import Path

import pytest
from playwright.sync_api import Playwright

from tests.apps.chromium import SLOW, chromium, devices

from .colours import write_colours
from .hosting import WEB, hosted

pytestmark = pytest.mark.needs("chromium", "web-app")

LABEL = "two"


def test_the_code_of_its_readme_answers(playwright: Playwright, tmp_path: Path) -> None:
    packed = subprocess.run(
        ["npm", "pack", "--silent", "--pack-destination", tmp_path], cwd=WEB, check=True, capture_output=True
    )
    modules, package = tmp_path / "node_modules", tmp_path / "node_modules" / "sensemble-web"
    modules.mkdir()
    for module in (WEB / "node_modules").iterdir():  # what npm would install
        (modules / module.name).symlink_to(module)
    with tarfile.open(tmp_path / packed.stdout.decode().split()[-1]) as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "package").rename(package)

    code = re.search(r"```ts\n(.*?)```", (WEB / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    own = code[1].replace('"https://example.org/bundle"', 'new URL("bundle", location.href).href')
    (tmp_path / "main.ts").write_text(own, encoding="utf-8")
    (tmp_path / "index.html").write_text('<script type="module" src="/main.ts"></script>')
    options = ["--strict", "--noEmit", "--target", "es2022", "--module", "es2022"]
    options += ["--moduleResolution", "bundler", "--types", "vite/client"]
    subprocess.run([modules / "typescript/bin/tsc", *options, "main.ts"], cwd=tmp_path, check=True)
    subprocess.run([modules / "vite/bin/vite.js", "build"], cwd=tmp_path, check=True, capture_output=True)
    write_colours(tmp_path / "dist" / "bundle")
    flags = devices(tmp_path, LABEL)
    with hosted(tmp_path / "dist") as server, chromium(playwright, *flags) as browser:
        page = browser.new_context(permissions=["camera", "microphone"]).new_page()
        with page.expect_console_message(
            lambda message: f"[audio, video] {LABEL}" in message.text, timeout=SLOW
        ):
            page.goto(f"http://localhost:{server.server_port}/")
