"""The command where packages are not installed."""

import subprocess
import sys
from pathlib import Path

_WITHOUT = """
import sys
missing = sys.argv.pop(1).split(",")
class Absent:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from sensemble_apps.cli import main
sys.exit(main())
"""


def run_without(packages: str, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command where `packages`, joined with commas, are not installed."""
    given = [sys.executable, "-c", _WITHOUT, packages, *command]
    return subprocess.run(given, capture_output=True, text=True, check=False, timeout=300)
