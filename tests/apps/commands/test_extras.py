"""What a board may do without: a command that needs it names the extra."""

from pathlib import Path

import pytest

from tests.apps.without import last_line_without


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
