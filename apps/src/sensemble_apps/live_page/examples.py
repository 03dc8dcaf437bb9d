"""Examples for a page: one of each class, drawn as sensors' previews are."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sensemble_sensors.errors import SensembleError
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.decoding import samples
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

from sensemble_apps.console.kinds import display_of
from sensemble_apps.console.output import remark

_MOST = 24  # classes that are shown
_DRAWN = 48  # samples that a preview is drawn of

Previews = dict[str, dict[str, Any]]
"""By modality."""


def previews(stream: Iterable[Sample], specs: Mapping[str, InputSpec]) -> Previews:
    """Draw the last samples of each modality of a stream."""
    by_modality: dict[str, list[Sample]] = {}
    for sample in stream:
        by_modality.setdefault(sample.modality, []).append(sample)
    return {
        modality: display_of(specs[modality]).preview(own[-_DRAWN:], specs[modality].rate)
        for modality, own in sorted(by_modality.items())
        if modality in specs
    }


def examples_of_classes(
    data: Path, labels: Sequence[str], specs: Mapping[str, InputSpec]
) -> dict[str, Previews]:
    """Return the previews of an example of each class, by class: none where the data is gone.

    Examples that were not trained on come first, and those with all sensors.
    """
    if not data.is_dir():
        return {}
    try:
        ranked = sorted(read_dataset(data).known, key=lambda e: (-len(e.modalities), e.split != "eval"))
        found = {label: next((e for e in ranked if e.labels == (label,)), None) for label in labels[:_MOST]}
        return {label: previews(samples(e, specs, 0.0), specs) for label, e in found.items() if e is not None}
    except SensembleError as error:
        remark(f"sensemble: no example is shown: {error}")
        return {}
