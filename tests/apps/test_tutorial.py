"""The tutorial is followed to its end, word for word, without devices."""

import re
import shlex
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from sensemble_apps.cli import main

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


@pytest.mark.long
@pytest.mark.real
@pytest.mark.usefixtures("lowered_once")
def test_its_commands_lead_from_takes_to_a_report_that_passes_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process: each start of the command would load torch again."""
    tokens = MarkdownIt().parse(TUTORIAL.read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    for line in "".join(t.content for t in tokens if t.type == "code_block").splitlines():
        command, *arguments = shlex.split(line)
        assert (command, main(arguments)) == ("sensemble", 0), line
    assert Path("mine", "report.html").exists()
    told = "".join(capsys.readouterr())
    right, of = map(int, re.findall(r"right in (\d+) of (\d+) labelled", told)[-1])
    assert right > 0.8 * of, "its own takes are easy, and it is sure of them"
