"""The tutorial is followed to its end, word for word, without devices."""

import os
import subprocess
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.apps.conftest import COMMAND

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


@pytest.mark.real
@pytest.mark.usefixtures("lowered_once")
@pytest.mark.timeout(1800)  # on two busy cores; alone, under a minute and a half
def test_its_commands_lead_from_takes_to_a_report_that_passes_the_gate(tmp_path: Path) -> None:
    blocks = [
        t.content for t in MarkdownIt().parse(TUTORIAL.read_text(encoding="utf-8")) if t.type == "code_block"
    ]
    environment = {**os.environ, "PATH": f"{Path(COMMAND).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-e", "-x", "-c", "".join(blocks)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine" / "report.html").exists()
