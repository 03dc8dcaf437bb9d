"""The earlier bundle at an export's destination, and the parts that a new bundle keeps."""

import hashlib
import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors.torch import load
from sensemble_runtime.bundle import manifest as manifests
from sensemble_runtime.bundle.files import read_file
from sensemble_runtime.bundle.head import Head, load_head
from sensemble_runtime.bundle.manifest import FileEntry, Manifest, ModalityEntry
from sensemble_runtime.bundle.manifest_file import parse_manifest, read_data
from sensemble_runtime.errors import BundleError
from sensemble_train.models.model import Model

from sensemble_export.bundle import partition_report
from sensemble_export.bundle.partition_report import Report, read_lowering
from sensemble_export.bundle.staging import held_out_folder
from sensemble_export.errors import ExportError
from sensemble_export.measuring import familiarity

LOG = logging.getLogger(__name__)

_COMPARED = 4  # held-out windows of each modality
_CLOSE = 1e-4  # difference of two float embeddings of one encoder


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier bundle of the same model, at the destination of an export."""

    path: Path
    manifest: Manifest
    fingerprint: str  # the SHA-256 of its manifest, in hex
    head: Head  # with its familiarity

    @property
    def targets(self) -> set[str]:
        """The targets that it has artifacts for."""
        return {target for entry in self.manifest.modalities.values() for target in entry.artifacts}

    def is_extended_by(self, targets: Collection[str]) -> bool:
        """Return whether an export only adds to it, so that its calibration and its audits hold."""
        return self.targets.isdisjoint(targets)

    def joined(self, made: Manifest, bundle: Path) -> tuple[Manifest, dict[str, Report]]:
        """Add its artifacts for other targets to a new bundle; return the manifest, and partition reports.

        A bundle that is only added to keeps its origin, and names this one, whose audits hold for it too.
        """
        entries, files = dict[str, ModalityEntry](), list[FileEntry]()
        asked = {target for entry in made.modalities.values() for target in entry.artifacts}
        adds = self.is_extended_by(asked)
        for m, entry in made.modalities.items():
            before = self.manifest.modalities[m].artifacts
            kept = {target: one for target, one in before.items() if target not in asked}
            files += [file for artifact in kept.values() for file in artifact.files]
            # The latency in float is that of the first target.
            artifacts = {**kept, **entry.artifacts} if adds else {**entry.artifacts, **kept}
            entries[m] = replace(entry, artifacts=artifacts)
        for file in files:
            (bundle / file.path).parent.mkdir(parents=True, exist_ok=True)
            (bundle / file.path).write_bytes(read_file(self.path, file))
        own, new = self.manifest.provenance, made.provenance
        scores = {t: found for t, found in own.accuracy_quantized.items() if t not in asked}
        extends = (*(own.extends or ()), self.fingerprint)
        provenance = replace(
            replace(own, extends=extends) if adds else new,
            accuracy_quantized=scores | new.accuracy_quantized,
            tools=own.tools | new.tools,
        )
        reports = read_lowering(self.path / partition_report.FILE_NAME)
        kept_reports = {file.path: reports[file.path] for file in files if file.path in reports}
        return replace(made, modalities=entries, provenance=provenance), kept_reports


def earlier(model: Model, head: Head, out: Path, *, only_add: bool = False) -> Earlier | None:
    """Return the bundle in the folder `out` if it is of this model; None if there is none, or another's.

    Its head has the same weights, and its encoders gave the same embeddings of the held-out windows beside
    it. A bundle that will be replaced is named in a warning, or with `only_add` in an ExportError.
    """
    path = out / manifests.FILE_NAME
    if not path.exists():
        return None
    try:
        data = read_data(path)
        contents = parse_manifest(data, path)
        own = load_head(read_file(out, contents.head), contents.task, out / contents.head.path)
        if _is_same(model, head, out, contents, own):
            return Earlier(out, contents, hashlib.sha256(data).hexdigest(), own)
        reason = "it is of another model"
    except BundleError as error:
        reason = str(error)
    if only_add:
        raise ExportError(f"{out}: {reason}, so nothing is added; leave out --only-add to replace it")
    LOG.warning("%s: is replaced as a whole, with its audits: %s", out, reason)
    return None


def _is_same(model: Model, head: Head, out: Path, contents: Manifest, own: Head) -> bool:
    described = model.description
    specs = {
        m: replace(s, hop=described.specs[m].hop) for m, s in contents.specs.items() if m in described.specs
    }
    same = (specs, contents.labels, contents.task) == (described.specs, described.labels, described.task)
    if not same or own.weight.shape != head.weight.shape or not np.allclose(own.weight, head.weight):
        return False
    return np.allclose(own.bias, head.bias) and all(
        _encodes_alike(model, modality, read_file(held_out_folder(out), file))
        for modality, file in contents.held_out.items()
    )


def _encodes_alike(model: Model, modality: str, content: bytes) -> bool:
    shown = load(content)
    found = familiarity.embed(model, modality, shown["windows"][:_COMPARED])
    return np.allclose(found, shown["embeddings"][:_COMPARED].numpy(), atol=_CLOSE)
