"""`sensemble studio`: what it prints, how it ends, who is let in, and what it refuses."""

import json
from pathlib import Path
from urllib.parse import urlsplit

from tests.apps.clips import write_dataset
from tests.apps.conftest import Refusal
from tests.apps.http_client import ask
from tests.apps.served import running


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
    assert "index.jsonl:1: " in refusal("studio", tmp_path / "project")
