"""The media file of a recorded segment: a Matroska file of lossless tracks."""

import io
from collections.abc import Sequence

import av

from sensemble_sensors.kinds.registry import track_kind_of
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
    present = sorted({sample.modality for sample in samples})
    kinds = {modality: kind for modality in present if (kind := track_kind_of(modality))}
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        # All tracks come before the first packet.
        tracks = [
            kind.track_writer(container, [s for s in samples if s.modality == modality], form[modality])
            for modality, kind in kinds.items()
        ]
        start = min(track.begin for track in tracks)
        for track in tracks:
            track.write(start)
    return out.getvalue(), start
