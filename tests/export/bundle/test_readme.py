"""The bundle's README says what the manifest says: every table, shape, path and label is read back."""

import re
from dataclasses import replace

import pytest
from sensemble_export.bundle.readme import readme
from sensemble_export.lowering.targets import TARGETS
from sensemble_runtime import subsets
from sensemble_runtime.bundle.manifest import Manifest, ModalityEntry
from sensemble_train.experiments.models import VIT_B16, paper_model

from tests.export.conftest import SPECS, Export

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


def test_the_export_wrote_it(exported: Export) -> None:
    assert (exported.out / "README.md").read_text(encoding="utf-8") == readme(exported.manifest)


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
def test_each_encoder_takes_and_gives_what_the_manifest_says(manifest: Manifest, modality: str) -> None:
    entry = manifest.modalities[modality]
    section, spec = sections(readme(manifest))[modality], entry.spec
    assert f"| gives | float32 [1, {manifest.embedding}], of length 1 |" in section
    assert f"| stays in the live set for | {spec.ttl:g} s " in section
    timing = [f"{spec.window:g} s", f"every {spec.hop:g} s", f"{spec.rate:g} "]
    facts = {
        "audio": [*timing, "-1 to 1", f"{spec.shape[1]} consecutive samples"],
        "text": ["0 is padding", "one caption", f"the ids at {spec.shape[1]},"],
        "video": [*timing, "0 to 255, RGB", f"{spec.shape[1]} frames", " x ".join(map(str, spec.shape[2:4]))],
    }
    assert [fact for fact in facts[modality] if fact not in section] == []
    listed = [row for row in cells(section) if row[0] in TARGETS]
    assert [row[0] for row in listed] == list(entry.artifacts)
    for target, path, feed, *about in listed:
        artifact = entry.artifacts[target]
        dtype = FED[modality] if target == "coreml" else spec.dtype
        named = "" if target.startswith("executorch-") else " as `window`"
        assert (path, feed) == (f"`{artifact.path}`", f"{dtype} {list(spec.shape)}{named}")
        parity = artifact.parity
        proved = f"cosine {parity.cosine:.4f}" if parity else "unproved: no machine has run it"
        assert about == [artifact.scheme, str(artifact.bytes), proved]


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


def test_its_opening_says_where_the_bundle_came_from_and_what_runs_it(manifest: Manifest) -> None:
    opening, made = sections(readme(manifest))[""], manifest.provenance
    assert f"Trained by {made.method} on {'+'.join(made.train_modalities)} of {made.dataset}." in opening
    assert f"{len(manifest.labels)} classes ({manifest.task})" in opening
    assert f"`org.pytorch:executorch-android:{made.tools['executorch']}`" in opening
    for target, words in (("onnx", "ONNX Runtime"), ("coreml", "`.mlpackage` runs on Core ML")):
        entries = {
            m: replace(entry, artifacts={t: a for t, a in entry.artifacts.items() if t != target})
            for m, entry in manifest.modalities.items()
        }
        assert words in opening
        assert words not in readme(replace(manifest, modalities=entries))


def test_it_says_how_embeddings_become_an_answer(manifest: Manifest) -> None:
    found, classes = sections(readme(manifest)), len(manifest.labels)
    section, known = found["Classify"], manifest.calibration
    assert f"`weight` float32 [{classes}, {manifest.embedding}] and `bias` float32 [{classes}]" in section
    assert ("softmax" in section) != ("sigmoid" in section) == (manifest.task == "multi-label")
    assert re.findall(r"```(\w+)", section) == ["kotlin", "swift"]
    listed = re.findall(r"^(\d+)\. (.*)$", found["Labels"], flags=re.MULTILINE)
    assert listed == [(str(index), label) for index, label in enumerate(manifest.labels)]
    rows = cells(section)
    fitted = {row[0]: row[1:] for row in rows if row[0] in manifest.modalities and len(row) > 2}
    assert fitted.keys() == manifest.modalities.keys()
    for name, (temperature, *power, examples, groups) in fitted.items():
        entry = known.modalities[name]
        assert float(temperature) == pytest.approx(entry.temperature, abs=5e-4)
        assert [float(p) for p in power] == ([entry.power] if manifest.task == "multi-class" else [])
        assert (int(examples), int(groups)) == (entry.examples, entry.groups)
        assert f"{name} {known.familiar[name]}" in section
    scores = {row[0]: row[1] for row in rows if len(row) == 2}
    for subset in map(subsets.name, subsets.subsets(manifest.modalities)):
        assert scores[subset].startswith(f"{100 * manifest.audited[subset].accuracy:.1f} % (")
    assert f"at least {known.threshold:g}." in section
    assert known.promise[1:] in section
    assert "familiar" not in readme(replace(manifest, calibration=replace(known, familiar={})))
