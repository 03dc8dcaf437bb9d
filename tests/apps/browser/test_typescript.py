"""The runtime in TypeScript: its types, and its own tests on the vectors of the Python runtime."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.vectors import write

WEB = Path(__file__).parents[3] / "apps" / "web"

pytestmark = pytest.mark.needs("web-app")


def test_it_has_no_error_of_types_and_follows_the_python_runtime(tmp_path: Path) -> None:
    for task in ("multi-class", "multi-label"):
        write(tmp_path / task, task)
    environment = {**os.environ, "VECTORS": str(tmp_path), "CI": "1"}
    for script in ("check", "test"):
        command = ["npm", "run", "--silent", script]
        done = subprocess.run(command, cwd=WEB, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
