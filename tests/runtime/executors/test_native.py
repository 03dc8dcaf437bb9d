import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sensemble_runtime.errors import BundleCorruptError, BundleIncompatibleError
from sensemble_runtime.executors._native import Module
from sensemble_runtime.executors.executor import copied, load
from sensemble_runtime.executors.native import NativeEncoder


def run(script: str, *given: object) -> str:
    """Return the output of a script in a separate process."""
    command = [sys.executable, "-c", script, *map(str, given)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleCorruptError, match=r"none\.pte: there is no artifact"):
        load(tmp_path / "none.pte", "executorch-xnnpack")


@given(part=st.floats(0, 0.9))
@example(part=0)
@settings(max_examples=30)
def test_a_truncated_program_is_refused(bundle_folder: Path, part: float) -> None:
    whole = (bundle_folder / "audio" / "encoder.pte").read_bytes()
    with TemporaryDirectory() as folder:
        program = Path(folder, "encoder.pte")
        program.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(BundleIncompatibleError, match=r"encoder\.pte: [A-Z].*; export the bundle again"):
            load(program, "executorch-xnnpack")


def test_a_program_in_locked_memory_loads(bundle_folder: Path) -> None:
    """A real-time process locks its memory, whose pages the system then refuses to free."""
    path = bundle_folder / "audio" / "encoder.pte"
    program = copied([path.read_bytes()], path.stat().st_size)
    start = ctypes.c_void_p(np.frombuffer(program, np.uint8).ctypes.data)
    assert ctypes.CDLL(None).mlock(start, len(program)) == 0
    assert NativeEncoder(path, {"": program}, 1).dtype == "float32"


def test_executorch_s_own_log_stays_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="InvalidProgram"):
        Module(b"not a program" * 100)
    assert capfd.readouterr() == ("", "")


def test_an_unknown_executor_is_named(bundle_folder: Path) -> None:
    with pytest.raises(BundleIncompatibleError, match="tflite has no executor in this package"):
        load(bundle_folder / "audio" / "encoder.pte", "tflite")


THREADS = """
import sys
from pathlib import Path
from sensemble_runtime.executors._native import Module

def threads():
    return len(list(Path("/proc/self/task").iterdir()))

program, size = Path(sys.argv[1]).read_bytes(), int(sys.argv[2])
before = threads()
module = Module(program, size)
assert threads() - before == size - 1, threads()  # the caller is one of the pool's
Module(program, size)  # the same size again is no change
Module(program, size + 1, insist=False)
assert threads() - before == size - 1, threads()
try:
    Module(program, size + 1)
except ValueError as error:
    assert "size it before the first encoder" in str(error)
else:
    raise AssertionError("a pool in use was replaced")
del module
Module(program, size + 1)
assert threads() - before == size, threads()
"""


@pytest.mark.parametrize("size", [1, 3])
def test_the_first_program_sizes_the_pool(bundle_folder: Path, size: int) -> None:
    run(THREADS, bundle_folder / "audio" / "encoder.pte", size)


def test_the_module_finds_its_libraries_where_it_is_installed() -> None:
    """Wheel or editable, what `_native` was linked to lies beside it."""
    import sensemble_runtime.executors._native as native

    readelf = shutil.which("readelf")
    assert readelf is not None, "binutils comes with g++, which built the module"
    dynamic = subprocess.run(
        [readelf, "-d", native.__file__], capture_output=True, text=True, check=True
    ).stdout
    paths = [line.split("[")[1].rstrip("]") for line in dynamic.splitlines() if "RUNPATH" in line]
    assert paths == ["$ORIGIN/lib"]
    assert len(list(Path(native.__file__).parent.glob("lib/libexecutorch*.so"))) == 5


SINGLE = """
import dataclasses
import sys
from pathlib import Path
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.manifest_file import read_manifest, write_manifest

folder, threads, pool = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
manifest = read_manifest(folder / "manifest.json")
for entry in manifest.modalities.values():
    for target, artifact in entry.artifacts.items():
        entry.artifacts[target] = dataclasses.replace(artifact, threads=threads)
write_manifest(manifest, folder / "manifest.json")
bundle = Bundle.open(folder)
bundle.threads = 3 if pool == "given" else 0
before = len(list(Path("/proc/self/task").iterdir()))
for modality in bundle.modalities:
    bundle.load(modality)
print(len(list(Path("/proc/self/task").iterdir())) - before)
"""


@pytest.mark.parametrize(("threads", "pool", "more"), [(1, "free", 0), (1, "given", 2), (0, "free", None)])
def test_encoders_that_are_fastest_alone_get_no_second_thread(
    bundle_folder: Path, tmp_path: Path, threads: int, pool: str, more: int | None
) -> None:
    folder = shutil.copytree(bundle_folder, tmp_path / "bundle")
    found = int(run(SINGLE, folder, threads, pool))
    if more is None:  # as many as ExecuTorch finds cores
        assert found > 0 or os.cpu_count() == 1
    else:
        assert found == more


BESIDE = """
import sys
import threading
import time
from pathlib import Path
import numpy as np
from sensemble_runtime.executors._native import Module

slow, quick = (Module(Path(program).read_bytes(), 1) for program in sys.argv[1:])
windows = [np.zeros(module.input[1], module.input[0]) for module in (slow, quick)]
quick(windows[1])
for _ in range(50):  # a busy machine may run the slow one first
    running = threading.Thread(target=slow, args=(windows[0],))
    running.start()
    time.sleep(0.02)
    quick(windows[1])
    overtaken = running.is_alive()
    running.join()
    if overtaken:
        break
else:
    raise AssertionError("the quick program waits for the slow one")
"""


@pytest.mark.real
def test_a_quick_program_runs_while_a_slow_one_does(built: Path) -> None:
    run(BESIDE, built / "slow" / "encoder.pte", built / "bundle" / "text" / "encoder.pte")


def test_an_error_that_quotes_bytes_which_are_no_text_is_an_error(bundle_folder: Path) -> None:
    """ExecuTorch names the operator that it lacks as the broken program spells it."""
    whole = (bundle_folder / "text" / "encoder.pte").read_bytes()
    assert b"aten::embedding" in whole
    with pytest.raises(BundleIncompatibleError, match=r"encoder\.pte: OperatorMissing: .*\ufffd"):
        load(
            Path("encoder.pte"),
            "executorch-xnnpack",
            contents={"": whole.replace(b"aten::embedding", b"aten::\xff\xfe\x1bedding")},
        )


UNLOADING = """
import sys
import threading
import time
from pathlib import Path
from sensemble_runtime.executors._native import Module

big, small = (Path(program).read_bytes() for program in sys.argv[1:])
start = time.perf_counter()
Module(big, 1)
whole = time.perf_counter() - start
for _ in range(50):  # a busy machine takes long for anything
    module = Module(small, 1)
    loading = threading.Thread(target=Module, args=(big,))
    loading.start()
    time.sleep(whole / 20)  # it has begun
    start = time.perf_counter()
    del module
    wait = time.perf_counter() - start
    loading.join()
    if wait < whole / 4:
        break
else:
    raise AssertionError((whole, wait))
"""


@pytest.mark.real
def test_who_frees_a_program_waits_for_none_that_loads(built: Path) -> None:
    run(UNLOADING, built / "big" / "encoder.pte", built / "bundle" / "text" / "encoder.pte")


KEPT = """
import sys
from pathlib import Path
from sensemble_runtime.executors import executor

def resident(field):
    return int(Path("/proc/self/status").read_text().split(field + ":")[1].split()[0]) * 1024

path = Path(sys.argv[1])
executor.load(Path(sys.argv[2]), "executorch-xnnpack")  # its libraries
before = resident("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
encoder = executor.load(path, "executorch-xnnpack")
most = (resident("VmHWM") - before) / path.stat().st_size
executor.give_back_memory()
kept = (resident("VmRSS") - before) / path.stat().st_size
print(most, kept)
assert most < 2.3, most
assert kept < 1.2, kept
"""


def test_a_loaded_program_is_in_memory_once_and_twice_while_it_loads(built: Path) -> None:
    run(KEPT, built / "big" / "encoder.pte", built / "bundle" / "text" / "encoder.pte")
