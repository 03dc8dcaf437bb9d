"""A model leaves the studio: onto a phone of the network, and in files."""

import io
import json
import ssl
import zipfile
from pathlib import Path
from urllib.request import HTTPCookieProcessor, HTTPSHandler, build_opener

import pytest
from sensemble_apps.studio.project import Project
from sensemble_runtime import Bundle

from tests.apps.browser.colours import write_colours
from tests.waiting import wait_until

from .studying import Steady, Studying, studying

pytestmark = pytest.mark.real


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with a run that browsers can run, and one that nobody trained to its end."""
    folder = tmp_path / "project"
    with Project(folder) as project:
        write_colours(project.next_run().folder / "bundle")
        project.next_run()
    return folder


def contents(served: Studying, what: str) -> dict[str, bytes]:
    status, _, body = served.ask(f"/download/{what}.zip?run=1")
    assert status == 200
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_phone_of_the_network_gets_the_page_by_its_token_and_only_while_it_is_served(folder: Path) -> None:
    with studying(folder) as served:
        assert "no bundle yet" in served.act("send_to_phones", run=2)
        assert served.state()["project"]["phones"] is None
        assert served.act("send_to_phones", run=1) == ""
        phones = served.state()["project"]["phones"]
        assert phones["code"].startswith("data:image/svg+xml")
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        opener = build_opener(HTTPSHandler(context=trusting), HTTPCookieProcessor())
        with opener.open(phones["address"]) as page:
            assert b"Sensemble" in page.read()
        address = phones["address"].partition("?")[0]
        with opener.open(f"{address}bundle/manifest.json") as manifest:
            assert json.loads(manifest.read())["labels"]
        assert served.act("stop_phones") == ""
        with pytest.raises(OSError, match="refused"):
            opener.open(address)


def test_downloads_hold_the_model_a_site_of_it_and_the_takes(folder: Path, tmp_path: Path) -> None:
    with studying(folder, Steady("video")) as served:
        served.act("add_classes", names="cup")
        served.take("cup")
        model, site, data = (contents(served, what) for what in ("model", "site", "data"))
        assert served.ask("/download/studio.zip?run=1")[0] == 404
        assert served.ask("/download/site.zip?run=2")[0] == 400
    for name, content in model.items():
        (tmp_path / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / name).write_bytes(content)
    assert Bundle.open(tmp_path / "model", "onnx").labels
    assert {"index.html", "sw.js", "bundle/manifest.json"} <= site.keys()
    assert b'"cup"' in data["index.jsonl"]


def test_a_model_that_cannot_be_made_ready_for_phones_says_why(folder: Path) -> None:
    manifest = folder / "runs" / "1" / "bundle" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"onnx"', '"coreml"'))
    with studying(folder) as served:
        assert "try it again" in served.act("send_to_phones", run=1)
        wait_until(lambda: served.studio.preparation.status == "failed")
        assert "could not be made" in served.act("send_to_phones", run=1)
