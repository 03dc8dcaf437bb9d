"""`sensemble serve` and `sensemble studio`: what they print, how they end, and what they refuse."""

import json
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sensemble_apps.live_page.gallery import Gallery
from sensemble_apps.web.security import Access
from sensemble_apps.web.server import listen, running_server

from tests.apps.clips import write_dataset
from tests.apps.conftest import DemoRun, Refusal
from tests.apps.http_client import ask
from tests.apps.served import running, wait_for_state

pytestmark = pytest.mark.real


def test_a_demo_plays_the_dataset_of_its_run_folder_by_itself(bundle_folder: Path) -> None:
    with running("serve", bundle_folder, "--demo") as (_, address):
        answer = wait_for_state(
            address, lambda answer: "detached" in {one["kind"] for one in answer["state"]["sensors"]}
        )
    assert {one["name"] for one in answer["state"]["sensors"]} == {
        "replay audio",
        "replay text",
        "replay video",
    }


@pytest.mark.parametrize("config", ["{}", "[" * 100_000, '{"data": 3}'])
def test_a_demo_without_a_dataset_is_refused(tmp_path: Path, config: str, refusal: Refusal) -> None:
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "bundle").mkdir()
    assert "config.json names no dataset" in refusal("serve", tmp_path / "bundle", "--demo", "--port", "0")


def test_without_a_bundle_those_at_hand_are_offered_and_one_is_opened(demo: DemoRun) -> None:
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    gallery = Gallery(demo.folder.parent, "127.0.0.1")
    with closing(gallery), running_server(listening, Access(), gallery.routes, 1):
        page = ask(port, "/")[2].decode()
        assert all(words in page for words in ("zero, one and two", "by 6 examples", "Play an example"))
        assert ask(port, "/open/demo/elsewhere/bundle")[0] == 404
        status, headers, _ = ask(port, "/open/demo/run/bundle")
        assert status == 303
        wait_for_state(headers["location"], lambda state: state["state"]["answer"])


def test_a_project_is_served_with_the_sensors_of_this_machine(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    clips = write_dataset(tmp_path / "clips", {"eval": 1})
    with running("studio", folder, "--camera", str(clips / "eval-one-0.mkv")) as (process, address):
        port = urlsplit(address).port or 0
        assert ask(port, "/api/add_classes", "POST", {"names": "clap"})[0] == 204
        state = json.loads(ask(port, "/api/state")[2])
    assert address == f"http://127.0.0.1:{port}/"
    assert [sensor["modality"] for sensor in state["sensors"]] == ["video"]
    assert process.returncode == 130
    assert json.loads((folder / "studio.json").read_text()) == {"classes": ["clap"]}


def test_what_cannot_be_a_project_is_refused_in_a_line(refusal: Refusal, tmp_path: Path) -> None:
    data = tmp_path / "project" / "data"
    data.mkdir(parents=True)
    (tmp_path / "project" / "studio.json").write_text('{"classes": []}')
    (data / "index.jsonl").write_text("{}\n")
    assert "index.jsonl:1: " in refusal("studio", tmp_path / "project", "--port", "0")
