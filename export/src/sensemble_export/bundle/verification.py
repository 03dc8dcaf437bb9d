"""Verification: measure the parity of a bundle on another machine, such as a Mac for Core ML."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.files import check_file, read_file
from sensemble_runtime.bundle.manifest import BROWSER, FILE_NAME, Artifact, Manifest, Parity
from sensemble_runtime.bundle.manifest_file import write_manifest
from sensemble_runtime.executors.executor import missing

from sensemble_export.bundle.readme import readme
from sensemble_export.bundle.staging import held_out_folder
from sensemble_export.errors import ExportError, ParityFailedError
from sensemble_export.measuring.parity import (
    Costs,
    Floats,
    Measurement,
    compare,
    is_close,
    least_cosine,
    measure,
)

ONNX = "onnx"


@dataclass(frozen=True, slots=True)
class Verified:
    """The result for one artifact on this machine; without `parity` and `latency_ms` where none is run."""

    modality: str
    target: str
    artifact: Artifact  # with measurements that it lacked, if its parity is good enough
    parity: Parity | None
    latency_ms: float | None
    reason: str  # why it was not run; otherwise empty


BrowserEncoder = Callable[[str, NDArray[Any]], tuple[Floats, float]]
"""(modality, window [1, ...]) -> (embedding float32 [d], milliseconds)."""


def verify(
    path: Path | str, trust: Path | str | None = None, browser: BrowserEncoder | None = None
) -> Iterator[Verified]:
    """Run each artifact of the bundle `path` that runs here on its held-out windows, and yield the result.

    The windows lie in a folder next to the bundle. After the last artifact, the manifest and the README
    receive the measurements that were missing, if the parity is good enough for the scheme. A signed bundle
    must then be signed again.

    Args:
        browser: runs the artifacts for ONNX Runtime in a browser, which is measured anew as the target
            `onnx-web`.

    Raises:
        BundleError: it cannot be opened, or the windows are not those that it was exported with.
        ExportError: the windows are missing.
        MeasurementError: an artifact that should run here does not.
        ParityFailedError: raised after the last artifact; names each that is too far from its float encoder,
            with its mean cosine and the required one.
    """
    path = Path(path)
    bundle = Bundle.open(path.resolve(), trust=trust)
    contents, windows = bundle.manifest, held_out_folder(bundle.path)
    if contents.modalities.keys() - contents.held_out.keys():
        raise ExportError(f"{path}: has no held-out windows for each of its modalities; export it again")
    if not windows.is_dir():
        raise ExportError(
            f"{windows}: not there; copy the folder {windows.name}, which holds the windows that parity is "
            f"measured on, from where the bundle was exported, and put it next to {bundle.path.name}"
        )
    for file in contents.held_out.values():
        check_file(windows, file)
    updated: dict[tuple[str, str], Artifact] = {}
    far = []
    for modality, entry in contents.modalities.items():
        artifacts = dict(entry.artifacts)
        if browser is not None and ONNX in artifacts:
            fresh = dataclasses.replace(artifacts[ONNX], parity=None, latency_ms=None, peak_mb=None)
            artifacts[BROWSER] = fresh
        for target, artifact in artifacts.items():
            found = _run(bundle, modality, target, artifact, browser)
            updated[modality, target] = found.artifact
            if found.parity is not None and not is_close(artifact.scheme, found.parity):
                least = least_cosine(artifact.scheme)
                far.append(f"{modality} for {target}: mean cosine {found.parity.cosine:.5f}, below {least}")
            yield found
    renewed = _with(contents, updated)
    if renewed != contents:
        extends = (*(contents.provenance.extends or ()), bundle.fingerprint)
        renewed = dataclasses.replace(
            renewed, provenance=dataclasses.replace(contents.provenance, extends=extends)
        )
        write_manifest(renewed, path / FILE_NAME)
        (path / "README.md").write_text(readme(renewed), encoding="utf-8")
    if far:
        raise ParityFailedError(f"{'; '.join(far)}: do not ship it, and file it as a bug")


def _run(
    bundle: Bundle, modality: str, target: str, artifact: Artifact, browser: BrowserEncoder | None
) -> Verified:
    if reason := missing(target) if target != BROWSER else "" if browser else "runs in browsers: --browser":
        return Verified(modality, target, artifact, None, None, reason)
    held_out = read_file(held_out_folder(bundle.path), bundle.manifest.held_out[modality])
    if target == BROWSER and browser is not None:
        made = [browser(modality, window[None]) for window in load(held_out)["windows"]]
        median = float(np.median([milliseconds for _, milliseconds in made]))
        found = Measurement(np.stack([embedding for embedding, _ in made]), Costs(median, None, None))
    else:
        with TemporaryDirectory() as folder:  # a copy of the verified bytes, which nobody else changes
            windows = Path(folder, "held_out.safetensors")
            windows.write_bytes(held_out)
            files, name = bundle.contents(modality, target), Path(artifact.path).name
            found = measure(files, name, target, windows)
    parity = compare(found.embeddings, load(held_out)["embeddings"], bundle.head)
    costs = found.costs
    if artifact.parity is None and is_close(artifact.scheme, parity):
        artifact = dataclasses.replace(
            artifact, parity=parity, latency_ms=costs.median_ms, peak_mb=costs.peak_mb, threads=costs.threads
        )
    return Verified(modality, target, artifact, parity, costs.median_ms, "")


def _with(contents: Manifest, artifacts: dict[tuple[str, str], Artifact]) -> Manifest:
    modalities = {
        m: dataclasses.replace(entry, artifacts={t: each for (own, t), each in artifacts.items() if own == m})
        for m, entry in contents.modalities.items()
    }
    return dataclasses.replace(contents, modalities=modalities)
