"""Pin the newest version of every package that the project is built with, runs on and is tested with.

`python tests/pin.py` resolves without the pins in `pyproject.toml` and writes them again: names and versions,
with a marker where a package has more than one version. They hold for every Python that the project admits.
"""

import re
import subprocess
import tempfile
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUN, BUILD = "constraint-dependencies", "build-constraint-dependencies"
EXPORT = "uv export --quiet --frozen --all-packages --all-extras --all-groups --no-emit-workspace --no-hashes"
COMPILE = "uv pip compile --quiet --universal --python-version 3.11 - --constraint"
PLAIN = "--no-annotate --no-header"
LATER = ("cmake>=3.28", "editables", "ninja", "setuptools")
"""The packages that build backends ask for only when they build, and those that come as source."""


def main() -> None:
    """Resolve, and write `pyproject.toml`; leave it as it was if that fails."""
    project = ROOT / "pyproject.toml"
    before = project.read_text(encoding="utf-8")
    text = with_pins(with_pins(before, RUN, []), BUILD, [])
    project.write_text(text, encoding="utf-8")
    try:
        output("uv lock --quiet --upgrade")
        run = output(f"{EXPORT} {PLAIN}").splitlines()
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as same:
            same.write("\n".join(run))
            same.flush()
            build = output(f"{COMPILE} {same.name} {PLAIN}", "\n".join([*build_requirements(), *LATER]))
        marked = {pin.partition(" ;")[0]: pin for pin in run}
        text = with_pins(text, RUN, run)
        text = with_pins(text, BUILD, [marked.get(pin.partition(" ;")[0], pin) for pin in build.splitlines()])
    except BaseException:
        text = before
        raise
    finally:
        project.write_text(text, encoding="utf-8")


def build_requirements() -> list[str]:
    """Return what each package of the workspace names as needed to build it."""
    files = sorted(ROOT.glob("*/pyproject.toml"))
    return [line for file in files for line in tomllib.loads(file.read_text())["build-system"]["requires"]]


def with_pins(text: str, key: str, pins: Sequence[str]) -> str:
    """Return the text of a `pyproject.toml` with another list of pins, a marker only where one is needed."""
    versions = Counter(pin.partition("==")[0] for pin in pins)
    short = (pin if versions[pin.partition("==")[0]] > 1 else pin.partition(" ;")[0] for pin in pins)
    lines = "".join(f'    "{pin}",\n' for pin in short)
    return re.sub(rf"(?ms)^{key} = \[\n.*?^\]", f"{key} = [\n{lines}]", text)


def output(command: str, given: str = "") -> str:
    """Return what a command prints; its complaints go to the terminal."""
    done = subprocess.run(
        command.split(), cwd=ROOT, input=given, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


if __name__ == "__main__":
    main()
