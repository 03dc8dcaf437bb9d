"""A manifest that is written reads back, and a malformed one is refused with the name of the field."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_runtime.bundle.manifest import SCHEMA, Manifest
from sensemble_runtime.bundle.manifest_file import read_manifest, write_manifest
from sensemble_runtime.errors import BundleCorruptError, BundleError, BundleIncompatibleError, BundlePathError
from sensemble_sensors.errors import printable
from sensemble_sensors.strict_json import DecodeError, decode

from tests.runtime.manifests import HASH, MANIFEST, document, parent, set_to


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("manifest") / "manifest.json"


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401 - JSON
    """Every place in a JSON document, as the keys that lead there."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, item in inner for place in places(item, (*at, key)))]


def test_what_is_written_reads_back(path: Path) -> None:
    write_manifest(MANIFEST, path)
    assert read_manifest(path) == MANIFEST


AUDIO = ("modalities", "audio")
ARTIFACT = (*AUDIO, "artifacts", "executorch-xnnpack")

VAST = {
    "modality": "audio",
    "dtype": "float32",
    "shape": [1, 200_000_000],
    "rate": 1e6,
    "window": 200,
    "hop": 1,
    "ttl": 2,
    "kind": "waveform",
    "channels": [],
}
FITTED = ("calibration", "modalities", "audio")
ENTRY = {"temperature": 1, "power": 0, "examples": 9, "groups": 9}
SCORE = {"accuracy": 0.5, "n": 9, "low": 0.25, "high": 0.75}
FILES = [{"path": f"audio/coreml.mlpackage/{i}", "bytes": 1, "sha256": HASH} for i in range(5000)]
STRANGE = {
    "path": "audio/encoder.pte",
    "files": [{"path": "audio/encoder.pte", "bytes": 10, "sha256": HASH}],
    "scheme": "fp32",
    "parity": None,
    "latency_ms": None,
    "peak_mb": None,
}
MANY = [{"path": f"audio/coreml.mlpackage/{i}", "bytes": 2**32, "sha256": HASH} for i in range(5)]


@pytest.mark.parametrize(("kind", "raw"), [(bool, 1), (int, True), (float, False)])
def test_a_truth_value_is_no_number(kind: type, raw: object) -> None:
    assert decode(bool, True) is True
    with pytest.raises(DecodeError, match="expected"):
        decode(kind, raw)


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (set_to("schema", value="1"), "schema: expected an integer, got '1'"),
        (set_to("schema", value=True), "schema: expected an integer, got True"),
        (set_to("modalities", value={}), "modalities: there is none"),
        (set_to(*AUDIO, "artifacts", value={}), "modalities.audio.artifacts: there is none"),
        (set_to(*AUDIO, "spec", "modality", value="a+b"), "audio.spec: 'a\\+b': no name of a modality"),
        (
            set_to(*AUDIO, "spec", "kind", value="smell"),
            "spec: kind 'smell': there is none of this name",
        ),
        (set_to(*AUDIO, "spec", "kind", value="frames"), "audio.spec: expected uint8 of 5 dimensions"),
        (
            set_to(*AUDIO, "spec", "modality", value="video"),
            "modalities.audio.spec: expected a spec under its own name, got .video.",
        ),
        (
            set_to(*AUDIO, "spec", "dtype", value="float16"),
            "modalities.audio.spec.dtype: expected 'uint8' or",
        ),
        (set_to(*AUDIO, "spec", "shape", value=[1, 2, 3]), "modalities.audio.spec: expected float32 of 2"),
        (
            set_to(*AUDIO, "spec", "shape", 1, value=1.5),
            r"modalities.audio.spec.shape\[1\]: expected an integer",
        ),
        (set_to(*AUDIO, "spec", "hop", value=0), "modalities.audio.spec: expected a rate above 0"),
        (
            set_to(*ARTIFACT, "files", 0, "bytes", value=-1),
            r"executorch-xnnpack.files\[0\].bytes: expected 1 to 4294967296, got -1",
        ),
        (
            set_to(*ARTIFACT, "files", 0, "sha256", value=HASH.upper()),
            r"executorch-xnnpack.files\[0\].sha256: expected 64 lower-case",
        ),
        (set_to(*ARTIFACT, "scheme", value="int4"), "executorch-xnnpack.scheme: expected 'fp32' or 'fp16'"),
        (set_to(*ARTIFACT, "files", value=[]), "executorch-xnnpack.files: expected audio/encoder.pte itself"),
        (
            set_to(*AUDIO, "artifacts", "coreml", "files", 1, "path", value="audio/weight.bin"),
            "coreml.files: expected audio/coreml.mlpackage itself or files in it",
        ),
        (
            set_to("held_out", "video", value={"path": "a", "bytes": 1, "sha256": HASH}),
            "held_out.video: has no",
        ),
        (set_to(*ARTIFACT, "parity", "cosine", value=10**400), "parity.cosine: expected a number within"),
        (set_to(*AUDIO, "spec", "ttl", value=1e10), "audio.spec: expected a ttl above 0 s and up to 86400"),
        (set_to(*AUDIO, "spec", "ttl", value=0), "audio.spec: expected a ttl above 0 s and up to 86400"),
        (
            set_to(*AUDIO, "spec", "ttl", value=1e-6),
            "audio.spec: expected a ttl of at least the hop, 0.5 s, or nothing stays live; got 1e-06",
        ),
        (set_to(*AUDIO, "spec", "hop", value=9), "audio.spec: expected a ttl of at least the hop, 9 s"),
        (
            set_to(*AUDIO, "artifacts", "A DSP", value=STRANGE),
            "audio.artifacts.A DSP: expected a target",
        ),
        (
            set_to("provenance", "tools", value=dict.fromkeys(map(str, range(5000)), "1")),
            "provenance.tools: expected at most 4096 entries, got 5000",
        ),
        (set_to(*AUDIO, "artifacts", "coreml", "files", value=FILES), "coreml.files: expected at most 4096"),
        (set_to(*AUDIO, "spec", "rate", value=8000), "expected 8000 Hz x 1 s in the second dimension"),
        (set_to(*AUDIO, "spec", "window", value=2), "expected 16000 Hz x 2 s in the second dimension"),
        (set_to(*AUDIO, "spec", "shape", value=[1, 8000]), "expected 16000 Hz x 1 s in the second dimension"),
        (set_to(*AUDIO, "spec", "rate", value=1e9), "audio.spec: expected a rate above 0 and up to"),
        (set_to(*AUDIO, "spec", "window", value=1e9), "audio.spec: expected a rate above 0 and up to"),
        (set_to(*AUDIO, "spec", "hop", value=1e-9), "audio.spec: expected a rate above 0 and up to"),
        (set_to(*AUDIO, "spec", "hop", value=1e9), "audio.spec: expected a rate above 0 and up to"),
        (set_to(*AUDIO, "spec", value=VAST), "modalities.audio.spec: expected at most 100000000 elements"),
        (set_to(*AUDIO, "spec", "shape", value=[]), "modalities.audio.spec: expected float32 of 2"),
        (set_to("modalities", "text", "spec", "shape", 1, value=10**9), "expected at most 65536 tokens"),
        (set_to("modalities", "text", "spec", "hop", value=1), "expected rate, window and hop 0"),
        (set_to("embedding", value=10**9), "embedding: expected an integer from 1 to 65536, got 1000000000"),
        (set_to("labels", value=[f"{i}" for i in range(100_001)]), "labels: expected at most 100000"),
        (set_to("labels", 0, value="x" * 5000), r"labels\[0\]: expected at most 4096 characters"),
        (set_to("x" * 100_000, value=1), "xxx.*: unknown field"),
        (set_to("head", "bytes", value=10**9), "head.bytes: expected 1 to"),
        (set_to("tokenizer", "bytes", value=10**9), "tokenizer.bytes: expected 1 to 67108864"),
        (set_to(*ARTIFACT, "files", 0, "bytes", value=2**50), r"files\[0\].bytes: expected 1 to 4294967296"),
        (set_to(*AUDIO, "artifacts", "coreml", "files", value=MANY), "all files together have more than"),
        (set_to("embedding", value=0), "embedding: expected an integer from 1 to 65536, got 0"),
        (set_to("labels", value=["a", "a"]), "labels: expected distinct names"),
        (set_to("labels", 0, value="a\nb"), r"labels\[0\]: expected printable text"),
        (set_to("labels", 0, value="a\u061cb"), r"labels\[0\]: expected printable text"),
        (set_to("task", value=["multi-class"]), "task: expected 'multi-class' or 'multi-label'"),
        (set_to("tokenizer", value=None), "tokenizer: missing, and there is a text encoder"),
        (set_to("extra\n", value=1), r"'extra\\n': unknown field"),
        (set_to("provenance", "train_modalities", value=["video"]), "provenance.train_modalities: names a"),
        (
            set_to("provenance", "accuracy", "text+audio", value=0.5),
            r"provenance.accuracy.text\+audio: not a",
        ),
        (
            set_to("provenance", "accuracy", "audio", value=50.0),
            "provenance.accuracy.audio: expected a number from 0 to 1, got 50.0",
        ),
        (
            set_to("calibration", "risk", value=1),
            "calibration.risk: expected a number from 1e-06 to 0.999999, got 1",
        ),
        (
            set_to("calibration", "risk", value=1e-320),
            "calibration.risk: expected a number from 1e-06 to 0.999999, got 1e-320",
        ),
        (
            set_to(*FITTED, "temperature", value=0),
            "modalities.audio.temperature: expected a number from 0.01 to 100, got 0",
        ),
        (
            set_to(*FITTED, "temperature", value=-2.5),
            "audio.temperature: expected a number from 0.01 to 100, got -2.5",
        ),
        (set_to(*FITTED, "power", value=-1), "audio.power: expected a number from 0 to 4, got -1"),
        (set_to(*FITTED, "power", value=4.5), "audio.power: expected a number from 0 to 4, got 4.5"),
        (set_to(*FITTED, "power", value=0.5), "audio.power: expected 0 in a multi-label task, got 0.5"),
        (
            set_to("calibration", "threshold", value=2.5),
            "calibration.threshold: expected a number from 1e-06 to 2, got 2.5",
        ),
        (
            set_to(*FITTED, "temperature", value=1e-6),
            "audio.temperature: expected a number from 0.01 to 100, got 1e-06",
        ),
        (
            set_to(*FITTED, "examples", value=0),
            "modalities.audio.groups: expected 0 to 0, the number of examples",
        ),
        (
            set_to("calibration", "redundancy", value=1.1),
            "calibration.redundancy: expected a number from 0 to 1, got 1.1",
        ),
        (
            set_to("calibration", "modalities", "video", value=ENTRY),
            "calibration.modalities.video: has no encoder here",
        ),
        (
            set_to("calibration", "familiar", "video", value=0),
            "calibration.familiar.video: has no encoder here",
        ),
        (
            set_to("calibration", "familiar", "audio", value=-(2**53)),
            "calibration.familiar.audio: expected a number from -10000 to 10000, got -9",
        ),
        (set_to("audited", "video", value=SCORE), "audited.video: not a sorted set of audio, text"),
        (set_to("audited", "audio", value=SCORE | {"low": 0.6}), "audited.audio: expected low <="),
        (
            set_to("audited", "audio", value=SCORE | {"accuracy": 2}),
            "audited.audio.accuracy: expected a number from 0 to 1",
        ),
    ],
)
def test_a_bad_field_is_named(path: Path, alter: Callable[[Any], None], message: str) -> None:
    raw = document(path)
    alter(raw)
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(BundleCorruptError, match=message) as caught:
        read_manifest(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 5000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[]", "document: expected an object"),
        ('{"schema": 1, "schema": 1}', "a key is repeated"),
        ('{"schema": NaN}', "NaN is not JSON"),
        (f'{{"schema": {SCHEMA}}}', "modalities: missing"),
        ("[" * 100_000, "not JSON"),
        ("1" * 5000, "not JSON"),
    ],
)
def test_other_documents_are_refused(path: Path, text: str, message: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BundleCorruptError, match=message):
        read_manifest(path)


def test_where_there_is_no_bundle_one_inside_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "none", tmp_path / "file", tmp_path):
        reported = f"{folder}: there is no bundle there; give the folder of one, with its manifest.json"
        with pytest.raises(BundleCorruptError, match=f"^{re.escape(reported)}$"):
            read_manifest(folder / "manifest.json")
    (tmp_path / "bundle").mkdir()
    write_manifest(MANIFEST, tmp_path / "bundle" / "manifest.json")
    reported = f"{tmp_path}: there is no bundle there; did you mean {tmp_path / 'bundle'}?"
    with pytest.raises(BundleCorruptError, match=f"^{re.escape(reported)}$"):
        read_manifest(tmp_path / "manifest.json")


def test_a_file_that_is_not_utf8_is_refused(path: Path) -> None:
    path.write_bytes(b'{"schema": "\xff"}')
    with pytest.raises(BundleCorruptError, match="cannot be read"):
        read_manifest(path)


def test_a_file_far_too_large_for_a_manifest_is_not_read_to_its_end(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)  # and takes no room on the disk
    with pytest.raises(BundleCorruptError, match=r"manifest\.json: above 16 MB; give the folder of a bundle"):
        read_manifest(path)


@given(st.integers().filter(lambda version: version != SCHEMA), st.booleans())
def test_another_schema_is_incompatible_whatever_else_it_holds(path: Path, version: int, keep: bool) -> None:
    raw = document(path) | {"schema": version} if keep else {"schema": version, "other": []}
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(
        BundleIncompatibleError,
        match=f"version {version}, and this .* reads version {SCHEMA}; .*`sensemble export RUN`$",
    ):
        read_manifest(path)


escapes = st.sampled_from(
    [
        "../x",
        "/etc/passwd",
        "a/../../x",
        "a/..",
        "..",
        ".",
        "./a",
        "a//b",
        "a/",
        "C:/x",
        "a\\b",
        "..\\x",
        "~/x",
        "",
    ]
) | st.text(st.characters(codec="utf-8"), max_size=20).map(lambda tail: f"../{tail}".replace("\x00", "0"))


@given(escapes, st.sampled_from([("head",), ("tokenizer",), ARTIFACT]))
def test_a_path_that_leaves_the_bundle_has_its_own_error(
    path: Path, bad: str, place: tuple[str, ...]
) -> None:
    raw = document(path)
    parent(raw, (*place, "path"))["path"] = bad
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(BundlePathError if printable(bad) == bad else BundleCorruptError, match=r"\.path: "):
        read_manifest(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(data=st.data())
@settings(max_examples=300)
def test_whatever_stands_in_a_place_only_a_bundle_error_comes(path: Path, data: st.DataObject) -> None:
    raw = document(path)
    for place in data.draw(st.lists(st.sampled_from(places(raw)), min_size=1, max_size=3, unique=True)):
        try:
            holder = parent(raw, place)
            if place and data.draw(st.booleans()):
                holder[place[-1]] = data.draw(json_values)
            elif place:
                del holder[place[-1]]
            else:
                raw = data.draw(json_values)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took this place away
    before = copy.deepcopy(raw)
    path.write_text(json.dumps(raw), encoding="utf-8")
    try:
        manifest = read_manifest(path)
    except BundleError as error:
        assert "\n" not in str(error)  # noqa: PT017 - that it is raised is not what is tested
    else:
        write_manifest(manifest, path)
        for modality, entry in manifest.modalities.items():  # a device may be left to the modality's name
            spec = before["modalities"][modality]["spec"]
            spec["device"] = entry.spec.device if spec.get("device") is None else spec["device"]
        before["provenance"].setdefault("extends", None)
        assert json.loads(path.read_text(encoding="utf-8")) == before


@given(st.binary(max_size=200))
def test_random_bytes_are_never_a_manifest(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(BundleError):
        read_manifest(path)


def test_a_manifest_that_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    bad = Manifest(**{field: getattr(MANIFEST, field) for field in MANIFEST.__slots__} | {"labels": ()})
    with pytest.raises(BundleCorruptError, match="labels"):
        write_manifest(bad, tmp_path / "manifest.json")
    assert not (tmp_path / "manifest.json").exists()


def test_a_label_that_the_data_format_allows_is_allowed(path: Path) -> None:
    labels = (
        "à\u00a0gauche",
        "👩\u200d🚀",
    )  # a space that does not break, as of a word processor, and a joiner
    kept = Manifest(**{field: getattr(MANIFEST, field) for field in MANIFEST.__slots__} | {"labels": labels})
    write_manifest(kept, path)
    assert read_manifest(path).labels == labels
