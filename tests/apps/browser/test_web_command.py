"""`sensemble web` writes a site, and refuses bundles and folders that it cannot use."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sensemble_apps.cli import main
from sensemble_apps.web import site
from sensemble_runtime.bundle.manifest_file import read_manifest, write_manifest
from sensemble_sensors.spec import Channel

from tests.apps.conftest import Refusal

from .colours import SPECS


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page that is built."""
    folder = tmp_path / "app"
    (folder / "assets").mkdir(parents=True)
    for name in ("index.html", "app.webmanifest", "assets/page.js"):
        (folder / name).write_text(name)
    monkeypatch.setattr(site, "APP", folder)
    return folder


@pytest.mark.usefixtures("app")
def test_a_site_holds_the_page_and_what_browsers_need_of_the_bundle(bundle: Path, tmp_path: Path) -> None:
    (bundle / "more.bin").write_bytes(b"not in the manifest")
    for _ in range(2):
        assert main(["web", str(bundle), "--out", str(tmp_path / "site")]) == 0
    found = {
        p.relative_to(tmp_path / "site").as_posix() for p in (tmp_path / "site").rglob("*") if p.is_file()
    }
    assert found == {
        "index.html",
        "app.webmanifest",
        "record.sqlite",
        "assets/page.js",
        *(f"bundle/{name}" for name in ("manifest.json", "head.safetensors", "tokenizer.json")),
        *(f"bundle/{modality}/x.onnx" for modality in SPECS),
    }


def test_what_it_refuses(bundle: Path, app: Path, tmp_path: Path, refusal: Refusal) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years")
    assert "holds other files" in refusal("web", bundle, "--out", mine)
    encoder = bundle / "audio" / "x.onnx"
    encoder.write_bytes(encoder.read_bytes()[:-1] + b"y")
    assert "altered" in refusal("web", bundle, "--out", tmp_path / "b")
    assert not (tmp_path / "b").exists()
    shutil.rmtree(app)
    assert "npm run build" in refusal("web", bundle, "--out", tmp_path / "c")
    manifest = bundle / "manifest.json"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace('"onnx"', '"coreml"'), encoding="utf-8")
    line = refusal("web", bundle, "--out", tmp_path / "d")
    assert "not exported for browsers: audio, imu, text and video; run `sensemble export RUN" in line
    contents = read_manifest(manifest)
    heat = (Channel("heat", "K", 0, 400),)
    thermal = replace(SPECS["video"], dtype="float32", shape=(1, 2, 32, 32, 1), channels=heat)
    video = replace(contents.modalities["video"], spec=thermal)
    write_manifest(replace(contents, modalities={**contents.modalities, "video": video}), manifest)
    line = refusal("web", bundle, "--out", tmp_path / "e")
    assert "video: frames of one channel, which no browser gives; export a run without that sensor" in line
