"""The hop of a session: windows twice as often where these find more moments, which is worth their cost."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sensemble_export.measuring.calibration import Embedded, FittedOn, StreamInput, _fit_timeline
from sensemble_runtime.bundle.head import Head
from sensemble_runtime.bundle.manifest import Calibration
from sensemble_sensors import InputSpec, Span

LABELS = ("one", "two")
SPECS = {"audio": InputSpec("audio", "float32", (1, 8), rate=8, window=1.0, hop=0.5, ttl=2.0)}
HEAD = Head(8 * np.eye(2, dtype=np.float32), np.zeros(2, np.float32), "multi-class", None)


def store() -> Any:  # noqa: ANN401 - as far as the fit looks into one
    """Return a model of sound."""
    described = SimpleNamespace(specs=SPECS, task="multi-class", labels=LABELS)
    model = SimpleNamespace(description=described, modalities=("audio",))
    return SimpleNamespace(model=model, head=HEAD)


@pytest.mark.parametrize(("windows", "hop"), [(1, 0.25), (4, 0.5)])
def test_a_finer_hop_ships_if_it_finds_more(windows: int, hop: float) -> None:
    """A word of one quarter of a second falls between windows every half second; one of four does not."""
    ends, shown = 1 + 0.25 * np.arange(2400), np.zeros((2400, 2), np.float32)
    spans = []
    for count, at in enumerate(range(41, 2300, 80)):
        shown[at : at + windows, count % 2] = 1
        spans.append(Span(ends[at] - 0.5, ends[at + windows - 1], LABELS[count % 2]))
    hours = 4.0  # so many that no threshold is too low
    stream = StreamInput(tuple(spans), hours, {"audio": ends}, {"audio": torch.from_numpy(shown)})
    data = FittedOn(streams=(stream,), spans=stream.spans)
    embedded = Embedded({}, {}, {}, {}, [{"audio": shown}])
    found = _fit_timeline(store(), data, embedded, Calibration(0.05, 0.9, 0, 0.5, {}, {}), None)
    assert found is not None
    timeline, specs = found
    assert specs["audio"].hop == hop
    assert timeline.found > 0.9
