"""The wheels that `runtime/wheels` builds: what they hold and need; they encode as the checkout does."""

import os
import re
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime.executors import executor

from tests.conftest import Once

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.needs("libstdc++")


@pytest.fixture(scope="module")
def wheels(once: Once) -> Path:
    """A folder with the wheels of all distributions."""

    def build(folder: Path) -> None:
        subprocess.run([ROOT / "runtime" / "wheels", folder], check=True)

    return once("wheels", build)


@pytest.fixture
def installed(wheels: Path, tmp_path: Path) -> Path:
    """The folder of an installation of the runtime's wheel and its dependencies."""
    folder = tmp_path / "installed"
    command = ["uv", "pip", "install", "--quiet", "--python", sys.executable, "--target", folder]
    subprocess.run([*command, "--find-links", wheels, "sensemble-runtime"], check=True, cwd=tmp_path)
    assert not (folder / "executorch").exists()
    return folder


@pytest.mark.long
def test_each_architecture_has_a_wheel_of_3_11_and_one_of_all_later_pythons(wheels: Path) -> None:
    names = sorted(wheel.name for wheel in wheels.glob("sensemble_runtime-*.whl"))
    assert [name.split("-", 2)[2] for name in names] == [
        f"{python}-manylinux_2_28_{architecture}.whl"
        for python in ("cp311-cp311", "cp312-abi3")
        for architecture in ("aarch64", "x86_64")
    ]
    assert len(list(wheels.glob("sensemble_*-py3-none-any.whl"))) == 4


def test_one_name_installs_the_command(wheels: Path, tmp_path: Path) -> None:
    places = {name: str(tmp_path / name) for name in ("UV_TOOL_DIR", "UV_TOOL_BIN_DIR")}
    command = ["uv", "tool", "install", "--quiet", "--find-links", str(wheels), "sensemble"]
    subprocess.run(command, check=True, cwd=tmp_path, env=os.environ | places)
    installed = tmp_path / "UV_TOOL_BIN_DIR" / "sensemble"
    done = subprocess.run([installed, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("sensemble ")


def test_a_wheel_needs_no_executorch_and_holds_its_libraries_and_licence(wheels: Path) -> None:
    for path in wheels.glob("sensemble_runtime-*.whl"):
        with zipfile.ZipFile(path) as wheel:
            names = wheel.namelist()
            (metadata,) = (name for name in names if name.endswith("METADATA"))
            needs = HeaderParser().parsestr(wheel.read(metadata).decode()).get_all("Requires-Dist") or []
        always = {re.split(r"[>=<]", line)[0] for line in needs if "extra" not in line}
        assert always == {"numpy", "safetensors", "sensemble-sensors"}
        inside = [Path(name).name for name in names if "/executors/lib/" in name]
        assert len([name for name in inside if name.startswith("libexecutorch")]) == 5
        assert "LICENSE" in inside


ENCODING = """
import sys
from pathlib import Path
import numpy as np
from sensemble_runtime.executors import executor
bundle, folder = map(Path, sys.argv[1:])
for window in sorted(folder.glob("*.npy")):
    encoder = executor.load(bundle / window.stem / "encoder.pte", "executorch-xnnpack")
    np.save(window.with_suffix(".embedding"), encoder(np.load(window)))
"""


def test_its_module_gives_the_checkout_s_embeddings(
    installed: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    expected = {}
    for modality in ("audio", "text", "video"):
        encoder = executor.load(bundle_folder / modality / "encoder.pte", "executorch-xnnpack")
        window = np.random.default_rng(0).integers(0, 9, encoder.shape).astype(encoder.dtype)
        np.save(tmp_path / modality, window)
        expected[modality] = encoder(window).tobytes()
    command = [sys.executable, "-S", "-c", ENCODING, bundle_folder, tmp_path]
    subprocess.run(command, check=True, env={"PYTHONPATH": str(installed)})
    found = {modality: np.load(tmp_path / f"{modality}.embedding.npy").tobytes() for modality in expected}
    assert found == expected


def test_one_that_lacks_a_library_says_which(installed: Path, bundle_folder: Path, tmp_path: Path) -> None:
    (installed / "sensemble_runtime/executors/lib/libexecutorch_threadpool.so").unlink()
    (tmp_path / "audio.npy").touch()
    command = [sys.executable, "-S", "-c", ENCODING, bundle_folder, tmp_path]
    done = subprocess.run(
        command, check=False, env={"PYTHONPATH": str(installed)}, capture_output=True, text=True
    )
    line = done.stderr.splitlines()[-1]
    assert "BundleIncompatibleError" in line
    assert "libexecutorch_threadpool.so" in line
    assert "install sensemble-runtime again" in line
