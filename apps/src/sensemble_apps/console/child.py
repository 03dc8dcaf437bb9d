"""A command in a process of its own, which has neither torch nor the memory of what ran before."""

import subprocess
import sys
from pathlib import Path

from sensemble_apps.console.output import say
from sensemble_apps.errors import StepError


def run_command(*arguments: str | Path) -> None:
    """Run `sensemble` with these arguments and print what it prints; raises StepError if it fails."""
    command = [sys.executable, "-P", "-m", "sensemble_apps", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            say(line.rstrip("\n"))
    if process.returncode != 0:
        raise StepError(f"`sensemble {arguments[0]}` ended with status {process.returncode}")
