"""Tests of the processes that lower encoders: failures in one, and the death of their parent."""

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from safetensors.torch import save_file
from sensemble_export.errors import ExportError, NotLowerableError
from sensemble_export.lowering import described, lower_all
from sensemble_export.targets import Job
from sensemble_train.models.model import save_model

from tests.export.conftest import make_model, windows

JOB = Job("text", "onnx", "fp32")
LOWER = """
import sys
from pathlib import Path
from sensemble_export.lowering import lower_all
from sensemble_export.targets import Job
lower_all(Path(sys.argv[1]), [Job("text", "onnx", "fp32")], lambda: None)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of captions and what it is lowered with."""
    folder = tmp_path / "work"
    save_model(make_model(0, ("text",)), folder / "model")
    save_file({"windows": windows("text", 2, seed=1)}, folder / "calibration.text.safetensors")
    return folder


@contextmanager
def small_files() -> Iterator[None]:
    """Let nobody write more than 16 kB into a file, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**14, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_is_no_reason_for_another_scheme(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # a module's cache would be cut at the limit, and stay
    full = pytest.raises(
        ExportError, match=r"^text\.onnx\.fp32\.onnx: cannot be written \(File too large\); make room in "
    )
    with small_files(), full as error:
        lower_all(folder, [JOB], lambda: None)
    assert not isinstance(error.value, NotLowerableError)


def test_the_worker_that_failed_has_the_last_word(folder: Path) -> None:
    save_file({"wrong": windows("text", 2, seed=1)}, folder / "calibration.audio.safetensors")
    with pytest.raises(
        NotLowerableError, match=r"process failed \(KeyError: 'windows'\); run `sensemble doctor`"
    ):
        lower_all(folder, [JOB, Job("audio", "onnx", "fp32")], lambda: None)


def test_of_an_error_of_many_lines_the_first_is_reported(tmp_path: Path) -> None:
    def said(error: Exception) -> str:
        return str(described(error, "audio.pte", tmp_path / "work"))

    several = RuntimeError("\nCould not guard\n\nThe following call raised: ...")
    assert said(several).startswith("audio.pte: cannot be lowered (RuntimeError: Could not guard); choose")
    assert said(AssertionError()).startswith("audio.pte: cannot be lowered (AssertionError: ); choose")
    absent = ModuleNotFoundError("No module named 'coremltools.optimize'", name="coremltools.optimize")
    assert said(absent) == "audio.pte: needs coremltools, not installed; `pip install coremltools`"
    library = OSError("libm.so.9: cannot open shared object file")
    assert said(library).startswith("audio.pte: cannot be lowered (OSError: libm.so.9: cannot open")


@pytest.mark.skipif(not Path("/proc").exists(), reason="there is no /proc")
def test_a_worker_ends_with_the_export_that_started_it(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", LOWER, str(folder)]) as export:
        deadline = time.monotonic() + 300
        while not (found := workers(folder)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        export.send_signal(signal.SIGKILL)
    while workers(folder):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    assert not (folder / JOB.file).exists()


def workers(folder: Path) -> list[str]:
    """The processes that lower in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text().split("\0")
        except OSError:  # it has ended
            continue
        if "sensemble_export.lowering" in command and str(folder) in command:
            found.append(process.name)
    return found
