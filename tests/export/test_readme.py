"""The bundle's README says what the manifest says: every table, shape, path and label is read back."""

import re
from dataclasses import replace

import pytest
from sensemble_export.readme import readme
from sensemble_export.targets import TARGETS
from sensemble_runtime import subsets
from sensemble_runtime.bundle.head import load_head
from sensemble_runtime.bundle.manifest import Manifest, ModalityEntry
from sensemble_runtime.engine.scheduler import Policy
from sensemble_train.experiments.models import VIT_B16, paper_model

from .conftest import SPECS, Export

FACTS = {
    "audio": {"range": "-1 to 1", "rate": "{rate:g} Hz", "window": "{window:g} s", "hop": "every {hop:g} s"},
    "text": {"range": "0 is padding", "window": "one caption", "hop": "none"},
    "video": {
        "range": "0 to 255, RGB",
        "rate": "{rate:g} frames a second",
        "window": "{window:g} s",
        "hop": "every {hop:g} s",
    },
}
TYPES = {
    "audio": ("FloatArray", "Tensor.fromBlob(", "FloatBuffer.wrap(", "Float", ".float,"),
    "text": ("LongArray", "Tensor.fromBlob(", "LongBuffer.wrap(", "Int64", ".int64,"),
    "video": ("ByteArray", "Tensor.fromBlobUnsigned(", "ByteBuffer.wrap(", "UInt8", ".uInt8,"),
}

FED = {"audio": "float32", "text": "int32", "video": "float32"}  # what Core ML takes


def paper(manifest: Manifest) -> Manifest:
    """The same bundle as if it held the paper's encoders for AudioSet, of another embedding and task."""
    described = paper_model(VIT_B16, ("Speech", "Bark", "Rain, in the distance", "Siren"))
    entries = {m: ModalityEntry(described.specs[m], e.artifacts) for m, e in manifest.modalities.items()}
    provenance = replace(manifest.provenance, train_modalities=("audio", "video"), dataset="audioset")
    return replace(
        manifest,
        modalities=entries,
        embedding=768,
        labels=described.labels,
        task="multi-label",
        provenance=provenance,
    )


@pytest.fixture(params=["exported", "paper"])
def manifest(request: pytest.FixtureRequest, exported: Export) -> Manifest:
    return exported.manifest if request.param == "exported" else paper(exported.manifest)


def sections(text: str) -> dict[str, str]:
    found = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True)) | {"": found[0]}


def cells(section: str) -> list[list[str]]:
    """The cells of every row of a section's tables."""
    lines = (line for line in section.splitlines() if line.startswith("| "))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def table(section: str) -> dict[str, str]:
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", section, flags=re.MULTILINE)
    return {key: value for key, value in rows if key != "---"}


def test_the_export_wrote_it(exported: Export) -> None:
    assert (exported.out / "README.md").read_text(encoding="utf-8") == readme(exported.manifest)


@pytest.mark.parametrize("modality", SPECS)
def test_each_encoder_takes_and_gives_what_the_manifest_says(manifest: Manifest, modality: str) -> None:
    entry = manifest.modalities[modality]
    spec = entry.spec
    section = sections(readme(manifest))[modality]
    rows = table(section)
    assert rows.pop("gives") == f"float32 [1, {manifest.embedding}], of length 1"
    assert rows.pop("stays in the live set for").startswith(f"{spec.ttl:g} s ")
    listed = [row for row in cells(section) if row[0] in TARGETS]
    assert [row[0] for row in listed] == list(entry.artifacts)
    for target, path, feed, *about in listed:
        artifact = entry.artifacts[target]
        assert path == f"`{artifact.path}`"
        dtype = FED[modality] if target == "coreml" else spec.dtype
        named = "" if target.startswith("executorch-") else " as `window`"
        assert feed == f"{dtype} {list(spec.shape)}{named}"
        parity = artifact.parity
        proved = f"cosine {parity.cosine:.4f}" if parity else "unproved: no machine has run it"
        assert about == [artifact.scheme, str(artifact.bytes), proved]
    values = {"rate": spec.rate, "window": spec.window, "hop": spec.hop}
    assert rows.keys() == FACTS[modality].keys()
    for key, fact in FACTS[modality].items():
        assert fact.format(**values) in rows[key]
    size = {"audio": f"{spec.shape[1]} consecutive samples", "text": f"the ids at {spec.shape[1]},"}
    if modality == "video":
        _, frames, height, width, _ = spec.shape
        size["video"] = f"{frames} frames"
        assert f"{height} x {width} (height x width)" in section
    assert size[modality] in section


def snippets(manifest: Manifest, modality: str) -> dict[tuple[str, str], str]:
    """The code for an encoder, by language and by the target of the artifact that it loads."""
    found = re.findall(r"```(kotlin|swift)\n(.*?)```", sections(readme(manifest))[modality], re.DOTALL)
    paths = {artifact.path: target for target, artifact in manifest.modalities[modality].artifacts.items()}
    return {(language, paths[re.findall(r'"(\S+/\S+)"', code)[0]]): code for language, code in found}


CODE = [
    ("kotlin", "executorch-xnnpack"),
    ("swift", "executorch-xnnpack"),
    ("swift", "coreml"),
    ("kotlin", "onnx"),
    ("swift", "onnx"),
]


@pytest.mark.parametrize("modality", SPECS)
def test_the_code_loads_each_artifact_and_makes_its_tensor(manifest: Manifest, modality: str) -> None:
    entry, found = manifest.modalities[modality], snippets(manifest, modality)
    assert found.keys() == {(language, target) for language, target in CODE if target in entry.artifacts}
    array, tensor, buffer, scalar, kind = TYPES[modality]
    shape = ", ".join(map(str, entry.spec.shape))
    for (language, target), code in found.items():
        assert code.startswith("import ")
        if language == "kotlin":
            parts = [f"window: {array}", f"longArrayOf({shape})", buffer if target == "onnx" else tensor]
        else:
            given = {"UInt8": "Float", "Int64": "Int32"}.get(scalar, scalar) if target == "coreml" else scalar
            parts = [f"_ window: [{given}]", f"shape: [{shape}]", *([kind] if target == "onnx" else [])]
        assert [part for part in parts if part not in code] == []
        named = target in ("coreml", "onnx")
        assert ('"window"' in code, '"embedding"' in code) == (
            named,
            named and (language, target) != CODE[-2],
        )


def test_it_names_the_version_that_reads_its_programs(manifest: Manifest) -> None:
    version = manifest.provenance.tools["executorch"]
    opening = sections(readme(manifest))[""]
    assert f"`org.pytorch:executorch-android:{version}`" in opening
    assert f"`swiftpm-{version}`" in opening


def test_it_says_what_runs_each_kind_of_file_that_is_there(manifest: Manifest) -> None:
    said = {
        "executorch-xnnpack": "backend_xnnpack",
        "onnx": "ONNX Runtime",
        "coreml": "`.mlpackage` runs on Core ML",
    }
    assert all(words in readme(manifest) for words in said.values())
    for kept in TARGETS:
        entries = {
            m: replace(entry, artifacts={t: a for t, a in entry.artifacts.items() if t == kept})
            for m, entry in manifest.modalities.items()
        }
        opening = sections(readme(replace(manifest, modalities=entries)))[""]
        assert [target for target, words in said.items() if words in opening] == [kept]


def test_the_classifier_is_the_head_that_is_there(manifest: Manifest, exported: Export) -> None:
    classes, size = len(manifest.labels), manifest.embedding
    section = sections(readme(manifest))["Classify"]
    assert f"`{manifest.head.path}`" in section
    assert f"`weight` float32 [{classes}, {size}] and `bias` float32 [{classes}]" in section
    assert ("softmax" in section, "sigmoid" in section) == (
        (True, False) if manifest.task == "multi-class" else (False, True)
    )
    assert f"within {Policy().skew:g} s of the newest window" in section
    assert re.findall(r"```(\w+)", section) == ["kotlin", "swift"]
    assert section.count(f'"{manifest.head.path}"') == 2
    if manifest == exported.manifest:
        head = load_head((exported.out / manifest.head.path).read_bytes(), manifest.task, exported.out)
        assert head.weight.shape == (classes, size)


def test_it_names_the_labels_in_order_and_where_the_bundle_came_from(manifest: Manifest) -> None:
    found = sections(readme(manifest))
    listed = re.findall(r"^(\d+)\. (.*)$", found["Labels"], flags=re.MULTILINE)
    assert listed == [(str(index), label) for index, label in enumerate(manifest.labels)]
    made = manifest.provenance
    opening = found[""]
    assert f"Trained by {made.method} on {'+'.join(made.train_modalities)} of {made.dataset}." in opening
    assert f"{len(manifest.labels)} classes ({manifest.task})" in opening
    assert f"one space of {manifest.embedding} dimensions" in opening
    assert f"{len(manifest.modalities)} encoders ({', '.join(sorted(manifest.modalities))})" in opening


def test_it_says_when_a_window_is_unfamiliar(manifest: Manifest) -> None:
    section = sections(readme(manifest))["Classify"]
    assert f"`familiar_weight` float32 [3, {manifest.embedding}]" in section
    for modality, threshold in manifest.calibration.familiar.items():
        assert f"{modality} {threshold}" in section
    bare = replace(manifest, calibration=replace(manifest.calibration, familiar={}))
    assert "familiar" not in readme(bare)


def test_it_holds_the_calibration_and_the_score_of_each_live_set(manifest: Manifest) -> None:
    section = sections(readme(manifest))["Classify"]
    rows = cells(section)
    fitted = {row[0]: row[1:] for row in rows if row[0] in manifest.modalities and len(row) > 2}
    assert fitted.keys() == manifest.modalities.keys()
    for name, (temperature, *power, examples, groups) in fitted.items():
        entry = manifest.calibration.modalities[name]
        assert float(temperature) == pytest.approx(entry.temperature, abs=5e-4)
        assert [float(p) for p in power] == ([entry.power] if manifest.task == "multi-class" else [])
        assert (int(examples), int(groups)) == (entry.examples, entry.groups)
    scores = {row[0]: row[1] for row in rows if len(row) == 2}
    for subset in map(subsets.name, subsets.subsets(manifest.modalities)):
        assert scores[subset].startswith(f"{100 * manifest.audited[subset].accuracy:.1f} % (")
    assert f"at least {manifest.calibration.threshold:g}." in section
    assert manifest.calibration.promise[1:] in section
