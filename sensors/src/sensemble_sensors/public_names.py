"""Public names of a package, each loaded when it is first used (PEP 562)."""

import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

_IMPORT = re.compile(r"^    from (\S+) import \w+ as (\w+)$", re.MULTILINE)


def attach(package: str, file: str) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Return the `__getattr__`, `__dir__` and `__all__` of `package`, by the imports in its `file`."""
    imports = _IMPORT.findall(Path(file).read_text(encoding="utf-8"))
    modules = {name: module for module, name in imports}

    def load(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(modules[name]), name)
        setattr(sys.modules[package], name, value)  # the next use needs no look-up
        return value

    names = sorted(modules)
    return load, lambda: names, names
