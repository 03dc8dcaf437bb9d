"""The public names of all distributions of Sensemble, each loaded when it is first used.

Those of training and export need `pip install 'sensemble[train]'`.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

_DISTRIBUTIONS = ("sensemble_sensors", "sensemble_runtime", "sensemble_train", "sensemble_export")

if TYPE_CHECKING:
    from sensemble_export import *  # noqa: F403
    from sensemble_runtime import *  # noqa: F403
    from sensemble_sensors import *  # noqa: F403
    from sensemble_train import *  # noqa: F403
else:

    def __getattr__(name: str) -> object:
        if name == "__all__":
            return __dir__()
        for package in _DISTRIBUTIONS if not name.startswith("_") else ():
            if find_spec(package) and name in import_module(package).__all__:
                return getattr(import_module(package), name)
        hint = "" if find_spec("sensemble_export") else "; more need `pip install 'sensemble[train]'`"
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")

    def __dir__() -> list[str]:
        there = filter(find_spec, _DISTRIBUTIONS)
        return sorted(name for package in there for name in import_module(package).__all__)
