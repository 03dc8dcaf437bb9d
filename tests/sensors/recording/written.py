"""Samples written into a recording, and compared with what comes out of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sensemble_sensors.clock import VirtualClock
from sensemble_sensors.recording.header import Form
from sensemble_sensors.recording.writer import Recording
from sensemble_sensors.sensor import Sample


def written(
    folder: Path,
    samples: Sequence[Sample],
    form: Form,
    *events: tuple[str, str, str, str],
    began: float = 0.0,
    **given: Any,  # noqa: ANN401 - the options of a recording
) -> None:
    """Record samples after the first of some events, before the others."""
    # The clock stands still, or a slow machine would close segments before their samples come.
    with Recording(folder, form, clock=VirtualClock(began), **given) as out:
        for event in events[:1]:
            out.event(*event)
        for sample in samples:
            out.put(sample)
        for event in events[1:]:
            out.event(*event)


def assert_equal(found: list[Sample], given: list[Sample], shift: float) -> None:
    assert [s.modality for s in found] == [s.modality for s in given]
    assert [s.cut for s in found] == [s.cut for s in given]
    assert [s.time for s in found] == pytest.approx([s.time - shift for s in given], abs=1e-6)
    for a, b in zip(found, given, strict=True):
        if isinstance(b.data, str):
            assert a.data == b.data
        else:
            assert a.data.dtype == b.data.dtype
            np.testing.assert_array_equal(a.data, b.data)
