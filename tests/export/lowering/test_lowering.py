"""Tests of the processes that lower encoders: failures in one, and the death of their parent."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sensemble_export.bundle.partition_report import FILE_NAME
from sensemble_export.errors import ExportError, NotLowerableError
from sensemble_export.lowering import lowering
from sensemble_export.lowering.cache import fetch, keep
from sensemble_export.lowering.lowering import described, lower_all
from sensemble_export.lowering.targets import Delegation, Job, Lowered
from sensemble_train import user_cache

from tests.export.conftest import JOBS, Export, make_model, windows
from tests.waiting import wait_until

JOB = Job("text", "onnx", "fp32")
LOWER = """
from sensemble_export.lowering.lowering import lower_all
from sensemble_export.lowering.targets import Job
from tests.export.conftest import make_model, windows
shown = {"text": windows("text", 2, seed=1)}
lower_all(make_model(0, ("text",)), shown, [Job("text", "onnx", "fp32")], lambda: None)
"""


@contextmanager
def small_files() -> Iterator[None]:
    """Let nobody write more than 16 kB into a file, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**14, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_is_no_reason_for_another_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # a module's cache would be cut at the limit, and stay
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    model, shown = make_model(0, ("text",)), {"text": windows("text", 2, seed=1)}
    with small_files(), pytest.raises(ExportError, match="cannot be written") as error:
        lower_all(model, shown, [JOB], lambda: None)
    assert not isinstance(error.value, NotLowerableError)


@pytest.mark.real
def test_the_worker_that_failed_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowering, "save_model", lambda _, folder: folder.mkdir())
    with pytest.raises(NotLowerableError, match="process failed"):
        lower_all(make_model(0, ("text",)), {"text": windows("text", 2, seed=1)}, [JOB], lambda: None)


def test_of_an_error_of_many_lines_the_first_is_reported() -> None:
    def message(error: Exception) -> str:
        return str(described(error, "audio.pte"))

    several = RuntimeError("\nCould not guard\n\nThe following call raised: ...")
    assert message(several).startswith("audio.pte: cannot be lowered (RuntimeError: Could not guard); choose")
    assert message(AssertionError()).startswith("audio.pte: cannot be lowered (AssertionError: ); choose")
    absent = ModuleNotFoundError("No module named 'coremltools.optimize'", name="coremltools.optimize")
    assert message(absent) == "audio.pte: needs coremltools, not installed; `pip install coremltools`"
    library = OSError("libm.so.9: cannot open shared object file")
    assert message(library).startswith("audio.pte: cannot be lowered (OSError: libm.so.9: cannot open")


@pytest.mark.real
def test_a_worker_ends_with_the_export_that_started_it(tmp_path: Path) -> None:
    here = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen([sys.executable, "-c", LOWER], env=here) as export:
        wait_until(lambda: workers(tmp_path))
        export.send_signal(signal.SIGKILL)
    wait_until(lambda: not workers(tmp_path))


def workers(folder: Path) -> list[str]:
    """The processes that lower in a folder of `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text().split("\0")
        except OSError:  # it has ended
            continue
        if "sensemble_export.lowering.lowering" in command and command[-2].startswith(str(folder)):
            found.append(process.name)
    return found


def test_a_damaged_artifact_is_lowered_again(tmp_path: Path) -> None:
    """A file that was cut short failed every export until somebody deleted it."""
    place = tmp_path / "cache" / "a.pte"
    made = Lowered(
        {"": b"program" * 100}, Delegation(1, {"aten.linear.default": 12}, {"aten.clamp.default": 2})
    )
    assert fetch(place) is None
    keep(place, made)
    assert fetch(place) == made
    place.write_bytes(made.files[""][:-1])
    assert fetch(place) is None
    keep(place, made)
    place.with_suffix(".json").write_text('{"delegated"')
    assert fetch(place) is None
    keep(None, made)
    assert fetch(None) is None, "not for the cache"


def test_the_least_used_artifact_leaves_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(user_cache, "MOST", 25_000)
    paths = [user_cache.folder("lowered") / f"{number}.pte" for number in range(3)]
    for number, path in enumerate(paths[:2]):
        keep(path, Lowered({"": bytes(10_000)}, None))
        os.utime(path, (number, number))
    assert fetch(paths[0]) is not None
    keep(paths[2], Lowered({"": bytes(10_000)}, None))
    assert [path.exists() for path in paths] == [True, False, True], "the second was used longest ago"


def test_a_bundle_holds_the_report_of_its_lowering(exported: Export) -> None:
    report = json.loads((exported.out / FILE_NAME).read_text(encoding="utf-8"))
    jobs = [job for job in JOBS if job.target.startswith("executorch-")]
    artifacts = {job: exported.manifest.modalities[job.modality].artifacts[job.target].path for job in jobs}
    assert report.keys() == set(artifacts.values())
    for job, artifact in artifacts.items():
        delegation = exported.lowered[job].delegation
        assert delegation is not None
        assert report[artifact] == {
            "subgraphs": delegation.subgraphs,
            "delegated": sum(delegation.delegated.values()),
            "not_delegated": delegation.remaining,
        }
