"""The real command, run as a user runs it, matrices to report on, and one run of the demo."""

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
from sensemble_apps.cli import main
from sensemble_runtime import subsets

from tests.conftest import ROOT, Once

from .clips import write_dataset

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

COMMAND = Path(sys.executable).with_name("sensemble")
MODALITIES = ("audio", "text", "video")
METHODS = {
    "linear_probe": 0.0, "finetune": 0.01, "wiseft": 0.02, "masd": 0.2, "masd+wiseft": 0.25,
    "wiseft_softened": 0.03, "masd+wiseft_softened": 0.23, "late_fusion": 0.26, "labelled_subsets": 0.24,
    "modality_dropout": 0.1, "subset": 0.3,
}  # fmt: skip


class Started(subprocess.Popen[str]):
    """The installed command while it runs, with pipes unless others are given."""

    stdin: IO[str]
    stdout: IO[str]
    stderr: IO[str]

    def __init__(self, *arguments: str | Path, **given: Any) -> None:  # noqa: ANN401
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        super().__init__([COMMAND, *arguments], text=True, **(pipes | given))

    def say(self, line: str) -> None:
        self.stdin.write(line)
        self.stdin.flush()


Sensemble = Callable[..., subprocess.CompletedProcess[str]]
Refusal = Callable[..., str]
REMEDY = re.compile(r"; \S|\b(give|name|add|leave|expected|missing)\b")  # what to do, behind what is wrong


@pytest.fixture(scope="session")
def sensemble() -> Sensemble:
    """Run the installed command with the given arguments; give its exit status, output and errors."""

    def run(*arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *arguments], input=text, capture_output=True, text=True, check=False, timeout=900
        )

    return run


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Sensemble:
    """The same in this process, which is quicker."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        status = main([str(argument) for argument in arguments])
        return subprocess.CompletedProcess(arguments, status, *capsys.readouterr())

    return run


def tiny(*modalities: str) -> list[str]:
    """Options by which modalities have encoders that are lowered in no time."""
    factories = {"audio": "tone", "text": "words", "video": "colour"}
    named = (f"{m}=tests.train.tiny:{factories.get(m, 'own')}" for m in modalities)
    return [option for source in named for option in ("--encoder", source)]


def whole_way(data: Path, out: Path, *options: str) -> None:
    """Train, export, audit and report in this process, which is quicker than the demo."""
    asked = [str(out / "bundle"), "--data", str(data), "--record", str(out / "audit.sqlite")]
    assert main(["train", "--data", str(data), "--out", str(out), "--from-scratch", *options]) == 0
    assert main(["export", str(out)]) == 0
    assert main(["audit", *asked]) == 0
    assert main(["report", str(out)]) == 0


def matrices(*trained: str) -> dict[str, dict[str, dict[str, float]]]:
    """Made-up scores that grow with the sensors that training and evaluation share, and with the method."""
    sets = sorted(subsets.name(subset) for subset in subsets.subsets(MODALITIES))
    return {
        method: {
            train: {
                test: round(0.3 + bonus + 0.1 * len(set(train.split("+")) & set(test.split("+"))), 3)
                for test in sets
            }
            for train in trained or sets
        }
        for method, bonus in METHODS.items()
    }


def write_matrix(path: Path, methods: object) -> Path:
    path.write_text(json.dumps({"methods": methods}), encoding="utf-8")
    return path


@dataclass(frozen=True)
class DemoRun:
    """A run of `sensemble demo` on a tiny dataset: its arguments, its files and its output."""

    arguments: tuple[str | Path, ...]
    data: Path
    folder: Path
    output: str


@pytest.fixture(scope="session")
def demo(sensemble: Sensemble, once: Once) -> DemoRun:
    """The whole of Sensemble once, barely trained, for every test of a bundle. Read only.

    Its encoders are tiny, for lowering takes longest.
    """

    def run(base: Path) -> None:
        data = write_dataset(base / "colours", {"pretrain": 4, "train": 4, "eval": 2})
        arguments = ("demo", "--data", data, "--out", base / "run", "--effort", "0.2", "--fast")
        arguments += ("--train-modalities", "video", "--from-scratch", *tiny(*MODALITIES))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(ROOT))
            result = sensemble(*arguments)
        assert result.returncode == 0, result.stderr
        made = DemoRun(arguments, data, base / "run", result.stdout)
        (base / "demo.pickle").write_bytes(pickle.dumps(made))

    made: DemoRun = pickle.loads((once("demo", run) / "demo.pickle").read_bytes())  # noqa: S301
    return made


@pytest.fixture(scope="session")
def bundle_folder(demo: DemoRun) -> Path:
    """A real bundle of audio, text and video for the labels zero, one and two. Read only."""
    return demo.folder / "bundle"


@pytest.fixture(scope="session")
def dataset_folder(demo: DemoRun) -> Path:
    """The dataset it was trained on, whose split eval has two examples of each class. Read only."""
    return demo.data


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Refusal:
    """Run a command that must refuse what the user gave, in this process for speed; give its one line."""

    def run(*arguments: str | Path) -> str:
        status = main([str(argument) for argument in arguments])
        output, errors = capsys.readouterr()
        assert (status, output) == (2, ""), errors
        *remarks, line = errors.splitlines()
        assert all(remark.startswith(("encoders: ", "executors: ")) for remark in remarks), errors
        assert REMEDY.search(line), line
        return line

    return run


@pytest.fixture(scope="module")
def playwright() -> Iterator["Playwright"]:
    from playwright.sync_api import sync_playwright  # only for the tests that need a browser

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: "Playwright") -> Iterator["Browser"]:
    """A headless Chromium without devices."""
    from .chromium import chromium

    with chromium(playwright) as started:
        yield started
