"""Libraries of a process that trains or lowers: OpenMP's threads wait as asked, and none is unused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sensemble_train import openmp

ROOT = Path(__file__).parents[2]
_SET = "GOMP_SPINCOUNT"
TRAIN = """
import os, sys
import sensemble_export.lowering.lowering
from sensemble_train.distributed import alone
from tests.train.ranks import Job, train
train(Job(sys.argv[1], scale={"save_every": 2}), alone())
print(os.environ["GOMP_SPINCOUNT"], {"torch._dynamo", "torch.distributed.fsdp"} & sys.modules.keys() or "")
"""


@pytest.mark.real
def test_torch_loads_its_library_with_it_and_no_compiler_nor_what_ranks_share(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in {_SET, "OMP_WAIT_POLICY"}}
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(tmp_path)],
        cwd=ROOT,
        env=environment | {"OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{_SET} = '{done.stdout.strip()}'" in done.stderr


@pytest.mark.parametrize(
    ("mean", "now", "spins"),
    [(0.25, 1.0, True), (1.0, 1.0, False), (1.0, 0.0, True), (1.0, None, False), (0.25, None, True)],
    ids=["begins", "busy", "has just ended", "busy, not Linux", "quiet, not Linux"],
)
def test_threads_sleep_on_a_busy_machine_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mean: float, now: float | None, *, spins: bool
) -> None:
    """A demo right after its set-up trained with sleeping threads, a fifth more slowly."""
    cores, file = os.cpu_count() or 1, tmp_path / "loadavg"
    if now is not None:
        file.write_text(f"{mean * cores} 0.5 0.5 {1 + round(now * cores)}/321 4321\n")
    for name in (_SET, "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (mean * cores, 0.5, 0.5))
    monkeypatch.setattr(openmp, "_LOAD", file)
    openmp.set_waiting()
    assert (int(os.environ[_SET]) > 0) is spins


@pytest.mark.parametrize("name", [_SET, "OMP_WAIT_POLICY"])
def test_the_users_choice_stays(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for each in (_SET, "OMP_WAIT_POLICY"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, "7")
    before = dict(os.environ)
    openmp.set_waiting()
    assert dict(os.environ) == before
