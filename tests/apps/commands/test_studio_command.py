"""`sensemble studio`: what it prints, how it ends, who is let in, and what it refuses."""

import json
import re
import signal
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

from tests.apps.clips import write_dataset
from tests.apps.conftest import COMMAND, Refusal


@contextmanager
def running(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command; give the process and the address that it prints."""
    command = [COMMAND, "studio", *arguments, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"the studio: (\S+) ", line)
        assert found, line + (process.stderr.read() if process.stderr else "")
        try:
            yield process, found[1]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


def test_a_project_is_served_on_loopback_with_the_sensors_of_this_machine(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "project"
    clips = write_dataset(tmp_path / "clips", {"eval": 1})
    with running(folder, "--camera", str(clips / "eval-one-0.mkv")) as (process, address):
        port = int(re.findall(r":(\d+)/", address)[0])
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/api/add_class", json.dumps({"name": "clap"}))
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (204, b"")
        connection.request("GET", "/api/state")
        state = json.loads(connection.getresponse().read())
    assert address == f"http://127.0.0.1:{port}/"
    assert [sensor["modality"] for sensor in state["sensors"]] == ["video"]
    assert process.returncode == 130
    assert json.loads((folder / "studio.json").read_text()) == {"classes": ["clap"]}


def test_another_address_has_a_token_and_tls(tmp_path: Path) -> None:
    with running(tmp_path / "project", "--host", "0.0.0.0") as (_, address):  # noqa: S104
        found = re.fullmatch(r"https://[^/]+:(\d+)/\?token=([\w-]{20,})", address)
        assert found
        statuses = []
        for headers in ({}, {"Authorization": f"Bearer {found[2]}"}):
            context = ssl._create_unverified_context()  # noqa: S323 - the certificate has its own test
            connection = HTTPSConnection("127.0.0.1", int(found[1]), timeout=60, context=context)
            connection.request("GET", "/api/state", headers=headers)
            statuses.append(connection.getresponse().status)
    assert statuses == [401, 200]


def test_what_cannot_be_a_project_is_refused_in_a_line(refusal: Refusal, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    assert "no project of the studio" in refusal("studio", tmp_path)
    assert "--key: only for --certificate" in refusal("studio", tmp_path / "new", "--key", "x")
    data = tmp_path / "project" / "data"
    data.mkdir(parents=True)
    (tmp_path / "project" / "studio.json").write_text('{"classes": []}')
    (data / "index.jsonl").write_text("{}\n")
    assert "index.jsonl:1: " in refusal("studio", tmp_path / "project")
    assert not (tmp_path / "new").exists()
