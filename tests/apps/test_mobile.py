"""The samples' own arithmetic, compiled here, beside the Python that it repeats.

What needs no phone (tokenizer, head, pooling, windows, pictures) is compiled from `apps/android` and
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
from sensemble_runtime.fusion import pool
from sensemble_runtime.head import Head, save_head
from sensemble_runtime.text import tokenize
from sensemble_runtime.windows import AudioWindows
from sensemble_sensors.frames import fit
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec
from sensemble_train.tokens import train_tokenizer
from tokenizers import Tokenizer

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
AGES = (0.0, 3.0, 5.0, 11.0)
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


@pytest.fixture(params=["multi-class", "multi-label"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A bundle but for its encoders, and the cases to try on it."""
    source = np.random.default_rng(0)
    weight, bias = source.standard_normal((3, 8), np.float32), source.standard_normal(3, np.float32)
    save_head(Head(weight, bias, request.param), tmp_path / "head.safetensors")
    train_tokenizer(CORPUS * 20, 400).save(str(tmp_path / "tokenizer.json"))
    manifest = {
        "modalities": {
            m: {"spec": asdict(spec), "artifacts": {"executorch-xnnpack": {"path": f"{m}/x.pte"}}}
            for m, spec in SPECS.items()
        },
        "labels": ["one", "two", "three"],
        "task": request.param,
        "head": {"path": "head.safetensors"},
        "tokenizer": {"path": "tokenizer.json"},
    }
    picture = source.integers(0, 256, (37, 61, 3))
    cases = {
        "captions": captions(),
        "embeddings": {m: source.standard_normal(8, np.float32).tolist() for m in SPECS},
        "ages": AGES,
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
    portable = [SWIFT / f"{name}.swift" for name in ("LiveSet", "ModelBundle", "Tokenizer", "Windows")]
    subprocess.run([compiler, "-o", program, *portable, CHECKS / "main.swift"], check=True)
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
    for age, found in zip(AGES, answer["predictions"], strict=True):
        live = [m for m in sorted(SPECS) if age <= SPECS[m].ttl]
        assert found["live"] == live
        if live:
            embeddings = {m: np.array(cases["embeddings"][m], np.float32) for m in live}
            np.testing.assert_allclose(
                found["probabilities"], head.probabilities(pool(embeddings)), atol=1e-5
            )
        else:
            assert found["probabilities"] == []

    picture = np.array(cases["picture"]["rgb"], np.uint8).reshape(37, 61, 3)
    expected = fit(picture, SPECS["video"].shape[2:4])  # type: ignore[arg-type]
    difference = np.abs(np.array(answer["picture"]).reshape(expected.shape) - expected.astype(int))
    assert difference.max() <= 1  # OpenCV rounds its weights

    windows = AudioWindows(SPECS["audio"])
    heard = []
    for block in range(40):
        data = np.arange(7 * block, 7 * block + 7, dtype=np.float32)
        windows.push(Sample("audio", data, (block + 1) * 0.07))
        if (window := windows.take()) is not None:
            heard.append(window.data[0].tolist())
    assert len(answer["audio"]) == len(heard)
    # A window of the sample's ends with the newest samples, one of the runtime's on a hop exactly.
    for found, exact in zip(answer["audio"], heard, strict=True):
        assert 0 <= found[0] - exact[0] < 7
        assert np.diff(found).tolist() == [1] * 99
