"""`sensemble serve`: what it prints, how it ends, and what it refuses."""

import re
from contextlib import closing
from pathlib import Path

import pytest
from sensemble_apps.live_page.gallery import Gallery
from sensemble_apps.web.security import Access
from sensemble_apps.web.server import listen, running_server

from tests.apps.conftest import DemoRun, Refusal
from tests.apps.http_client import ask
from tests.apps.served import running, statuses_by_token, wait_for_state


def test_a_replay_is_served_on_loopback_until_ctrl_c(bundle_folder: Path, dataset_folder: Path) -> None:
    with running("serve", bundle_folder, "--replay", dataset_folder) as (process, address):
        answer = wait_for_state(address)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
    assert {sensor["modality"] for sensor in answer["state"]["sensors"]} == {"audio", "text", "video"}
    assert process.returncode == 130


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


def test_another_address_has_a_token_and_tls(bundle_folder: Path) -> None:
    with running("serve", bundle_folder, "--host", "0.0.0.0") as (process, address):  # noqa: S104
        assert re.search(r"SHA-256 must be ([0-9A-F]{2}:){31}[0-9A-F]{2}$", process.stdout.readline())
        assert "\N{UPPER HALF BLOCK}" in process.stdout.readline() + process.stdout.readline()
        assert statuses_by_token(address) == [401, 200]


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
