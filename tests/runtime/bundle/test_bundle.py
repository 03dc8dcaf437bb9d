import dataclasses
import json
import os
import shutil
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import BundleCorruptError, BundleError, BundleIncompatibleError, BundlePathError
from sensemble_runtime.executors import executor
from sensemble_sensors.clock import REAL, Patience

from tests.runtime.bundle.altered import edit, replace_file

FILES = ["head.safetensors", "tokenizer.json", "audio/encoder.pte", "text/encoder.pte", "video/encoder.pte"]

any_file = st.sampled_from(FILES)


@pytest.fixture(scope="module")
def shared(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy whose files are altered and put back, one example at a time."""
    return Path(shutil.copytree(bundle_folder, tmp_path_factory.mktemp("shared") / "bundle"))


@pytest.fixture(scope="module")
def reference(built: Path) -> dict[str, np.ndarray]:
    with np.load(built / "reference.npz") as arrays:
        return dict(arrays)


@contextmanager
def holding(path: Path, data: bytes) -> Iterator[None]:
    """The file at `path` holds `data` inside the block, and what it held before after it."""
    before = path.read_bytes()
    path.write_bytes(data)
    try:
        yield
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("modality", ["audio", "text", "video"])
def test_embeddings_are_those_of_torch(
    bundle_folder: Path, reference: dict[str, np.ndarray], modality: str
) -> None:
    bundle = Bundle.open(bundle_folder)
    found = np.stack([bundle.encode(modality, window) for window in reference[f"{modality}.windows"]])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, reference[f"{modality}.lowered"], atol=1e-5)
    # audio is int8: within a few quantization steps of the float encoder
    np.testing.assert_allclose(found, reference[f"{modality}.float"], atol=0.02)


@pytest.mark.parametrize(
    ("window", "got"),
    [
        (np.zeros((1, 1600)), r"float64 \[1, 1600\]"),
        (np.zeros((1, 1599), np.float32), r"float32 \[1, 1599\]"),
        (np.zeros(1600, np.float32), r"float32 \[1600\]"),
        (np.zeros((0, 1600), np.float32), r"float32 \[0, 1600\]"),
        (np.zeros((1, 1600), np.complex64), r"complex64 \[1, 1600\]"),
    ],
)
def test_a_window_of_another_form_is_refused(bundle_folder: Path, window: np.ndarray, got: str) -> None:
    with pytest.raises(ValueError, match=rf"audio/encoder\.pte: .*{got}$"):
        Bundle.open(bundle_folder).encode("audio", window)


def test_strided_and_read_only_windows_are_encoded(
    bundle_folder: Path, reference: dict[str, np.ndarray]
) -> None:
    bundle = Bundle.open(bundle_folder)
    window = reference["audio.windows"][0]
    strided = np.repeat(window, 2, axis=1)[:, ::2]
    strided.flags.writeable = False
    np.testing.assert_array_equal(bundle.encode("audio", strided), bundle.encode("audio", window))


def test_encoders_load_on_first_use_and_again_after_unloading(bundle_folder: Path) -> None:
    bundle = Bundle.open(bundle_folder)
    encoder = bundle.load("audio")
    assert bundle.load("audio") is encoder
    gone = weakref.ref(encoder)
    bundle.unload("audio")
    bundle.unload("audio")
    del encoder
    bundle.settle(Patience(REAL, 20.0))
    assert gone() is None
    assert bundle.encode("audio", np.zeros((1, 1600), np.float32)).shape == (8,)


def test_many_threads_share_a_bundle(bundle_folder: Path, reference: dict[str, np.ndarray]) -> None:
    bundle = Bundle.open(bundle_folder)
    jobs = [(m, i) for i in range(16) for m in bundle.modalities] * 8

    def job(modality: str, i: int) -> np.ndarray:
        if i == 7:
            bundle.unload(modality)  # others are encoding meanwhile
        return bundle.encode(modality, reference[f"{modality}.windows"][i])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda args: job(*args), jobs))
    for (modality, i), embedding in zip(jobs, found, strict=True):
        np.testing.assert_allclose(embedding, reference[f"{modality}.lowered"][i], atol=1e-5)


def test_an_unknown_modality_is_named(bundle_folder: Path) -> None:
    with pytest.raises(BundleError, match=r"'depth'.* audio, text, video"):
        Bundle.open(bundle_folder).load("depth")


def test_a_head_of_the_same_encoders_takes_over_and_of_others_none(folder: Path) -> None:
    bundle = Bundle.open(folder)
    edit(folder, '"zero"', '"nought"')
    made = bundle.with_head(Bundle.open(folder))
    assert made is not None
    assert (made.labels[0], bundle.labels[0]) == ("nought", "zero")
    assert made.fingerprint != bundle.fingerprint
    assert made.load("audio") is bundle.load("audio")
    replace_file(folder, "audio/encoder.pte", (folder / "audio" / "encoder.pte").read_bytes() + b"0")
    assert bundle.with_head(Bundle.open(folder)) is None


def test_a_bundle_prints_what_it_knows_in_five_lines(folder: Path) -> None:
    bundle = Bundle.open(folder)
    lines = repr(bundle).splitlines()
    assert len(lines) == 5
    assert ", ".join(bundle.labels) in lines[1]
    assert bundle.manifest.calibration.promise in lines[4]


def test_a_bundle_without_text_does_not_tokenize(folder: Path) -> None:
    raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    del raw["modalities"]["text"]
    del raw["calibration"]["modalities"]["text"]
    (folder / "manifest.json").write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(BundleError, match="no text encoder; it has audio, video"):
        Bundle.open(folder).tokenize("a")


@given(any_file, st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused(shared: Path, name: str, part: float) -> None:
    whole = (shared / name).read_bytes()
    with (
        holding(shared / name, whole[: int(len(whole) * part)]),
        pytest.raises(BundleCorruptError, match=rf"{name}: \d+ bytes, .*{len(whole)}"),
    ):
        Bundle.open(shared)
    Bundle.open(shared)


@given(any_file, st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_a_single_flipped_bit_is_refused(shared: Path, name: str, part: float, bit: int) -> None:
    altered = bytearray((shared / name).read_bytes())
    altered[int(len(altered) * part)] ^= 1 << bit
    with holding(shared / name, altered), pytest.raises(BundleCorruptError, match=rf"{name}: altered"):
        Bundle.open(shared)


def test_a_bundle_for_other_executors_is_refused(folder: Path) -> None:
    edit(folder, '"executorch-xnnpack"', '"coreml"')
    with pytest.raises(BundleIncompatibleError, match=r"audio .*coreml .*executorch-xnn"):
        Bundle.open(folder)


def test_an_executor_that_was_asked_for_is_taken_or_refused(bundle_folder: Path) -> None:
    bundle = Bundle.open(bundle_folder, executor="executorch-xnnpack")
    assert bundle.executors == dict.fromkeys(("audio", "text", "video"), "executorch-xnnpack")
    with pytest.raises(BundleIncompatibleError, match=r"audio .*executorch-xnnpack.*onnx"):
        Bundle.open(bundle_folder, executor="onnx")


def test_an_artifact_whose_parity_was_measured_is_preferred(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "manifest.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    found = {"cosine": 1.0, "max_error": 0.0, "mean_error": 0.0, "windows": 8, "agreement": 1.0}
    for modality in ("audio", "text"):  # of which neither is proved
        artifacts = raw["modalities"][modality]["artifacts"]
        artifacts["coreml"] = artifacts["executorch-xnnpack"] | {"parity": None}
    raw["modalities"]["audio"]["artifacts"]["executorch-xnnpack"]["parity"] = found
    path.write_text(json.dumps(raw), encoding="utf-8")
    monkeypatch.setattr(executor, "missing", lambda _: "")  # as on a Mac
    chosen = Bundle.open(folder).executors
    assert chosen == {"audio": "executorch-xnnpack", "text": "coreml", "video": "executorch-xnnpack"}
    only = raw["modalities"]["video"]["artifacts"]
    only["coreml"] = only["executorch-xnnpack"]
    path.write_text(json.dumps(raw), encoding="utf-8")
    assert set(Bundle.open(folder, executor="executorch-xnnpack").executors.values()) == {
        "executorch-xnnpack"
    }
    assert Bundle.open(folder).executors["video"] == "coreml"


def test_an_executor_that_is_not_installed_says_how_to_get_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(folder, '"executorch-xnnpack"', '"onnx"')
    absent = dataclasses.replace(executor.EXECUTORS["onnx"], needs="absent_onnxruntime")
    monkeypatch.setitem(executor.EXECUTORS, "onnx", absent)
    for asked in (None, "onnx"):
        with pytest.raises(BundleIncompatibleError, match=r"onnx .*pip install .*\[onnx\]"):
            Bundle.open(folder, executor=asked)
    with pytest.raises(BundleIncompatibleError, match="onnx is not installed"):
        executor.load(folder / "audio" / "encoder.pte", "onnx")


def test_a_package_holds_what_is_listed_and_is_walked_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "manifest.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    artifacts = raw["modalities"]["audio"]["artifacts"]
    artifacts["executorch-xnnpack"]["path"] = "audio"
    for target in ("coreml", "onnx"):
        artifacts[target] = artifacts["executorch-xnnpack"]
    path.write_text(json.dumps(raw), encoding="utf-8")
    walked, walk = [], Path.rglob
    monkeypatch.setattr(Path, "rglob", lambda *given: walked.append(given[0]) or walk(*given))
    Bundle.open(folder)
    assert walked.count(folder / "audio") == 1
    (folder / "audio" / "more").mkdir()
    (folder / "audio" / "more" / "weights").touch()
    with pytest.raises(BundleCorruptError, match="audio/more/weights: not in the manifest"):
        Bundle.open(folder)


STANDS_THERE: dict[str, Callable[[Path, Path], object]] = {
    "nothing": lambda *_: None,
    "a folder": lambda path, _: path.mkdir(),
    "a pipe": lambda path, _: os.mkfifo(path),
    "a loop": lambda path, _: path.symlink_to(path.name),
    "a link out": lambda path, away: path.symlink_to(away),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("thing", STANDS_THERE)
def test_what_stands_in_place_of_a_file_is_refused(
    folder: Path, tmp_path: Path, name: str, thing: str
) -> None:
    shutil.move(folder / name, tmp_path / "away")
    STANDS_THERE[thing](folder / name, tmp_path / "away")
    with pytest.raises(BundlePathError if thing == "a link out" else BundleCorruptError, match=name):
        Bundle.open(folder)


def test_a_link_inside_the_bundle_and_to_the_bundle_is_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "audio").rename(folder / "blobs")
    (folder / "audio").symlink_to("blobs")
    (tmp_path / "link").symlink_to(folder)
    assert Bundle.open(tmp_path / "link").encode("audio", np.zeros((1, 1600), np.float32)).shape == (8,)


def head_of_four(_: Path) -> bytes:
    return save({"weight": np.zeros((4, 8), np.float32), "bias": np.zeros(4, np.float32)})


def of_audio(folder: Path) -> bytes:
    return (folder / "audio" / "encoder.pte").read_bytes()


@pytest.mark.parametrize(
    ("name", "other", "error"),
    [
        ("head.safetensors", head_of_four, r"weight is \[4, 8\].* make it \[3, 8\]"),
        ("tokenizer.json", lambda _: b"{}", "not a tokenizer"),
        ("video/encoder.pte", of_audio, r".* the manifest says \('uint8'"),
        ("video/encoder.pte", lambda _: b"not a program" * 100, "InvalidProgram: .*identifier"),
    ],
    ids=["head", "tokenizer", "encoder", "program"],
)
def test_a_file_that_does_not_fit_is_refused(
    folder: Path, name: str, other: Callable[[Path], bytes], error: str
) -> None:
    replace_file(folder, name, other(folder))
    with pytest.raises((BundleCorruptError, BundleIncompatibleError), match=rf"{name}: {error}"):
        Bundle.open(folder).load("video")


def test_thresholds_without_scores_of_familiarity_are_refused(folder: Path) -> None:
    raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    raw["calibration"]["familiar"] = dict.fromkeys(("audio", "text", "video"), 0.5)
    (folder / "manifest.json").write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(BundleCorruptError, match=r"head\.safetensors: .*0 modalities"):
        Bundle.open(folder)


FRESH = """
import sys
import numpy as np
from pathlib import Path
from sensemble_runtime.executors import executor
from sensemble_runtime.executors.executor import Encoder
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.clock import REAL, Patience

bundle = Bundle.open(Path(sys.argv[1]))
for modality in ("audio", "video"):
    spec = bundle.specs[modality]
    bundle.head.probabilities(bundle.encode(modality, np.zeros(spec.shape, spec.dtype)))
assert "tokenizers" not in sys.modules, "tokenizers before any caption"
bundle.head.probabilities(bundle.encode("text", bundle.tokenize("a person says two")))
foreign = {name.partition(".")[0] for name in sys.modules} & {"torch", "executorch", "cv2", "av", "torchao"}
assert not foreign, foreign
status = Path("/proc/self/status").read_text()
print(status.split("VmHWM:")[1].split()[0])
"""


def test_a_fresh_process_has_no_torch_and_stays_small(bundle_folder: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FRESH, bundle_folder], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert int(run.stdout) * 1024 <= 100e6  # VmHWM: peak resident, kibibytes
