"""`sensemble serve`: what it prints, how it ends, and what it refuses."""

from contextlib import closing
from pathlib import Path

import pytest
from sensemble_apps.live_page.gallery import Gallery
from sensemble_apps.web.security import Access
from sensemble_apps.web.server import listen, running_server

from tests.apps.conftest import DemoRun, Refusal
from tests.apps.http_client import ask
from tests.apps.served import running, wait_for_state


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
    assert "config.json names no dataset" in refusal("serve", tmp_path / "bundle", "--demo")


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
