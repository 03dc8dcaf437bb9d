"""The waiting of OpenMP's threads: as torch's library read it, in every process that trains or lowers."""

import os
import subprocess
import sys

import pytest
from sensemble_train.openmp import set_waiting

_SET = "GOMP_SPINCOUNT"


def test_torch_loads_its_library_with_it() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in {_SET, "OMP_WAIT_POLICY"}}
    show = f"import os, sensemble_export.lowering; print(os.environ['{_SET}'])"
    done = subprocess.run(
        [sys.executable, "-c", show],
        env=environment | {"OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{_SET} = '{done.stdout.strip()}'" in done.stderr


def test_threads_sleep_on_a_busy_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = os.cpu_count() or 1
    for load, spins in ((cores / 4, True), (cores, False)):
        for name in (_SET, "OMP_WAIT_POLICY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, load, load))
        set_waiting()
        assert (int(os.environ[_SET]) > 0) is spins


@pytest.mark.parametrize("name", [_SET, "OMP_WAIT_POLICY"])
def test_the_users_choice_stays(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for each in (_SET, "OMP_WAIT_POLICY"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, "7")
    before = dict(os.environ)
    set_waiting()
    assert dict(os.environ) == before
