"""Two hosts train one model: network namespaces of this machine, joined by a virtual cable."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from sensemble_train.distributed import alone

from tests.losses import read_losses
from tests.train.ranks import Job, train
from tests.waiting import PATIENCE

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[3]
FIRST = "10.77.0.1"  # the address of the first host
LAUNCH = f"-m torch.distributed.run --nnodes 2 --nproc-per-node 1 --master-addr {FIRST} --node-rank".split()


@contextmanager
def two_hosts() -> Iterator[list[str]]:
    """Yield the names of two namespaces, which reach each other alone."""
    hosts = [f"sensemble-{os.getpid()}-{place}" for place in (1, 2)]
    try:
        for host in hosts:
            ip("netns", "add", host)
        ip("-n", hosts[0], "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", hosts[1])
        for place, host in enumerate(hosts, 1):
            ip("-n", host, "address", "add", f"10.77.0.{place}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                ip("-n", host, "link", "set", device, "up")
        yield hosts
    finally:
        for host in hosts:
            subprocess.run(["ip", "netns", "delete", host], stderr=subprocess.DEVNULL, check=False)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def launch(hosts: list[str], job: Job) -> list[int]:
    """Start `torchrun` on each host; return how each ended."""
    run = ["-m", "tests.train.ranks", json.dumps([asdict(job)])]
    started = [
        subprocess.Popen(
            ["ip", "netns", "exec", host, sys.executable, *LAUNCH, str(rank), *run],
            cwd=ROOT,
            env={**os.environ, "GLOO_SOCKET_IFNAME": "eth0"},
            start_new_session=True,
        )
        for rank, host in enumerate(hosts)
    ]
    try:
        return [one.wait(PATIENCE) for one in started]
    finally:
        for one in started:
            with suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGKILL)


@pytest.mark.needs("namespaces")
def test_two_hosts_do_what_one_does_and_go_on_after_one_died(tmp_path: Path) -> None:
    alone_job = Job(str(tmp_path / "alone"), scale={"save_every": 2}, steps=8)
    reference = train(alone_job, alone())
    folder = tmp_path / "shared"
    job = replace(alone_job, folder=str(folder))
    with two_hosts() as hosts:
        assert 0 not in launch(hosts, replace(job, killed=5))
        before = read_losses(folder)
        assert before[:4] == pytest.approx(reference[:4], abs=1e-5)
        assert len(before) < job.steps
        log = folder / "steps.jsonl"
        first, _, rest = log.read_text().partition("\n")
        log.write_text(json.dumps(json.loads(first) | {"loss": -1.0}) + "\n" + rest)
        assert launch(hosts, job) == [0, 0]
    found = read_losses(folder)
    assert found[0] == -1  # it did not begin anew
    assert found[1:] == pytest.approx(reference[1:], abs=1e-5)
    assert found[-1] < before[0]
