"""Public names of a package, each loaded when it is first used (PEP 562)."""

import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

_IMPORT = re.compile(r"^    from (\S+) import (?:\(([^)]*)\)|(.*))$", re.MULTILINE)


def attach(package: str, file: str) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the `__getattr__` and `__dir__` of `package`; its `file` imports the names for type checkers."""
    imports = _IMPORT.findall(Path(file).read_text(encoding="utf-8"))
    modules = {name: module for module, block, line in imports for name in re.findall(r"\w+", block or line)}

    def load(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(modules[name]), name)
        setattr(sys.modules[package], name, value)  # the next use needs no look-up
        return value

    return load, lambda: sorted(modules)
