"""The page learns new classes without a network, and saves takes, bundle and record."""

import json
import os
import re
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Download, Page, Playwright, expect
from sensemble_apps.cli import main
from sensemble_runtime import Bundle
from sensemble_runtime.record.reader import read_events, read_predictions, read_runs
from sensemble_sensors.media.dataset import read_dataset

from tests.apps.chromium import NO_GPU, SLOW, chromium, complaining
from tests.apps.conftest import COMMAND, ROOT, tiny

from .hosting import hosted

pytestmark = pytest.mark.needs("chromium", "web-app")

TAKES = 3
# What the page sees and hears is drawn and played by the test, which changes it between takes.
_DEVICES = """() => {
    const canvas = document.createElement("canvas");
    const pencil = canvas.getContext("2d");
    let [colour, hertz] = ["rgb(220, 40, 40)", 300];
    setInterval(() => {
        pencil.fillStyle = colour;
        pencil.fillRect(0, 0, canvas.width, canvas.height);
        pencil.fillStyle = "white";
        pencil.fillRect(canvas.width / 2 + 10 * Math.random(), 10, 9, 9); // else it were frozen
    }, 40);
    window.show = (...wanted) => {
        [colour, hertz] = wanted;
        if (window.tone) window.tone.frequency.value = hertz;
    };
    navigator.mediaDevices.getUserMedia = async ({video}) => {
        if (video) return canvas.captureStream(25);
        const context = new AudioContext();
        window.tone = new OscillatorNode(context, {frequency: hertz});
        const out = context.createMediaStreamDestination();
        window.tone.connect(out);
        window.tone.start();
        return out.stream;
    };
}"""
# A session of long ago, and a row by which the record has as many as it keeps.
_FULL = """() => new Promise((resolve) => {
    indexedDB.open("sensemble").onsuccess = ({target: {result: db}}) => {
        const change = db.transaction(["runs", "items"], "readwrite");
        const row = {at: 0, time: 0, name: "", modality: "", kind: "live", reason: ""};
        const run = {kind: "session", began: 0, offset: 0, bundle: "long ago", labels: "[]"};
        change.objectStore("runs").put({id: 1, task: "multi-class", ...run});
        for (const [id, run] of [[1, 1], [2, 1], [50_499, 2]])
            change.objectStore("items").put({id, run, table: "events", row});
        change.oncomplete = resolve;
    };
})"""
_SOUND = "--autoplay-policy=no-user-gesture-required"
SHOWN = {"dark": ("rgb(30, 30, 30)", 300), "bright": ("rgb(200, 200, 200)", 1800)}

expect.set_options(timeout=SLOW)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two small encoders, which nobody has taught."""
    out = tmp_path_factory.mktemp("learning") / "site"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # the encoders are found
    subprocess.run([COMMAND, "web", *tiny("audio", "video"), "--out", out], env=environment, check=True)
    return out


def take(page: Page, label: str) -> None:
    """Hold a class's button until two windows of each sensor are of the take."""
    hold = page.get_by_role("button", name=f"Hold to record {label}")
    row = page.locator("#class-list li").filter(has=hold).locator(".state")
    count = int((row.text_content() or "0").split()[0])
    hold.dispatch_event("pointerdown")
    expect(page.locator("#learned")).to_have_text(re.compile(r"([4-9]|\d\d+) windows"))
    hold.dispatch_event("pointerup")
    expect(row).to_contain_text(f"{count + 1} take")


def saved(page: Page, button: str, folder: Path) -> Path:
    with page.expect_download() as found:
        page.get_by_role("button", name=button).click()
    download: Download = found.value
    path = folder / download.suggested_filename
    download.save_as(path)
    return path


def unpacked(path: Path) -> Path:
    with zipfile.ZipFile(path) as archive:
        archive.extractall(path.with_suffix(""))
    return path.with_suffix("")


def test_it_learns_offline_and_what_it_saves_is_read(
    site: Path, playwright: Playwright, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        hosted(site) as server,
        chromium(playwright, _SOUND) as browser,
    ):
        context = browser.new_context(accept_downloads=True)
        context.add_init_script(f"({_DEVICES})()")
        page = context.new_page()
        complaints = complaining(page)
        page.goto(f"http://localhost:{server.server_port}/")
        expect(page.locator("#offline")).to_have_text("works offline")
        context.set_offline(True)
        page.reload()
        expect(page.locator("#learned")).to_contain_text("two takes of each")  # the takes of before were read
        page.evaluate(_FULL)
        page.get_by_role("button", name="Give this camera").click()
        page.get_by_role("button", name="Give this microphone").click()
        expect(page.locator("#lattice .lit .names")).to_have_text("microphone + camera")
        expect(page.locator("#label")).to_have_text("unsure: nothing learned yet")
        expect(page.locator("#lattice-panel")).not_to_be_visible()  # of dashes alone
        page.get_by_label("Names").fill(", ".join(SHOWN))
        page.get_by_label("Names").press("Enter")
        expect(page.locator("#view")).to_be_visible()
        for _ in range(TAKES):
            for label, shown in SHOWN.items():
                page.evaluate("shown => window.show(...shown)", shown)
                take(page, label)
        expect(page.locator("main")).to_contain_text(
            re.compile("learned in.*Show it bright or dark", re.DOTALL)
        )
        rows = page.locator("#class-list li")
        expect(rows.first).to_contain_text(f"of {TAKES} right")
        for label, shown in SHOWN.items():
            page.evaluate("shown => window.show(...shown)", shown)
            expect(page.locator("#label")).to_have_text(re.compile(f"^(unsure: )?{label}"))
        page.reload()  # what was taken is kept
        expect(rows.first).to_contain_text(f"{TAKES} takes")
        expect(page.locator("#learned")).to_contain_text("learned in")
        takes = unpacked(saved(page, "Save the takes", tmp_path))
        learned = unpacked(saved(page, "Save the bundle", tmp_path))
        record = saved(page, "Save the record", tmp_path)
        assert set(complaints) <= {NO_GPU}

    bundle = Bundle.open(learned, "onnx")
    assert bundle.manifest.labels == ("bright", "dark")
    assert not bundle.manifest.calibration.promised  # of six takes
    examples = read_dataset(takes).split("train")
    assert sorted(example.labels[0] for example in examples) == sorted(2 * list(SHOWN) + list(SHOWN))
    assert main(["audit", str(learned), "--data", str(takes), "--split", "train", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["subsets"]
    assert scores["audio+video"]["accuracy"] == 1
    sessions = read_runs(record)
    assert "long ago" not in {session.bundle for session in sessions}, "the oldest sessions go first"
    assert [len(session.labels) for session in sessions[:2]] == [1, 2], (
        "what is learned begins another session"
    )
    predictions = read_predictions(record, sessions[1].id)
    assert {"+".join(one.live) for one in predictions} >= {"audio+video"}
    assert np.allclose([one.probabilities.sum() for one in predictions], 1, atol=1e-5)
    assert "attached" in {event.kind for event in read_events(record, sessions[0].id)}
    assert main(["history", str(record)]) == 0
    assert "microphone + camera" in capsys.readouterr().out
