"""The arithmetic of the sample apps, compiled here and compared with the Python that it repeats.

What needs no phone (tokenizer, windows, session, head, pictures) is compiled from `apps/android` and
`apps/ios` and compared with `tokenizers`, the runtime, and OpenCV.
"""

import json
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from sensemble_export.readme import classifier
from sensemble_runtime import subsets
from sensemble_runtime.bundle.head import Familiarity, Head, load_head, save_head
from sensemble_runtime.bundle.tokenize import tokenize
from sensemble_runtime.engine.belief import DOUBTS, Belief
from sensemble_runtime.engine.belief import answer as answer_of
from sensemble_sensors.codecs.framing import fit
from sensemble_train.models.tokenizer import train_tokenizer
from tokenizers import Tokenizer

from tests.apps.mobile.compilers import kotlin, swift
from tests.runtime.manifests import MANIFEST
from tests.vectors import (
    CORPUS,
    SPECS,
    Sines,
    breaks,
    calibration,
    captions,
    events,
    fused,
    fused_of,
    moments,
    noted,
    predictions,
    strange_of,
)

APPS = Path(__file__).parents[3] / "apps"
KOTLIN = APPS / "android/app/src/main/java/dev/sensemble/sample"
SWIFT = APPS / "ios/Sources"
PORTABLE = ("Belief", "LiveSet", "Session", "Tokenizer", "Windows")
CHECKS = Path(__file__).parents[1].joinpath("mobile")

ARTIFACTS = {
    "audio": {"coreml": False, "executorch-xnnpack": True},
    "text": {"executorch-xnnpack": True, "coreml": True},
    "video": {"executorch-xnnpack": False, "coreml": False, "onnx": True},
}
"""True if each artifact was proved to be like its float original."""
ON_IOS = {"audio": "executorch-xnnpack", "text": "coreml", "video": "coreml"}


def artifact(proved: bool) -> dict[str, object]:
    return {"path": "x", "parity": {"cosine": 1.0} if proved else None}


@pytest.fixture(params=["multi-class", "multi-label"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A bundle but for its encoders, and the cases to try on it."""
    source = np.random.default_rng(0)
    weight, bias = source.standard_normal((3, 8), np.float32), source.standard_normal(3, np.float32)
    shapes = (3, 8), 3, (3, 3, 2, 8), 3
    scores = Familiarity(*(source.standard_normal(shape, np.float32) for shape in shapes))
    save_head(Head(weight, bias, request.param, scores), tmp_path / "head.safetensors")
    train_tokenizer(CORPUS * 20, 400).save(str(tmp_path / "tokenizer.json"))
    manifest = {
        "modalities": {
            m: {"spec": asdict(SPECS[m]), "artifacts": {t: artifact(proved) for t, proved in found.items()}}
            for m, found in ARTIFACTS.items()
        },
        "labels": ["one", "two", "three"],
        "task": request.param,
        "head": {"path": "head.safetensors"},
        "tokenizer": {"path": "tokenizer.json"},
        "calibration": asdict(calibration(request.param)),
    }
    picture = source.integers(0, 256, (37, 61, 3))
    cases = {
        "captions": captions(),
        "events": [
            {
                "modality": modality,
                "time": time,
                "samples": data if isinstance(data, list) else None,
                "caption": data if isinstance(data, str) else None,
            }
            for modality, time, data in events()
        ],
        "breaks": breaks(),
        "fused": fused(),
        "moments": moments(),
        "picture": {
            "height": 37,
            "width": 61,
            "rgb": picture.ravel().tolist(),
            "rows": SPECS["video"].shape[2],
            "columns": SPECS["video"].shape[3],
        },
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="module", params=["kotlin", "swift"])
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command of a sample's portable part, its language first."""
    language, folder = request.param, tmp_path_factory.mktemp(request.param)
    if language == "kotlin":
        check, main = CHECKS / "Check.kt", "dev.sensemble.sample.CheckKt"
        return [language, *kotlin([*sources(language), check], main, folder)]
    return [language, *swift([*sources(language), CHECKS / "main.swift"], folder)]


def sources(language: str) -> list[Path]:
    """The files of a sample that need no phone."""
    if language == "kotlin":
        return [KOTLIN / f"{name}.kt" for name in ("Bundle", *PORTABLE)]
    return [SWIFT / f"{name}.swift" for name in ("ModelBundle", *PORTABLE)]


def run(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def head_of(folder: Path) -> Head:
    path = folder / "head.safetensors"
    return load_head(path.read_bytes(), json.loads((folder / "manifest.json").read_text())["task"], path)


def test_the_samples_do_what_the_runtime_does(sample: list[str], folder: Path) -> None:
    language, *command = sample
    answer = json.loads(run([*command, str(folder)]))
    cases = json.loads((folder / "cases.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert answer["ids"] == [tokenize(tokenizer, text, 24)[0].tolist() for text in cases["captions"]]

    expected = predictions(Sines(folder, SPECS, head := head_of(folder), calibration(head.task)))
    sets = {"+".join(made.live) for made in expected}
    assert sets == {subsets.name(subset) for subset in subsets.subsets(SPECS)}
    assert [found["live"] for found in answer["predictions"]] == [list(made.live) for made in expected]
    assert {made.doubt for made in expected} == {*DOUBTS}
    for found, made in zip(answer["predictions"], expected, strict=True):
        assert (found["time"], found.get("doubt")) == (made.time, made.doubt)
        np.testing.assert_allclose(found["probabilities"], made.probabilities, atol=1e-5)
        assert {str(index) for index in found["candidates"]} == set(made.candidates)
    together = [fused_of(case, head.task) for case in cases["fused"]]
    np.testing.assert_allclose(answer["fused"], together, atol=1e-5)
    assert answer["strange"] == [strange_of(case) for case in cases["breaks"]]
    belief = Belief(SPECS)
    for found, moment in zip(answer["beliefs"], cases["moments"], strict=True):
        believed = noted(belief, **moment)
        assert found.get("suspect") == believed["suspect"]
        assert found["lies"] == pytest.approx(believed["lies"], abs=1e-5)
    assert answer["failures"] == {"audio": "unplugged", "video": "unplugged"}
    if language == "swift":
        assert answer["targets"] == ON_IOS

    picture = np.array(cases["picture"]["rgb"], np.uint8).reshape(37, 61, 3)
    fitted = fit(picture, SPECS["video"].shape[2:4])  # type: ignore[arg-type]
    difference = np.abs(np.array(answer["picture"]).reshape(fitted.shape) - fitted.astype(int))
    assert difference.max() <= 1  # OpenCV rounds its weights


def test_the_code_in_a_bundles_readme_answers_as_the_runtime_does(sample: list[str], folder: Path) -> None:
    language, *compiled = sample
    head = head_of(folder)
    assert head.familiarity is not None
    embeddings = dict(zip(("audio", "text"), head.familiarity.weight, strict=False))  # familiar ones
    rows = {m: ", ".join(f"{x:.9g}" for x in row) for m, row in embeddings.items()}
    blocks = classifier(replace(MANIFEST, task=head.task))
    code = next(block for block in blocks if block.startswith(f"```{language}\n"))
    code = code.removeprefix(f"```{language}\n").removesuffix("```")
    if language == "kotlin":
        imports, rest = code.split("\n\n", 1)
        source = folder / "Read.kt"
        calls = [f'answer("{m}", floatArrayOf({row.replace(",", "f,")}f), 0.0)' for m, row in rows.items()]
        shown = "println(listOf(found.probabilities.toList(), found.candidates, found.sure))"
        program = f'{imports}\nval bundle = File("{folder}")\n{rest}\n'
        source.write_text(
            f"{program}fun main() {{\n{calls[0]}\nval found = {calls[1]}!!\n{shown}\n}}\n", encoding="utf-8"
        )
        command = kotlin([source], "ReadKt", folder, compiled[compiled.index("-cp") + 1])
    else:
        source = folder / "main.swift"
        calls = [f'answer("{m}", [{row}], at: 0)' for m, row in rows.items()]
        shown = 'print("[\\(found.probabilities), \\(found.candidates), \\(found.sure)]")'
        program = f'import Foundation\nlet bundle = URL(fileURLWithPath: "{folder}")\n{code}\n'
        source.write_text(f"{program}_ = {calls[0]}\nlet found = {calls[1]}!\n{shown}\n", encoding="utf-8")
        command = swift([*sources(language), source], folder)
    chances, chosen, sure = json.loads(run(command))
    expected, _ = answer_of(Sines(folder, SPECS, head, calibration(head.task)).classifier, embeddings, {})
    np.testing.assert_allclose(chances, expected.probabilities, atol=1e-5)
    assert {str(index) for index in chosen} == set(expected.candidates)
    assert sure == expected.sure
