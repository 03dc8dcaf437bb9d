"""The code in the Markdown files works.

Python runs on the demo's bundle and data, and on stand-ins for devices; the command line takes each command.
"""

import re
import shlex
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shutil import copytree
from time import monotonic, sleep

import numpy as np
import pytest
import sensemble_sensors
from markdown_it import MarkdownIt
from sensemble_apps.parsing import parse
from sensemble_sensors import Camera, InputSpec, Sample, SensorEndedError
from sensemble_sensors.kinds.registry import KINDS

from tests.apps.conftest import DemoRun

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted({*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("docs/*/*.md")})


def title(path: Path) -> str:
    """Return a file's path in the project."""
    return str(path.relative_to(ROOT))


def test_the_readme_quotes_the_table_of_seeds() -> None:
    lines = (
        (ROOT / "train" / "BENCHMARKS.md").read_text().split("\n| seed |")[1].split("\n\n")[0].splitlines()
    )
    columns = zip(*([int(cell) for cell in line.split("|")[2:9]] for line in lines[2:]), strict=True)
    audio, text, film, *_, every = (f"{min(column)} to {max(column)}" for column in columns)
    quoted = f"all sensors {every} % (three seeds), sound alone {audio}, film {film}, captions {text} |"
    assert quoted in (ROOT / "README.md").read_text()


def blocks(path: Path) -> list[tuple[int, str]]:
    """Return the Python code of a Markdown file, each block with the number of its first line."""
    tokens = MarkdownIt().parse(path.read_text(encoding="utf-8"))
    return [(t.map[0] + 1, t.content) for t in tokens if t.type == "fence" and t.info == "python" and t.map]


class Noise:
    """Stands for a microphone: 3 s of noise."""

    modality, name = "audio", "noise"

    def __init__(self, name: str) -> None:
        self.name = name

    def open(self, spec: InputSpec) -> None:
        self.rate, self.end, self.cut = spec.rate, monotonic() + 3, True

    def read(self, timeout: float) -> Sample:
        sleep(min(timeout, 0.1))
        if monotonic() > self.end:
            raise SensorEndedError("noise: it is over")
        sound = np.random.default_rng().uniform(-0.3, 0.3, round(self.rate / 10)).astype(np.float32)
        sample, self.cut = Sample("audio", sound, monotonic(), cut=self.cut), False
        return sample

    def close(self) -> None:
        pass


@pytest.fixture
def workplace(demo: DemoRun, document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with `clips`, `film.mkv` and `runs/demo`, where devices are stand-ins.

    The README plays its clips in real time, so it has only those of `eval`.
    """

    def in_place(factory: Callable[[str], object], address: str, **_: object) -> object:
        return factory(address)

    index = copytree(demo.data, tmp_path / "clips") / "index.jsonl"
    if document == ROOT / "README.md":
        lines = [line for line in index.read_text().splitlines(keepends=True) if '"eval"' in line]
        index.write_text("".join(lines))
    film = tmp_path / "film.mkv"
    film.symlink_to(demo.data / "eval-one-0.mkv")
    copytree(demo.folder, tmp_path / "runs" / "demo")
    monkeypatch.setattr(sensemble_sensors, "Camera", lambda _: Camera(str(film)))
    monkeypatch.setattr(sensemble_sensors, "Microphone", Noise)
    monkeypatch.setattr(sensemble_sensors, "Isolated", in_place)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # an export finds the demo's encoders
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if blocks(path)], ids=title)
@pytest.mark.usefixtures("workplace")
def test_the_code_runs(document: Path) -> None:
    namespace: dict[str, object] = {"__name__": "document"}
    for line, code in blocks(document):
        exec(compile("\n" * line + code, str(document), "exec"), namespace)  # noqa: S102 - our own code


def commands(path: Path) -> list[list[str]]:
    """Return the arguments of each `sensemble` in the code blocks of a Markdown file."""
    tokens = MarkdownIt().parse(path.read_text(encoding="utf-8"))
    shell = "\n".join(t.content for t in tokens if t.type in ("code_block", "fence") and t.info in ("", "sh"))
    found = re.findall(r"^(?:.* && )?(?:uv run )?sensemble (.*)$", shell.replace("\\\n", " "), re.MULTILINE)
    return [[word for word in shlex.split(line, comments=True) if word != "..."] for line in found]


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if commands(path)], ids=title)
def test_the_command_line_takes_every_command(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in commands(document):
        for word in arguments:
            if word.lower().endswith("bundle"):  # its folder must be there
                (tmp_path / word).mkdir(parents=True, exist_ok=True)
        with suppress(SystemExit):  # after `--help` and `--version`
            parse(arguments)


@pytest.mark.parametrize("document", DOCUMENTS, ids=title)
def test_every_link_to_a_file_leads_to_one(document: Path) -> None:
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(document.read_text(encoding="utf-8"))
    children = [child for token in tokens for child in token.children or ()]
    targets = [str(child.attrs.get("href") or child.attrs.get("src") or "") for child in children]
    files = {target.partition("#")[0] for target in targets if "://" not in target} - {""}
    generated = "command-line.md"
    assert [
        file for file in files if not file.endswith(generated) and not (document.parent / file).exists()
    ] == []


def test_the_page_on_conditions_lists_those_of_every_kind() -> None:
    page = (ROOT / "docs/concepts/conditions.md").read_text(encoding="utf-8")
    rows = {name: ", ".join(one.name for one in kind.conditions) for name, kind in KINDS.items()}
    assert rows == {
        name: row for name, row in re.findall(r"^\| (\w+) \| (.*) \|$", page, re.MULTILINE) if name in rows
    }
