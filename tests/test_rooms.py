"""The tree stays readable: short modules and small rooms."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(ROOT.glob("*/src/sensemble_*"))
MODULES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
ROOMS = sorted({path.parent for path in MODULES} - set(PACKAGES))


def name(path: Path) -> str:
    """Return the dotted name of a package or module."""
    package = next(package for package in PACKAGES if path.is_relative_to(package))
    return ".".join(path.relative_to(package.parent).with_suffix("").parts)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_has_at_most_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("room", ROOMS, ids=name)
def test_a_room_has_at_most_12_modules(room: Path) -> None:
    modules = [path.name for path in room.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= 12, modules
