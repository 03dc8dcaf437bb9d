"""The media file of a recorded segment: a Matroska file of lossless tracks."""

import io
from collections.abc import Sequence

import av

from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.recording.header import Form
from sensemble_sensors.sensor import Sample


def encode(samples: Sequence[Sample], form: Form) -> tuple[bytes, float]:
    """Encode all modalities that have a track, losslessly, as one Matroska file.

    Args:
        samples: in the order of their times; modalities without a track are left out.
        form: of each modality.

    Returns:
        The file, and the time of its beginning, which is that of the first sample.
    """
    by_modality: dict[str, list[Sample]] = {}
    for sample in samples:
        if kind_of(sample.modality).track:
            by_modality.setdefault(sample.modality, []).append(sample)
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        # All tracks come before the first packet.
        tracks = [
            kind_of(modality).track_writer(container, group, form[modality])
            for modality, group in sorted(by_modality.items())
        ]
        start = min(track.begin for track in tracks)
        for track in tracks:
            track.write(start)
    return out.getvalue(), start
