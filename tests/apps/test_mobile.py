"""The samples' own arithmetic, compiled here, beside the Python that it repeats.

What needs no phone (tokenizer, windows, session, head, pictures) is compiled from `apps/android` and
`apps/ios` and compared with `tokenizers`, the runtime, and OpenCV. It takes compilers that CI does not
install, a `swiftc`, and a `kotlinc` from 2.0 with Debian's libandroid-json-java: without them these tests are
reported as skipped.
"""

import json
import random
import re
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime.head import Head, save_head
from sensemble_runtime.text import tokenize
from sensemble_sensors.frames import fit
from sensemble_sensors.spec import InputSpec
from sensemble_train.tokens import train_tokenizer
from tokenizers import Tokenizer

from .mobile.stream import Sines, events, predictions

APPS = Path(__file__).parents[2] / "apps"
KOTLIN = APPS / "android/app/src/main/java/dev/sensemble/sample"
SWIFT = APPS / "ios/Sources"
CHECKS = Path(__file__).with_name("mobile")
JSON_JAR = Path("/usr/share/java/com.android.json.jar")

SPECS = {
    "audio": InputSpec("audio", "float32", (1, 100), rate=100, window=1, hop=0.5, ttl=2),
    "text": InputSpec("text", "int64", (1, 24), rate=0, window=0, hop=0, ttl=10),
    "video": InputSpec("video", "uint8", (1, 2, 12, 16, 3), rate=2, window=1, hop=0.5, ttl=4),
}
ARTIFACTS = {
    "audio": {"coreml": False, "executorch-xnnpack": True},
    "text": {"executorch-xnnpack": True, "executorch-coreml": True, "coreml": False},
    "video": {"executorch-xnnpack": False, "coreml": False, "onnx": True},
}
"""Whether each artifact was proved to be like its float original."""
ON_IOS = {"audio": "executorch-xnnpack", "text": "executorch-coreml", "video": "coreml"}
CORPUS = (
    "a person says the number seven",
    "It's NOT a nine; they've said it's 42!",
    "ένας αριθμός Σίσυφος",
    "eight  eight   dogs\tbarking",
    "naïve café, ünïcode 数字 七",
)
LETTERS = (
    "abc XYZ's've012 !?[PAD] \t\n\u00a0\u2003\u0085\u2028éÉΣςİ\u0131\u017fﬁǅ½²٣ـᾳ数七🙂👩\u200d👧e\u0301"
)


def captions() -> list[str]:
    source = random.Random(0)  # noqa: S311 - test data
    drawn = ["".join(source.choices(LETTERS, k=source.randint(1, 30))) for _ in range(300)]
    return [*CORPUS, "", " ", "[PAD]", "a[PAD]b", "[PAD] [PAD]x", "ΟΔΥΣΣΕΥΣ", "x\n\n y", *drawn]


def artifact(proved: bool) -> dict[str, object]:
    return {"path": "x", "parity": {"cosine": 1.0} if proved else None}


@pytest.fixture(params=["multi-class", "multi-label"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A bundle but for its encoders, and the cases to try on it."""
    source = np.random.default_rng(0)
    weight, bias = source.standard_normal((3, 8), np.float32), source.standard_normal(3, np.float32)
    save_head(Head(weight, bias, request.param), tmp_path / "head.safetensors")
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
    (tmp_path / "weights.json").write_text(json.dumps([weight.tolist(), bias.tolist()]))
    return tmp_path


@pytest.fixture(scope="module")
def kotlin(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    compiler = shutil.which("kotlinc")
    if compiler is None or not JSON_JAR.exists():
        pytest.skip("needs kotlinc and libandroid-json-java")
    version = subprocess.run([compiler, "-version"], capture_output=True, text=True, check=True).stderr
    if int((re.findall(r"kotlinc-jvm (\d+)", version) or ["0"])[0]) < 2:
        pytest.skip("needs a kotlinc from 2.0")
    jar = tmp_path_factory.mktemp("kotlin") / "check.jar"
    portable = [KOTLIN / f"{name}.kt" for name in ("Bundle", "LiveSet", "Session", "Tokenizer", "Windows")]
    options = ["-include-runtime", "-cp", JSON_JAR, "-d", jar]
    subprocess.run([compiler, *options, *portable, CHECKS / "Check.kt"], check=True)
    return ["java", "-cp", f"{jar}:{JSON_JAR}", "dev.sensemble.sample.CheckKt"]


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    compiler = shutil.which("swiftc")
    if compiler is None:
        pytest.skip("needs swiftc")
    program = tmp_path_factory.mktemp("swift") / "check"
    names = ("LiveSet", "ModelBundle", "Session", "Tokenizer", "Windows")
    portable = [*(SWIFT / f"{name}.swift" for name in names), CHECKS / "main.swift"]
    subprocess.run([compiler, "-o", program, *portable], check=True)
    return [str(program)]


@pytest.mark.mobile
@pytest.mark.parametrize("language", ["kotlin", "swift"])
def test_the_samples_do_what_the_runtime_does(
    language: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    command = [*request.getfixturevalue(language), str(folder)]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    cases = json.loads((folder / "cases.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert answer["ids"] == [tokenize(tokenizer, text, 24)[0].tolist() for text in cases["captions"]]

    weight, bias = (
        np.array(values, np.float32) for values in json.loads((folder / "weights.json").read_text())
    )
    head = Head(weight, bias, json.loads((folder / "manifest.json").read_text())["task"])
    expected = predictions(Sines(folder, SPECS, head))
    sets = {"+".join(live) for _, live, _ in expected}
    assert sets == {"audio", "video", "audio+video", "text+video", "audio+text+video"}
    assert [found["live"] for found in answer["predictions"]] == [live for _, live, _ in expected]
    for found, (time, _, probabilities) in zip(answer["predictions"], expected, strict=True):
        assert found["time"] == time
        np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-5)
    assert answer["failures"] == {"audio": "unplugged", "video": "unplugged"}
    if language == "swift":
        assert answer["targets"] == ON_IOS

    picture = np.array(cases["picture"]["rgb"], np.uint8).reshape(37, 61, 3)
    fitted = fit(picture, SPECS["video"].shape[2:4])  # type: ignore[arg-type]
    difference = np.abs(np.array(answer["picture"]).reshape(fitted.shape) - fitted.astype(int))
    assert difference.max() <= 1  # OpenCV rounds its weights
