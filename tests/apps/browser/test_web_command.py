"""`sensemble web` writes a site, and refuses bundles and folders that it cannot use."""

import gzip
from dataclasses import replace
from errno import ENOSPC
from pathlib import Path

import pytest
from sensemble_apps.cli import main
from sensemble_apps.web import site, site_folder
from sensemble_apps.web.site import write_site
from sensemble_apps.web.site_folder import LIST
from sensemble_runtime.bundle.manifest_file import read_manifest, write_manifest
from sensemble_sensors import durable
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
    site = tmp_path / "site"
    for _ in range(2):
        assert main(["web", str(bundle), "--out", str(site)]) == 0
    assert {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()} == {
        LIST,
        *("index.html", "app.webmanifest", "record.sqlite", "assets/page.js"),
        *(f"bundle/{name}" for name in ("manifest.json", "head.safetensors", "tokenizer.json")),
        *(f"bundle/{modality}/x.onnx" for modality in SPECS),
    }
    packed = (site / "bundle" / "head.safetensors").read_bytes()
    assert gzip.decompress(packed) == (bundle / "head.safetensors").read_bytes()


def test_what_it_refuses(bundle: Path, tmp_path: Path, refusal: Refusal) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years")
    assert "holds thesis.txt, which" in refusal("web", bundle, "--out", mine)
    assert "holds thesis.txt, which" in refusal(
        "web", "--out", mine, "--encoder", "audio=none"
    )  # first of all
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    assert "is a link" in refusal("web", bundle, "--out", tmp_path / "link")
    assert "is not a folder" in refusal("web", bundle, "--out", mine / "thesis.txt")
    encoder = bundle / "audio" / "x.onnx"
    encoder.write_bytes(encoder.read_bytes()[:-1] + b"y")
    assert "altered" in refusal("web", bundle, "--out", tmp_path / "b")
    assert not (tmp_path / "b").exists()
    manifest = bundle / "manifest.json"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace('"onnx"', '"coreml"'), encoding="utf-8")
    assert "not exported for browsers: audio" in refusal("web", bundle, "--out", tmp_path / "d")
    contents = read_manifest(manifest)
    heat = (Channel("heat", "K", 0, 400),)
    thermal = replace(SPECS["video"], dtype="float32", shape=(1, 2, 32, 32, 1), channels=heat)
    video = replace(contents.modalities["video"], spec=thermal)
    write_manifest(replace(contents, modalities={**contents.modalities, "video": video}), manifest)
    assert "video: frames of one channel" in refusal("web", bundle, "--out", tmp_path / "e")


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("name", [".git/HEAD", "bundle/notes", "assets/page.js", "assets"])
def test_a_folder_that_holds_anything_else_stays_as_it_is(
    bundle: Path, tmp_path: Path, name: str, refusal: Refusal
) -> None:
    """A site of before was removed whole with its `.git`; a link was followed to what it leads to."""
    site, other = tmp_path / "site", tmp_path / "other"
    write_site(bundle, site)
    if (site / name).exists():
        (site / name).rename(other)
        (site / name).symlink_to(other)
    else:
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_text("years")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert f"holds {name}, which" in refusal("web", bundle, "--out", site)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.usefixtures("app")
def test_a_place_in_or_above_the_bundle_is_refused(bundle: Path, tmp_path: Path, refusal: Refusal) -> None:
    (tmp_path / "app.webmanifest").write_text("{}")
    (tmp_path / "link").symlink_to(bundle)
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    inside = (bundle, bundle / "site", bundle / "audio", tmp_path / "link" / "site")
    for out in (*inside, tmp_path, bundle / ".." / "bundle"):
        assert "--out" in refusal("web", bundle, "--out", out)
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before


def test_an_error_or_a_kill_leaves_the_earlier_site(
    bundle: Path, app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Refusal
) -> None:
    site = tmp_path / "site"
    write_site(bundle, site)
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    (app / "index.html").write_text("new")
    (app / "later.js").write_text("new")

    write = durable.write

    def full(path: Path, data: bytes) -> None:
        if path.name == "later.js":
            raise OSError(ENOSPC, "No space left on device")
        write(path, data)

    with monkeypatch.context() as broken:
        broken.setattr(site_folder.durable, "write", full)
        assert "No space left" in refusal("web", bundle, "--out", site)
        assert "No space left" in refusal("web", bundle, "--out", tmp_path / "new")
    assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "new").exists()
    left = site / ".sensemble-site.partial"  # as a kill leaves it
    left.mkdir()
    (left / "index.html").write_text("half")
    (app / "assets" / "page.js").unlink()
    write_site(bundle, site)
    assert not left.exists()
    assert (site / "index.html").read_text() == "new"
    assert not (site / "assets").exists()
