"""The build backend: scikit-build-core's, once what compiles the native module is known to be there.

Without it, CMake fills a page; here one line says what to install.
"""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from scikit_build_core import build as cmake
from scikit_build_core.build import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

Settings = dict[str, str | list[str]]


def get_requires_for_build_wheel(config_settings: Settings | None = None) -> list[str]:
    """Return what building a wheel needs of packages; end the build if the system lacks its part."""
    _require_compiler()
    return cmake.get_requires_for_build_wheel(config_settings)


def get_requires_for_build_editable(config_settings: Settings | None = None) -> list[str]:
    """Return what an editable install needs of packages; end the build if the system lacks its part."""
    _require_compiler()
    return cmake.get_requires_for_build_editable(config_settings)


def _require_compiler() -> None:
    missing = {}
    if not os.environ.get("CXX") and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        missing["g++"] = "a C++ compiler"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        missing[f"python{sysconfig.get_python_version()}-dev"] = "this Python's headers"
    if missing:
        what, install = " and ".join(missing.values()), " ".join(missing)
        sys.exit(f"sensemble-runtime: needs {what}: `apt-get install {install}`, then the same command again")
