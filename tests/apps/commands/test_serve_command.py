"""`sensemble serve`: what it prints, how it ends, and what it refuses."""

import json
import re
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest

from tests.apps.conftest import COMMAND, Refusal


@contextmanager
def running(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command; give the process and the address that it prints."""
    command = [COMMAND, "serve", *arguments, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"the live page: (\S+) ", line)
        assert found, line + (process.stderr.read() if process.stderr else "")
        try:
            yield process, found[1]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


def test_a_replay_is_served_on_loopback_until_ctrl_c(bundle_folder: Path, dataset_folder: Path) -> None:
    with running(bundle_folder, "--replay", dataset_folder) as (process, address):
        port = int(re.findall(r":(\d+)/", address)[0])
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/api/state")
        answer = json.loads(connection.getresponse().read())
    assert address == f"http://127.0.0.1:{port}/"
    assert {sensor["modality"] for sensor in answer["state"]["sensors"]} == {"audio", "text", "video"}
    assert process.returncode == 130


def test_another_address_has_a_token_and_tls(bundle_folder: Path) -> None:
    with running(bundle_folder, "--host", "0.0.0.0") as (process, address):  # noqa: S104
        assert process.stdout is not None
        assert re.search(r"SHA-256 must be ([0-9A-F]{2}:){31}[0-9A-F]{2}$", process.stdout.readline())
        assert "\N{UPPER HALF BLOCK}" in process.stdout.readline() + process.stdout.readline()
        found = re.fullmatch(r"https://[^/]+:(\d+)/\?token=([\w-]{20,})", address)
        assert found
        statuses = []
        for headers in ({}, {"Authorization": f"Bearer {found[2]}"}):
            context = ssl._create_unverified_context()  # noqa: S323 - the certificate has its own test
            connection = HTTPSConnection("127.0.0.1", int(found[1]), timeout=60, context=context)
            connection.request("GET", "/api/state", headers=headers)
            statuses.append(connection.getresponse().status)
    assert statuses == [401, 200]


def test_what_cannot_be_served_is_refused_in_a_line(bundle_folder: Path, refusal: Refusal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = refusal("serve", bundle_folder, "--host", "127.0.0.1", "--port", port)
        assert re.match(rf"sensemble: --host 127.0.0.1 --port {port}: cannot be served .*; --port 0", line)
    assert "cannot be served" in refusal("serve", bundle_folder, "--host", "no-such-host.invalid")
    assert "--port 70000: give 0 to 65535" in refusal("serve", bundle_folder, "--port", "70000")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--replay", "x", "--watch"), "give one of --replay"),
        (("--media", "x", "--camera", "0"), "give one of --replay"),
        (("--split", "eval"), "--split: only for --replay"),
        (("--key", "x"), "--key: only for --certificate"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    bundle_folder: Path, refusal: Refusal, arguments: tuple[str, ...], reason: str
) -> None:
    assert refusal("serve", bundle_folder, *arguments).startswith(f"sensemble: {reason}")
