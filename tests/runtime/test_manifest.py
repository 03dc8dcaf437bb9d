import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sensemble_runtime.decode import DecodeError, decode
from sensemble_runtime.errors import (
    BundleCorruptError,
    BundleError,
    BundleIncompatibleError,
    BundlePathError,
)
from sensemble_runtime.manifest import (
    SCHEMA,
    Artifact,
    FileEntry,
    Manifest,
    ModalityEntry,
    Parity,
    Provenance,
    read_manifest,
    write_manifest,
)
from sensemble_sensors.spec import InputSpec

HASH = "0123456789abcdef" * 4
MANIFEST = Manifest(
    schema=SCHEMA,
    modalities={
        "audio": ModalityEntry(
            InputSpec("audio", "float32", (1, 16000), rate=16000, window=1, hop=0.5, ttl=2),
            {
                "executorch-xnnpack": Artifact(
                    "audio/encoder.pte",
                    (FileEntry("audio/encoder.pte", 10, HASH),),
                    "int8-static",
                    ("trunk.project",),
                    Parity(0.99, 0.1, 0.01, 64, 0.98),
                    latency_ms=1.5,
                    peak_mb=30,
                    differs=None,
                ),
                "coreml": Artifact(
                    "audio/coreml.mlpackage",
                    (
                        FileEntry("audio/coreml.mlpackage/Manifest.json", 10, HASH),
                        FileEntry("audio/coreml.mlpackage/Data/weights/weight.bin", 20, HASH),
                    ),
                    "palette-6bit",
                    (),
                    None,
                    None,
                    None,
                    "the date",
                ),
            },
        ),
        "text": ModalityEntry(
            InputSpec("text", "int64", (1, 16), rate=0, window=0, hop=0, ttl=5),
            {
                "executorch-xnnpack": Artifact(
                    "text/encoder.pte",
                    (FileEntry("text/encoder.pte", 10, HASH),),
                    "fp32",
                    (),
                    None,
                    None,
                    None,
                    None,
                )
            },
        ),
    },
    embedding=8,
    labels=("zero", "ein Straßenlärm", "鳥"),
    task="multi-label",
    head=FileEntry("head.safetensors", 10, HASH),
    tokenizer=FileEntry("tokenizer.json", 10, HASH),
    held_out={"audio": FileEntry("audio.safetensors", 10, HASH)},
    provenance=Provenance(
        train_modalities=("audio",),
        method="masd+wiseft",
        dataset="digits",
        accuracy={"audio": 0.5, "audio+text": 1},
        accuracy_quantized={"executorch-xnnpack": {"audio": 0.49}},
        float_bytes={"audio": 40},
        float_latency_ms={"audio": 3.0},
        created="2026-01-01T00:00:00+00:00",
        tools={"torch": "2.13.0"},
    ),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("manifest") / "manifest.json"


def document(path: Path) -> Any:  # noqa: ANN401 - JSON
    write_manifest(MANIFEST, path)
    return json.loads(path.read_text(encoding="utf-8"))


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401 - JSON
    """Every place in a JSON document, as the keys that lead there."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, item in inner for place in places(item, (*at, key)))]


def parent(raw: Any, place: tuple[Any, ...]) -> Any:  # noqa: ANN401 - JSON
    for key in place[:-1]:
        raw = raw[key]
    return raw


def test_what_is_written_reads_back(path: Path) -> None:
    write_manifest(MANIFEST, path)
    assert read_manifest(path) == MANIFEST


def set_to(*place: str | int, value: Any) -> Callable[[Any], None]:  # noqa: ANN401 - JSON
    def alter(raw: Any) -> None:  # noqa: ANN401 - JSON
        parent(raw, place)[place[-1]] = value

    return alter


AUDIO = ("modalities", "audio")
ARTIFACT = (*AUDIO, "artifacts", "executorch-xnnpack")


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
        (
            set_to(*AUDIO, "spec", "modality", value="video"),
            "modalities.audio.spec: expected a spec of audio",
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
        (set_to(*AUDIO, "spec", "hop", value=0), "modalities.audio.spec: expected rate, window, hop and ttl"),
        (
            set_to(*ARTIFACT, "files", 0, "bytes", value=-1),
            r"executorch-xnnpack.files\[0\].bytes: expected at least 1, got -1",
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
        (set_to("embedding", value=0), "embedding: expected at least 1, got 0"),
        (set_to("labels", value=["a", "a"]), "labels: expected distinct names"),
        (set_to("labels", 0, value="a\nb"), r"labels\[0\]: expected printable text"),
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
            "provenance.accuracy.audio: expected a fraction",
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[]", "document: expected an object"),
        ('{"schema": 1, "schema": 1}', "a key is repeated"),
        ('{"schema": NaN}', "NaN is not JSON"),
        ('{"schema": 1}', "modalities: missing"),
        ("[" * 100_000, "not JSON"),
        ("1" * 5000, "not JSON"),
    ],
)
def test_other_documents_are_refused(path: Path, text: str, message: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BundleCorruptError, match=message):
        read_manifest(path)


def test_a_file_that_is_missing_or_not_utf8_is_refused(path: Path) -> None:
    with pytest.raises(BundleCorruptError, match="cannot be read"):
        read_manifest(path.with_name("none.json"))
    path.write_bytes(b'{"schema": "\xff"}')
    with pytest.raises(BundleCorruptError, match="cannot be read"):
        read_manifest(path)


@given(st.integers().filter(lambda version: version not in {1, 2, SCHEMA}), st.booleans())
def test_another_schema_is_incompatible_whatever_else_it_holds(path: Path, version: int, keep: bool) -> None:
    raw = document(path) | {"schema": version} if keep else {"schema": version, "other": []}
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(
        BundleIncompatibleError, match=f"version {version}, and this sensemble-runtime reads versions 1 to 3"
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
    with pytest.raises(BundlePathError if bad.isprintable() else BundleCorruptError, match=r"\.path: "):
        read_manifest(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(data=st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
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


def version_1() -> dict[str, Any]:
    """What version 1 wrote, as it wrote it."""
    spec = {"modality": "audio", "dtype": "float32", "shape": [1, 16000], "rate": 16000.0}
    parity = {"cosine": 0.998, "max_error": 0.05, "mean_error": 0.004, "windows": 400}
    artifact = {
        "path": "audio/executorch-xnnpack.int8.pte",
        "bytes": 627000,
        "sha256": HASH,
        "scheme": "int8",
        "parity": parity,
        "latency_ms": 1.26,
        "peak_mb": 38.0,
    }
    return {
        "schema": 1,
        "modalities": {
            "audio": {
                "spec": spec | {"window": 1.0, "hop": 0.5, "ttl": 2.0},
                "artifacts": {"executorch-xnnpack": artifact},
            }
        },
        "embedding": 128,
        "labels": ["one", "two"],
        "task": "multi-class",
        "head": {"path": "head.safetensors", "bytes": 10, "sha256": HASH},
        "tokenizer": None,
        "provenance": {
            "train_modalities": ["audio"],
            "method": "masd+wiseft",
            "dataset": "digits",
            "accuracy": {"audio": 0.8},
            "accuracy_quantized": {"audio": 0.79},
            "float_bytes": {"audio": 2100000},
            "float_latency_ms": {"audio": 1.33},
            "created": "2026-11-24T12:00:00+00:00",
        },
    }


def test_version_1_is_read_as_if_written_today(path: Path) -> None:
    path.write_text(json.dumps(version_1()), encoding="utf-8")
    manifest = read_manifest(path)
    assert manifest.schema == SCHEMA
    name = "audio/executorch-xnnpack.int8.pte"
    assert manifest.modalities["audio"].artifacts["executorch-xnnpack"] == Artifact(
        name,
        (FileEntry(name, 627000, HASH),),
        "int8-static",
        (),
        Parity(0.998, 0.05, 0.004, 400, None),
        1.26,
        38.0,
        None,
    )
    assert manifest.provenance.accuracy_quantized == {"executorch-xnnpack": {"audio": 0.79}}
    assert manifest.held_out == {}
    write_manifest(manifest, path)
    assert read_manifest(path) == manifest


def test_version_2_is_read_without_the_windows_that_it_held(path: Path) -> None:
    raw = document(path)
    raw["schema"] = 2
    raw["held_out"]["audio"]["path"] = "audio/held_out.safetensors"
    del raw["provenance"]["tools"]
    artifacts = raw["modalities"]["audio"]["artifacts"]
    artifacts["executorch-coreml"] = artifacts.pop("coreml")
    for entry in raw["modalities"].values():
        for artifact in entry["artifacts"].values():
            del artifact["differs"]
    path.write_text(json.dumps(raw), encoding="utf-8")
    manifest = read_manifest(path)
    assert (manifest.schema, manifest.held_out, manifest.provenance.tools) == (SCHEMA, {}, {})
    assert manifest.modalities["text"] == MANIFEST.modalities["text"]
    found = manifest.modalities["audio"].artifacts
    assert found["executorch-xnnpack"] == MANIFEST.modalities["audio"].artifacts["executorch-xnnpack"]
    assert "a date" in found["executorch-coreml"].differs
    write_manifest(manifest, path)
    assert read_manifest(path) == manifest


V1_ARTIFACT = ("modalities", "audio", "artifacts", "executorch-xnnpack")


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (set_to(*V1_ARTIFACT, "scheme", value="int5"), "executorch-xnnpack.scheme: expected"),
        (set_to(*V1_ARTIFACT, "bytes", value="many"), r"files\[0\].bytes: expected an integer"),
        (set_to(*V1_ARTIFACT, value=3), "executorch-xnnpack: expected an object"),
        (set_to("modalities", "audio", value=[]), "modalities.audio: expected an object"),
        (set_to("modalities", value="audio"), "modalities: expected an object"),
        (
            set_to("provenance", "accuracy_quantized", value=None),
            "accuracy_quantized.executorch-xnnpack: exp",
        ),
        (set_to("provenance", value=None), "provenance: expected an object"),
    ],
)
def test_a_bad_field_of_version_1_is_named(path: Path, alter: Callable[[Any], None], message: str) -> None:
    raw = version_1()
    alter(raw)
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(BundleCorruptError, match=message):
        read_manifest(path)


def test_a_path_of_version_1_that_leaves_the_bundle_is_refused(path: Path) -> None:
    raw = version_1()
    parent(raw, (*V1_ARTIFACT, "path"))["path"] = "../secret"
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(BundlePathError, match="secret"):
        read_manifest(path)
