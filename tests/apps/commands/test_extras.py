"""What a board may do without: a command that needs it names the extra."""

from pathlib import Path

import pytest

from tests.apps.without import last_line_without, run_without


@pytest.mark.parametrize(
    ("package", "extra", "pace"),
    [("av", "media", ()), ("av", "media", ["--fast"]), ("tokenizers", "text", ["--fast"])],
)
def test_a_replay_names_the_extra_that_it_lacks(
    package: str, extra: str, pace: list[str], bundle_folder: Path, dataset_folder: Path
) -> None:
    line = last_line_without(package, "run", bundle_folder, "--replay", dataset_folder, "--limit", "2", *pace)
    remedy = f"`pip install 'sensemble-apps[{extra}]'`"
    assert line == f"sensemble: needs {package}, which is not installed; {remedy}"


@pytest.mark.parametrize("command", ["serve", "studio"])
def test_the_help_of_a_page_needs_no_server(command: str) -> None:
    result = run_without("starlette", command, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert "--host ADDRESS" in result.stdout


def test_help_that_cannot_list_its_options_says_what_the_command_does() -> None:
    result = run_without("sensemble_train", "train", "matrix", "--help")
    assert "Run a whole experiment of the paper" in result.stdout
    assert result.stderr.endswith("`pip install 'sensemble-apps[train]'`\n")
