"""The costs of a bundle: size, latency, memory and parity of each artifact, and the accuracy lost."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from sensemble_runtime import subsets
from sensemble_runtime.bundle.manifest import Artifact, Manifest, Provenance

from sensemble_apps.console.columns import table
from sensemble_apps.console.output import remark
from sensemble_apps.console.wording import abbreviation, percent

_NOTABLE = 0.5  # points of accuracy lost on some set of sensors, above which there is a warning
_NONE = percent(None)


def show_costs(manifest: Manifest, measured: str) -> None:
    """Print a table for each target, and its largest loss of accuracy on the data that `measured` words."""
    console, provenance = Console(highlight=False, soft_wrap=True), manifest.provenance
    for target in dict.fromkeys(
        target for entry in manifest.modalities.values() for target in entry.artifacts
    ):
        console.print(_table(manifest, target))
        drop = largest_drop(provenance, target)
        if drop is None:
            console.print("accuracy: not measured")
            continue
        points, subset = drop
        console.print(f"largest drop in accuracy: {points:.1f} points, on {subset} ({measured})")
        if round(points, 1) > _NOTABLE:  # rounded as in the table
            remark(
                f"warning: {target} loses {points:.1f} points on {subset} ({measured}), more than "
                f"{_NOTABLE}; choose another --scheme, or search with --budget drop=0.5"
            )


def largest_drop(provenance: Provenance, target: str) -> tuple[float, str] | None:
    """Return the largest loss of accuracy in points, at least 0, and its set; None if not measured."""
    scores = provenance.accuracy_quantized.get(target, {})
    drops = {subset: 100 * (provenance.accuracy[subset] - score) for subset, score in scores.items()}
    if not drops:
        return None
    hurt = max(drops, key=drops.__getitem__)
    return max(0.0, drops[hurt]), abbreviation(subsets.parse(hurt))


@dataclass(frozen=True, slots=True)
class EncoderCosts:
    """The cost of an encoder on one target, beside that of its float form."""

    modality: str
    target: str
    artifact: Artifact
    float_bytes: int | None
    float_latency_ms: float | None

    @property
    def share(self) -> float | None:
        """The share of the weights' size in float; None in a bundle that does not say it."""
        return self.artifact.bytes / self.float_bytes if self.float_bytes else None


def encoder_costs(manifest: Manifest) -> Iterator[EncoderCosts]:
    """Yield the costs of each encoder by each target; the latency as float is the first target's."""
    provenance = manifest.provenance
    for modality, entry in manifest.modalities.items():
        for target, artifact in entry.artifacts.items():
            yield EncoderCosts(
                modality,
                target,
                artifact,
                provenance.float_bytes.get(modality),
                provenance.float_latency_ms.get(modality),
            )


def _table(manifest: Manifest, target: str) -> Table:
    drawn = table(("encoder", "scheme"), ("kB", "of float, %", "ms", "peak, MB", "cosine"), target)
    for one in encoder_costs(manifest):
        artifact = one.artifact
        if one.target == target:
            drawn.add_row(
                one.modality,
                artifact.scheme,
                f"{artifact.bytes / 1e3:.0f}",
                percent(one.share),
                _NONE if artifact.latency_ms is None else f"{artifact.latency_ms:.2f}",
                _NONE if artifact.peak_mb is None else f"{artifact.peak_mb:.0f}",
                "unproved" if artifact.parity is None else f"{artifact.parity.cosine:.4f}",
            )
    return drawn
