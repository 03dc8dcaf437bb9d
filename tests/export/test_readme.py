"""The bundle's README says what the manifest says: every table, shape, path and label is read back."""

import re
from dataclasses import replace

import pytest
from sensemble_export.readme import readme
from sensemble_runtime.head import load_head
from sensemble_runtime.manifest import Manifest, ModalityEntry
from sensemble_train.presets import vit_b16

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
    "audio": ("FloatArray", "Tensor.fromBlob(", "[Float]"),
    "text": ("LongArray", "Tensor.fromBlob(", "[Int64]"),
    "video": ("ByteArray", "Tensor.fromBlobUnsigned(", "[UInt8]"),
}


def paper(manifest: Manifest) -> Manifest:
    """The same bundle as if it held the paper's encoders for AudioSet, of another embedding and task."""
    described = vit_b16(("Speech", "Bark", "Rain, in the distance", "Siren"))
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
    assert rows.pop("feed") == f"{spec.dtype} {list(spec.shape)}"
    assert rows.pop("gives") == f"float32 [1, {manifest.embedding}], of length 1"
    assert rows.pop("stays in the live set for").startswith(f"{spec.ttl:g} s ")
    for target, artifact in entry.artifacts.items():
        assert rows.pop(target) == f"`{artifact.path}`, {artifact.scheme}, {artifact.bytes} bytes"
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


@pytest.mark.parametrize("modality", SPECS)
def test_the_code_loads_the_encoder_and_makes_its_tensor(manifest: Manifest, modality: str) -> None:
    entry = manifest.modalities[modality]
    kotlin, swift = re.findall(
        r"```(?:kotlin|swift)\n(.*?)```", sections(readme(manifest))[modality], re.DOTALL
    )
    array, make, scalars = TYPES[modality]
    shape = ", ".join(map(str, entry.spec.shape))
    path = entry.artifacts["executorch-xnnpack"].path
    assert (f'"{path}"' in kotlin, f'"{path}"' in swift) == (True, True)
    assert (f"window: {array}" in kotlin, make in kotlin, f"longArrayOf({shape})" in kotlin) == (True,) * 3
    assert (f"window: {scalars}" in swift, f"shape: [{shape}]" in swift) == (True, True)


def test_the_classifier_is_the_head_that_is_there(manifest: Manifest, exported: Export) -> None:
    classes, size = len(manifest.labels), manifest.embedding
    section = sections(readme(manifest))["Pool and classify"]
    assert f"`{manifest.head.path}`" in section
    assert f"`weight` float32 [{classes}, {size}] and `bias` float32 [{classes}]" in section
    assert ("softmax" in section, "sigmoid" in section) == (
        (True, False) if manifest.task == "multi-class" else (False, True)
    )
    if manifest == exported.manifest:
        head = load_head(exported.out / manifest.head.path, manifest.task)
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
