"""The public surface: what each distribution exports, how it is found, and how little importing it costs."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS = ["sensemble_sensors", "sensemble_runtime", "sensemble_train", "sensemble_export"]
LAZY = ["sensemble", *DISTRIBUTIONS]
HEAVY = {"av", "cv2", "onnxruntime", "sounddevice", "tokenizers", "torch"}
"""Libraries that are loaded when they are first used."""


@pytest.mark.parametrize("package", DISTRIBUTIONS)
def test_what_type_checkers_see_is_what_a_package_exports(package: str) -> None:
    module = import_module(package)
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    (block,) = (
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    seen = [alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(seen) == sorted(module.__all__) == sorted(dir(module))


@pytest.mark.parametrize("package", LAZY)
def test_every_public_name_is_found_and_documented(package: str) -> None:
    module = import_module(package)
    for name in module.__all__:
        value = getattr(module, name)
        assert value.__doc__ or not callable(value), name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = module.nothing


def test_one_package_has_the_public_names_of_all() -> None:
    every = {name: package for package in DISTRIBUTIONS for name in import_module(package).__all__}
    whole = import_module("sensemble")
    assert set(whole.__all__) == every.keys()
    for name, package in every.items():
        assert getattr(whole, name) is getattr(import_module(package), name)
    assert "torch" not in {name.partition(".")[0] for name in loaded("from sensemble import Bundle, Session")}


def test_importing_the_runtime_loads_nothing_but_the_standard_library() -> None:
    names = loaded("import sensemble_runtime") - loaded("pass")
    assert {name.partition(".")[0] for name in names} - sys.stdlib_module_names == {
        "sensemble_runtime",
        "sensemble_sensors",
    }
    assert len(names) < 50


def test_bundle_and_session_load_no_library_of_a_sensor_or_an_executor() -> None:
    names = loaded("from sensemble_runtime import Bundle, Policy, Prediction, Session")
    assert {name.partition(".")[0] for name in names} & HEAVY == set()


def loaded(code: str) -> set[str]:
    """Return the names of the modules that a fresh Python has loaded after running `code`."""
    command = [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
