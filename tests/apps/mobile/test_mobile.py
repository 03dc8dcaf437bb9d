"""The arithmetic of the sample apps, compiled here and compared with the Python that it repeats.

What needs no phone (tokenizer, windows, session, head, pictures) is compiled from `apps/android` and
`apps/ios` and compared with `tokenizers`, the runtime, and OpenCV.
"""

import json
import os
import subprocess
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from sensemble_export.bundle.readme import classifier
from sensemble_runtime import subsets
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.engine.answer import DOUBTS

from tests.apps.mobile import compilers
from tests.apps.mobile.compilers import java, kotlin, swift
from tests.conftest import Once
from tests.runtime.answering import answered
from tests.runtime.manifests import MANIFEST
from tests.vectors import LABELS, SPECS, Sines, predicted, write

APPS = Path(__file__).parents[3] / "apps"
KOTLIN = APPS / "android/app/src/main/java/dev/sensemble/sample"
SWIFT = APPS / "ios/Sources"
PORTABLE = ("Belief", "LiveSet", "Session", "Tokenizer", "Windows")
SUFFIX = {"kotlin": "kt", "swift": "swift"}
CHECKS = Path(__file__).parents[1].joinpath("mobile")
TASKS: tuple[Task, ...] = get_args(Task)

ARTIFACTS = {
    "audio": {"coreml": False, "executorch-xnnpack": True},
    "text": {"executorch-xnnpack": True, "coreml": True},
    "video": {"executorch-xnnpack": False, "coreml": False, "onnx": True},
}
"""True if each artifact was proved to be like its float original."""
ON_IOS = {"audio": "executorch-xnnpack", "text": "coreml", "video": "coreml"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Task, Path]:
    """Bundles but for their encoders, and the vectors to try on them, by task."""
    return {task: write(tmp_path_factory.mktemp(task), task, ARTIFACTS) for task in TASKS}


@pytest.fixture(params=TASKS)
def folder(request: pytest.FixtureRequest, folders: dict[Task, Path]) -> Path:
    return folders[request.param]


@dataclass(frozen=True)
class Sample:
    """The commands of a sample's portable part, and of the code in a bundle's README by task."""

    language: str
    check: list[str]
    readme: dict[Task, list[str]]


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=pytest.mark.needs(name)) for name in ("kotlin", "swift")]
)
def sample(request: pytest.FixtureRequest, folders: dict[Task, Path], once: Once) -> Sample:
    """Compile a sample; Kotlin's compiler, which is slow to start, takes all at once."""
    language, packages = request.param, {task: task.replace("-", "_") for task in TASKS}
    codes = {package: program(language, folders[task], package) for task, package in packages.items()}
    made_from = [*sources(language), Path(compilers.__file__), compilers.installed(language)]

    def compiled(out: Path) -> None:
        programs = {out / package / f"main.{SUFFIX[language]}": code for package, code in codes.items()}
        for path, code in programs.items():
            path.parent.mkdir(parents=True)
            path.write_text(code, encoding="utf-8")
        if language == "kotlin":
            kotlin([*sources(language), *programs], out)
        else:
            swift(sources(language), out)
            for path in programs:
                swift([*sources(language)[:-1], path], path.parent)

    key = sha256("".join(codes.values()).encode()).hexdigest()[:8]
    out = once(f"{language} {key}", compiled, *made_from)
    if language == "kotlin":
        readme = {task: java(out, f"{package}.MainKt") for task, package in packages.items()}
        return Sample(language, java(out, "dev.sensemble.sample.CheckKt"), readme)
    readme = {task: [str(out / package / "check")] for task, package in packages.items()}
    return Sample(language, [str(out / "check")], readme)


def sources(language: str) -> list[Path]:
    """The files of a sample that need no phone, and at the end what checks them."""
    if language == "kotlin":
        return [*(KOTLIN / f"{name}.kt" for name in ("Bundle", *PORTABLE)), CHECKS / "Check.kt"]
    return [*(SWIFT / f"{name}.swift" for name in ("ModelBundle", *PORTABLE)), CHECKS / "main.swift"]


def run(command: list[str], bundle: Path) -> str:
    given, environment = [*command, str(bundle)], os.environ | {"BUNDLE": str(bundle)}
    return subprocess.run(given, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_samples_do_what_the_runtime_does(sample: Sample, folder: Path) -> None:
    bundle = Sines(folder)
    answer = json.loads(run(sample.check, folder))
    vectors = json.loads((folder / "vectors.json").read_text(encoding="utf-8"))
    expected = vectors["expected"]
    for exact in ("ids", "strange"):
        assert answer[exact] == expected[exact]
    np.testing.assert_allclose(answer["fused"], expected["fused"], atol=1e-5)
    for case in ("beliefs", "turns"):
        for found, believed in zip(answer[case], expected[case], strict=True):
            assert found.get("suspect") == believed["suspect"]
            assert found["lies"] == pytest.approx(believed["lies"], abs=1e-5)

    # Of a sample, a modality has one sensor, and each window is answered at once.
    stream = [event | {"sensor": "first", "late": False} for event in vectors["inputs"]["stream"]]
    steps = zip(stream, predicted(bundle, stream), strict=True)
    made = [
        {**prediction, "time": event["time"]} for event, step in steps if (prediction := step["prediction"])
    ]
    assert {subsets.name(one["live"]) for one in made} == {
        subsets.name(subset) for subset in subsets.subsets(SPECS)
    }
    assert {one["doubt"] for one in made} == {*DOUBTS}
    for found, one in zip(answer["predictions"], made, strict=True):
        for exact in ("live", "time"):
            assert found[exact] == one[exact]
        assert found.get("doubt") == one["doubt"]
        np.testing.assert_allclose(found["probabilities"], one["probabilities"], atol=1e-5)
        assert {*found["candidates"]} == {*one["candidates"]}
    assert answer["failures"] == {"audio": "unplugged", "video": "unplugged"}
    if sample.language == "swift":
        assert answer["targets"] == ON_IOS
    difference = np.abs(np.array(answer["picture"]) - expected["picture"])
    assert difference.max() <= 1  # OpenCV rounds its weights


def familiar(bundle: Sines) -> dict[str, NDArray[np.float32]]:
    """Embeddings that a bundle knows."""
    assert bundle.head.familiarity is not None
    return dict(zip(("audio", "text"), bundle.head.familiarity.weight, strict=False))


def program(language: str, folder: Path, package: str) -> str:
    """Make a program of the code in a bundle's README: add its inputs, and print its results."""
    bundle = Sines(folder)
    rows = {m: ", ".join(f"{x:.9g}" for x in row) for m, row in familiar(bundle).items()}
    blocks = classifier(replace(MANIFEST, task=bundle.head.task))
    code = next(block for block in blocks if block.startswith(f"```{language}\n"))
    code = code.removeprefix(f"```{language}\n").removesuffix("```")
    if language == "kotlin":
        imports, rest = code.split("\n\n", 1)
        calls = [f'answer("{m}", floatArrayOf({row.replace(",", "f,")}f), 0.0)' for m, row in rows.items()]
        shown = "println(listOf(found.probabilities.toList(), found.candidates, found.sure))"
        whole = f'package {package}\n{imports}\nval bundle = File(System.getenv("BUNDLE"))\n{rest}\n'
        return f"{whole}fun main() {{\n{calls[0]}\nval found = {calls[1]}!!\n{shown}\n}}\n"
    calls = [f'answer("{m}", [{row}], at: 0)' for m, row in rows.items()]
    shown = 'print("[\\(found.probabilities), \\(found.candidates), \\(found.sure)]")'
    whole = f"import Foundation\nlet bundle = URL(fileURLWithPath: CommandLine.arguments[1])\n{code}\n"
    return f"{whole}_ = {calls[0]}\nlet found = {calls[1]}!\n{shown}\n"


def test_the_code_in_a_bundles_readme_answers_as_the_runtime_does(sample: Sample, folder: Path) -> None:
    bundle = Sines(folder)
    chances, chosen, sure = json.loads(run(sample.readme[bundle.head.task], folder))
    expected, _ = answered(bundle.classifier, familiar(bundle))
    np.testing.assert_allclose(chances, expected.probabilities, atol=1e-5)
    assert {LABELS[index] for index in chosen} == {*expected.candidates}
    assert sure == expected.sure
