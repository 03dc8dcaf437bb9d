"""A bundle in Chromium, Firefox and WebKit: the page answers there, and encodes as ONNX Runtime does here."""

import os
import shlex
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest
from sensemble_apps.web.browser import Browser
from sensemble_apps.web.site import write_site
from sensemble_runtime import Bundle

from tests.apps.clips import CLASSES
from tests.needs import WEBKIT
from tests.parts import running_sound_server
from tests.waiting import wait_until

from .colours import SPECS, windows, write_colours
from .hosting import Quiet, hosted

pytestmark = pytest.mark.needs("web-app")

PROGRAMS = [
    pytest.param("/usr/bin/chromium", marks=pytest.mark.needs("chromium")),
    pytest.param("firefox-esr", marks=pytest.mark.needs("firefox-esr")),
    pytest.param(f"xvfb-run -a {WEBKIT}", marks=pytest.mark.needs("webkit")),
]
SLOW = 600.0  # seconds
_FAKES = """user_pref("media.navigator.streams.fake", true);
user_pref("media.navigator.permission.disabled", true);
user_pref("media.autoplay.default", 0);
"""
# What each browser can be given without a person and without a device.
GIVEN = [
    pytest.param("firefox-esr", "audio text video", marks=pytest.mark.needs("firefox-esr", "pulseaudio")),
    pytest.param(f"xvfb-run -a {WEBKIT}", "text", marks=pytest.mark.needs("webkit")),
]
# Presses the page's buttons from around it, as a person does, and tells the server what it answers.
_PRESS = """<!doctype html><iframe src="./" allow="camera; microphone" width="800" height="800"></iframe>
<script type="module">
const place = (name) => document.querySelector("iframe").contentDocument.querySelector(name);
const until = async (find) => {
    for (;;) {
        const found = find();
        if (found) return found;
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
};
const tell = (body) => fetch("answer", {method: "POST", body});
const given = new URLSearchParams(location.search).get("give").split(" ");
const buttons = {audio: "Give this microphone", text: "Write captions", video: "Give this camera"};
for (const modality of given) {
    (await until(() => place(`[aria-label="${buttons[modality]}"]`))).click();
    const state = () => place(`[data-modality=${modality}] .state`)?.textContent;
    await until(() => (state() || "is being opened") !== "is being opened");
}
if (given.includes("text")) {
    place("#caption-text").value = "this is two";
    place("#caption-text").form.requestSubmit();
}
const names = {audio: "microphone", text: "captions", video: "camera"};
const used = new Set();
await until(() => {
    for (const name of place("#lattice .lit .names")?.textContent.split(" + ") ?? []) used.add(name);
    return given.every((modality) => used.has(names[modality]));
});
await tell((await until(() => place("#classes li span"))).textContent);
</script>"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page and a bundle, with a page around it."""
    folder = tmp_path_factory.mktemp("engines")
    write_site(write_colours(folder / "bundle"), folder / "site")
    (folder / "site" / "press.html").write_text(_PRESS, encoding="utf-8")
    return folder / "site"


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_opens_a_bundle_and_encodes_as_here(program: str, site: Path) -> None:
    bundle = Bundle.open(site.with_name("bundle"), "onnx")
    with Browser(program, site) as browser:
        for modality in SPECS:
            for window in windows(modality):
                embedding, milliseconds = browser.encode(modality, window)
                np.testing.assert_allclose(embedding, bundle.encode(modality, window), atol=1e-5)  # type: ignore[arg-type]
                assert milliseconds >= 0


def test_what_a_wrapper_started_ends_with_it(tmp_path: Path) -> None:
    """`xvfb-run` does not end its browser."""
    wrapper, noted = tmp_path / "wrapper", tmp_path / "pid"
    wrapper.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {noted}.new\nmv {noted}.new {noted}\nwait\n")
    wrapper.chmod(0o700)
    with Browser(str(wrapper), tmp_path):
        wait_until(noted.exists)
    wait_until(lambda: not Path(f"/proc/{noted.read_text().strip()}").exists())


@pytest.mark.parametrize(("program", "given"), GIVEN)
def test_the_page_answers_from_what_it_is_given(program: str, given: str, site: Path, tmp_path: Path) -> None:
    answers: SimpleQueue[str] = SimpleQueue()

    class Told(Quiet):
        def do_POST(self) -> None:  # noqa: N802 - as its base
            answers.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(204)
            self.end_headers()

    options, sound = list[str](), ExitStack()
    if "firefox" in program:
        (tmp_path / "user.js").write_text(_FAKES, encoding="utf-8")
        options = ["--headless", "--no-remote", "--profile", str(tmp_path)]
        sound.enter_context(running_sound_server(tmp_path))  # it hears nothing where it can play nothing
    with sound, hosted(site, Told) as server:
        address = f"http://localhost:{server.server_port}/press.html?give={given.replace(' ', '+')}"
        with subprocess.Popen([*shlex.split(program), *options, address], process_group=0) as browser:
            try:
                assert answers.get(timeout=SLOW) in CLASSES
            finally:
                os.killpg(browser.pid, signal.SIGTERM)
