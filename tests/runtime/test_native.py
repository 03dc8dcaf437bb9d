import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_runtime._native import Module
from sensemble_runtime.errors import BundleIncompatibleError
from sensemble_runtime.executor import load


@pytest.mark.parametrize(
    ("modality", "dtype", "shape"),
    [("audio", "float32", (1, 1600)), ("text", "int64", (1, 6)), ("video", "uint8", (1, 2, 8, 8, 3))],
)
def test_a_program_says_what_it_takes_and_gives(
    bundle_folder: Path, modality: str, dtype: str, shape: tuple[int, ...]
) -> None:
    module = Module(str(bundle_folder / modality / "encoder.pte"))
    assert module.input == (dtype, shape)
    assert module.output == (1, 8)


def test_a_missing_program_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match=r"none\.pte: AccessFailed: .*No such file"):
        Module(str(tmp_path / "none.pte"))
    assert capfd.readouterr() == ("", "")  # ExecuTorch's own log stays quiet


@given(part=st.floats(0, 0.9))
@settings(max_examples=30)
def test_a_truncated_program_is_an_exception_not_a_crash(
    bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory, part: float
) -> None:
    whole = (bundle_folder / "audio" / "encoder.pte").read_bytes()
    path = tmp_path_factory.mktemp("cut") / "encoder.pte"
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(RuntimeError, match=r"encoder\.pte: [A-Z]"):
        Module(str(path))


def test_an_unknown_executor_is_named(bundle_folder: Path) -> None:
    with pytest.raises(BundleIncompatibleError, match="tflite has no executor in this package"):
        load(bundle_folder / "audio" / "encoder.pte", "tflite")


THREADS = """
import sys
from pathlib import Path
from sensemble_runtime._native import Module

def threads():
    return len(list(Path("/proc/self/task").iterdir()))

path, size = sys.argv[1], int(sys.argv[2])
before = threads()
module = Module(path, size)
assert threads() - before == size - 1, threads()  # the caller is one of the pool's
Module(path, size)  # the same size again is no change
Module(path, size + 1, insist=False)
assert threads() - before == size - 1, threads()
try:
    Module(path, size + 1)
except ValueError as error:
    assert "size it before the first encoder" in str(error)
else:
    raise AssertionError("a pool in use was replaced")
del module
Module(path, size + 1)
assert threads() - before == size, threads()
"""


@pytest.mark.parametrize("size", [1, 3])
def test_the_first_program_sizes_the_pool(bundle_folder: Path, size: int) -> None:
    script = [sys.executable, "-c", THREADS, str(bundle_folder / "audio" / "encoder.pte"), str(size)]
    run = subprocess.run(script, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_the_module_finds_its_libraries_where_it_is_installed() -> None:
    """Wheel or editable, `_native` lies beside the `executorch` package whose libraries it was linked to."""
    import sensemble_runtime._native as native

    readelf = shutil.which("readelf")
    assert readelf is not None, "binutils comes with g++, which built the module"
    dynamic = subprocess.run(
        [readelf, "-d", native.__file__], capture_output=True, text=True, check=True
    ).stdout
    paths = [line.split("[")[1].rstrip("]") for line in dynamic.splitlines() if "RUNPATH" in line]
    assert paths == ["$ORIGIN/../executorch/lib"]


QUICK = """
import dataclasses
import sys
from pathlib import Path
from sensemble_runtime.bundle import Bundle
from sensemble_runtime.manifest import read_manifest, write_manifest

folder, latency, pool = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
manifest = read_manifest(folder / "manifest.json")
for entry in manifest.modalities.values():
    for target, artifact in entry.artifacts.items():
        entry.artifacts[target] = dataclasses.replace(artifact, latency_ms=latency)
write_manifest(manifest, folder / "manifest.json")
bundle = Bundle.open(folder)
bundle.threads = 3 if pool == "told" else 0
before = len(list(Path("/proc/self/task").iterdir()))
for modality in bundle.modalities:
    bundle.load(modality)
print(len(list(Path("/proc/self/task").iterdir())) - before)
"""


@pytest.mark.parametrize(
    ("latency", "pool", "more"), [(1.0, "free", 0), (1.0, "told", 2), (9.0, "free", None)]
)
def test_quick_encoders_need_no_second_thread(
    bundle_folder: Path, tmp_path: Path, latency: float, pool: str, more: int | None
) -> None:
    folder = shutil.copytree(bundle_folder, tmp_path / "bundle")
    script = [sys.executable, "-c", QUICK, str(folder), str(latency), pool]
    run = subprocess.run(script, capture_output=True, text=True, check=True)
    if more is None:  # as many as ExecuTorch finds cores
        assert int(run.stdout) > 0 or os.cpu_count() == 1
    else:
        assert int(run.stdout) == more


BESIDE = """
import sys
import threading
import time
import numpy as np
from sensemble_runtime._native import Module

slow, quick = Module(sys.argv[1], 1), Module(sys.argv[2], 1)
windows = [np.zeros(module.input[1], module.input[0]) for module in (slow, quick)]
quick(windows[1])
done = threading.Event()

def run():
    slow(windows[0])
    done.set()

threading.Thread(target=run).start()
time.sleep(0.02)  # it has begun, and needs several times as long
quick(windows[1])
assert not done.is_set(), "the quick program waited for the slow one"
done.wait()
"""


def test_a_quick_program_runs_while_a_slow_one_does(built: Path) -> None:
    programs = [built / "slow" / "encoder.pte", built / "bundle" / "text" / "encoder.pte"]
    run = subprocess.run(
        [sys.executable, "-c", BESIDE, *programs], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
