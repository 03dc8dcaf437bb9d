"""The command where a package is not installed."""

import subprocess
import sys
from pathlib import Path

_WITHOUT = """
import sys
missing = sys.argv.pop(1)
class Absent:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from sensemble_apps.entry import main
sys.exit(main())
"""


def last_line_without(package: str, *command: str | Path) -> str:
    """Run a command that needs `package`, and return the last line of its standard error."""
    result = run_without(package, *command)
    assert result.returncode == 2, result.stderr
    return result.stderr.splitlines()[-1]


def run_without(package: str, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command where `package` is not installed."""
    given = [sys.executable, "-c", _WITHOUT, package, *command]
    return subprocess.run(given, capture_output=True, text=True, check=False, timeout=120)
