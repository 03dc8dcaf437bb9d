"""A manifest that is written reads back, and a malformed one is refused with the name of the field."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_runtime.bundle.manifest import SCHEMA, Calibration, Manifest
from sensemble_runtime.bundle.manifest_file import read_manifest, write_manifest
from sensemble_runtime.errors import BundleCorruptError, BundleError, BundleIncompatibleError, BundlePathError
from sensemble_sensors.errors import printable

from tests.runtime.manifests import HASH, MANIFEST, document, parent


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
    assert MANIFEST.modalities["audio"].artifacts["coreml"].bytes == 30


@pytest.mark.parametrize(
    ("groups", "threshold", "promise"),
    [
        (
            19,
            0.6,
            "promised: at most 5 % of a new person's answers are sure and wrong (from 19 people",
        ),
        (
            18,
            0.6,
            "not promised for new people: 18 of the 19 needed (a group of the data is one",
        ),
        (0, 1.5, "not promised for new people: 0 of the 19 needed (a group of the data is one"),
    ],
)
def test_a_promise_needs_19_people(groups: int, threshold: float, promise: str) -> None:
    assert Calibration(0.05, threshold, groups, 0.5, {}, {}).promise.startswith(promise)


ARTIFACT = ("modalities", "audio", "artifacts", "executorch-xnnpack")
COREML = "modalities/audio/artifacts/coreml"
FILES = [{"path": f"audio/coreml.mlpackage/{i}", "bytes": 1, "sha256": HASH} for i in range(5000)]
MANY = [{"path": f"audio/coreml.mlpackage/{i}", "bytes": 2**32, "sha256": HASH} for i in range(5)]
STRANGE = {"path": "audio/encoder.pte", "files": [{"path": "audio/encoder.pte", "bytes": 10, "sha256": HASH}]}
STRANGE |= {"scheme": "fp32", "parity": None, "latency_ms": None, "peak_mb": None}
VAST = {"modality": "audio", "dtype": "float32", "shape": [1, 200_000_000], "rate": 1e6, "window": 200}
VAST |= {"hop": 1, "ttl": 2, "kind": "waveform", "channels": [], "device": ""}
ENTRY = {"temperature": 1, "power": 0, "examples": 9, "groups": 9}
SCORE = {"accuracy": 0.5, "n": 9, "low": 0.25, "high": 0.75}


# The place that is altered ("SPEC" and "XNN" are those of audio), its value, and the field that is named.
BAD: list[tuple[str, Any, str]] = [
    ("schema", "1", "schema: expected an integer, got '1'"),
    ("schema", True, "schema: expected an integer, got True"),
    ("modalities", {}, "modalities: there is none"),
    ("modalities/audio/artifacts", {}, "modalities.audio.artifacts: there is none"),
    ("modalities/audio/artifacts/A DSP", STRANGE, "artifacts.A DSP: expected a target"),
    ("SPEC/modality", "a+b", "audio.spec: 'a+b': not a name of a modality"),
    ("SPEC/modality", "video", "audio.spec: expected a spec under its own name"),
    ("SPEC/kind", "smell", "spec: kind 'smell': there is none"),
    ("SPEC/kind", "frames", "audio.spec: expected uint8 of 5 dimensions"),
    ("SPEC/dtype", "float16", "audio.spec.dtype: expected 'uint8' or"),
    ("SPEC/shape", [1, 2, 3], "audio.spec: expected float32 of 2"),
    ("SPEC/shape/1", 1.5, "audio.spec.shape[1]: expected an integer"),
    ("SPEC/shape", [1, 8000], "expected 16000 Hz x 1 s in the second"),
    ("SPEC/rate", 8000, "expected 8000 Hz x 1 s in the second"),
    ("SPEC/rate", 1e9, "audio.spec: expected a rate above 0 and up to"),
    ("SPEC/window", 1e9, "audio.spec: expected a rate above 0 and up to"),
    ("SPEC/hop", 0, "audio.spec: expected a rate above 0"),
    ("SPEC/hop", 1e9, "audio.spec: expected a rate above 0 and up to"),
    ("SPEC/hop", 9, "audio.spec: expected a ttl of at least the hop, 9 s"),
    ("SPEC/ttl", 1e10, "audio.spec: expected a ttl above 0 s and up to 86400"),
    ("SPEC/ttl", 1e-6, "audio.spec: expected a ttl of at least the hop, 0.5 s"),
    ("SPEC", VAST, "audio.spec: expected at most 100000000 elements"),
    ("modalities/text/spec/shape/1", 10**9, "expected at most 65536 tokens"),
    ("modalities/text/spec/hop", 1, "expected rate, window and hop 0"),
    ("XNN/files", [], "xnnpack.files: expected audio/encoder.pte itself"),
    ("XNN/files/0/bytes", -1, "files[0].bytes: expected 1 to 4294967296, got -1"),
    ("XNN/files/0/sha256", HASH.upper(), "files[0].sha256: expected 64 lower-case"),
    ("XNN/scheme", "int4", "xnnpack.scheme: expected 'fp32' or 'fp16'"),
    ("XNN/threads", 2, "xnnpack.threads: expected"),
    ("XNN/parity/cosine", 10**400, "parity.cosine: expected a number within"),
    (f"{COREML}/files/1/path", "audio/weight.bin", "coreml.files: expected audio/coreml.mlpackage"),
    (f"{COREML}/files", FILES, "coreml.files: expected at most 4096"),
    (f"{COREML}/files", MANY, "all files together have more than"),
    ("held_out/video", {"path": "a", "bytes": 1, "sha256": HASH}, "held_out.video: has no"),
    ("embedding", 0, "embedding: expected an integer from 1 to 65536, got 0"),
    ("labels", [f"{i}" for i in range(100_001)], "labels: expected at most 100000"),
    ("labels", ["a", "a"], "labels: expected distinct names"),
    ("labels", ["caf\u00e9", "cafe\u0301"], "labels: expected distinct names"),
    ("labels/0", "x" * 5000, "labels[0]: expected at most 4096 characters"),
    ("labels/0", "a\nb", "labels[0]: expected printable text"),
    ("x" * 100_000, 1, ": unknown field"),
    ("SPEC/device", None, "modalities.audio.spec.device: missing"),
    ("extra\n", 1, r"'extra\n': unknown field"),
    ("head/bytes", 10**9, "head.bytes: expected 1 to"),
    ("tokenizer/bytes", 10**9, "tokenizer.bytes: expected 1 to 67108864"),
    ("tokenizer", None, "tokenizer: missing, and there is a text encoder"),
    ("task", ["multi-class"], "task: expected 'multi-class' or 'multi-label'"),
    (
        "provenance/tools",
        dict.fromkeys(map(str, range(5000)), "1"),
        "provenance.tools: expected at most 4096",
    ),
    ("provenance/train_modalities", ["video"], "provenance.train_modalities: names a"),
    ("provenance/accuracy/text+audio", 0.5, "provenance.accuracy.text+audio: not a"),
    ("provenance/accuracy/audio", 50.0, "provenance.accuracy.audio: expected a number from 0 to 1"),
    ("calibration/risk", 1, "calibration.risk: expected a number from 1e-06 to 0.999999"),
    ("calibration/threshold", 2.5, "calibration.threshold: expected a number from 1e-06 to 2"),
    ("calibration/redundancy", 1.1, "calibration.redundancy: expected a number from 0 to 1"),
    ("calibration/prior", [0.5], "calibration.prior: expected 4 shares"),
    ("calibration/modalities/audio/temperature", 0, "audio.temperature: expected a number from 0.01 to 100"),
    ("calibration/modalities/audio/power", -1, "audio.power: expected a number from 0 to 4"),
    ("calibration/modalities/audio/power", 0.5, "audio.power: expected 0 in a multi-label task"),
    ("calibration/modalities/audio/examples", 0, "audio.groups: expected 0 to 0"),
    ("calibration/modalities/video", ENTRY, "calibration.modalities.video: has no encoder"),
    ("calibration/familiar/video", 0, "calibration.familiar.video: has no encoder"),
    ("calibration/familiar/audio", -(2**53), "familiar.audio: expected a number from -10000"),
    ("audited/video", SCORE, "audited.video: not a sorted set of audio, text"),
    ("audited/audio", SCORE | {"low": 0.6}, "audited.audio: expected low <="),
    ("audited/audio", SCORE | {"accuracy": 2}, "audited.audio.accuracy: expected a number from 0 to 1"),
]


@pytest.mark.parametrize(("place", "value", "expected"), BAD)
def test_a_bad_field_is_named(path: Path, place: str, value: Any, expected: str) -> None:  # noqa: ANN401 - JSON
    raw = document(path)
    keys = place.replace("SPEC", "modalities/audio/spec").replace("XNN", "/".join(ARTIFACT)).split("/")
    at = [int(key) if key.isdigit() else key for key in keys]
    parent(raw, (*at,))[at[-1]] = value
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(BundleCorruptError) as caught:
        read_manifest(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert expected in message
    assert "\n" not in message
    assert len(message) < 5000


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "document: expected an object"),
        (b'{"schema": 1, "schema": 1}', "a key is repeated"),
        (b'{"schema": NaN}', "NaN is not JSON"),
        (b'{"schema": "\xff"}', "cannot be read"),
        (b'{"schema": %d}' % SCHEMA, "modalities: missing"),
        (b"[" * 100_000, "not JSON"),
        (b"1" * 5000, "not JSON"),
    ],
)
def test_other_documents_are_refused(path: Path, data: bytes, message: str) -> None:
    path.write_bytes(data)
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


def test_a_file_far_too_large_for_a_manifest_is_not_read_to_its_end(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)  # and takes no room on the disk
    with pytest.raises(BundleCorruptError, match=r"manifest\.json: above 16 MB; give"):
        read_manifest(path)


@given(st.integers().filter(lambda version: version != SCHEMA), st.booleans())
def test_another_schema_is_incompatible_whatever_else_it_holds(path: Path, version: int, keep: bool) -> None:
    raw = document(path) | {"schema": version} if keep else {"schema": version, "other": []}
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(
        BundleIncompatibleError,
        match=rf"version {version}, .* {SCHEMA}; .*export RUN",
    ):
        read_manifest(path)


OUTSIDE = [
    "../x", "/etc/passwd", "a/../../x", "a/..", "..", ".", "./a", "a//b", "a/", "C:/x", "a\\b", "..\\x",
    "~/x", "",
]  # fmt: skip
escapes = st.sampled_from(OUTSIDE) | st.text(st.characters(codec="utf-8"), max_size=20).map(
    lambda tail: f"../{tail}".replace("\x00", "0")
)


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
        for modality in manifest.modalities:
            for artifact in before["modalities"][modality]["artifacts"].values():
                artifact.setdefault("threads", None)
        before["provenance"].setdefault("extends", None)
        before["calibration"].setdefault("timeline", None)
        before["calibration"].setdefault("sparing", None)
        before["calibration"].setdefault("prior", None)
        assert json.loads(path.read_text(encoding="utf-8")) == before


def test_a_manifest_that_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    bad = Manifest(**{field: getattr(MANIFEST, field) for field in MANIFEST.__slots__} | {"labels": ()})
    with pytest.raises(BundleCorruptError, match="labels"):
        write_manifest(bad, tmp_path / "manifest.json")
    assert not (tmp_path / "manifest.json").exists()
