"""What an export takes of a split, and what it says of its costs."""

import re
from dataclasses import replace

import pytest
from sensemble_apps.commands.export import spread
from sensemble_apps.costs import show_costs
from sensemble_runtime.manifest import Manifest

from .shipped import manifest


def test_what_is_taken_of_a_split_isspread_over_it() -> None:
    assert spread(range(10), 4) == [0, 2, 5, 7]
    assert spread(range(3), 4) == [0, 1, 2]
    assert spread(range(0), 4) == []


def unproved(made: Manifest) -> Manifest:
    """The same bundle with an artifact more, which no machine has run."""
    video = made.modalities["video"]
    found = video.artifacts["executorch-xnnpack"]
    later = replace(found, scheme="fp16", parity=None, latency_ms=None, peak_mb=None)
    entry = replace(video, artifacts=video.artifacts | {"executorch-coreml": later})
    return replace(made, modalities=made.modalities | {"video": entry})


def test_each_target_has_a_table_of_what_it_costs(capsys: pytest.CaptureFixture[str]) -> None:
    show_costs(unproved(manifest()), "64 of 80 examples")
    out, err = capsys.readouterr()
    rows = [line.split() for line in out.splitlines()]
    for modality in ("audio", "text", "video"):
        assert [modality, "int8-static", "500", "25.0", "4.25", "41", "0.9987"] in rows
    assert ["video", "fp16", "500", *"\N{EN DASH}" * 3, "unproved"] in rows
    assert re.search(
        r"largest drop in accuracy: 0\.5 points, on \w+ \(64 of 80 examples\)$", out, re.MULTILINE
    )
    assert out.count("accuracy: not measured") == 1
    assert err == ""


def test_a_drop_of_more_than_half_a_point_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    made = manifest()
    scores = made.provenance.accuracy_quantized["executorch-xnnpack"]
    worse = {"executorch-xnnpack": scores | {"audio+text": scores["audio+text"] - 0.01}}
    show_costs(replace(made, provenance=replace(made.provenance, accuracy_quantized=worse)), "9 of 9")
    out, err = capsys.readouterr()
    assert "largest drop in accuracy: 1.5 points, on AT (9 of 9)" in out
    assert err.startswith("warning: executorch-xnnpack loses 1.5 points on AT (9 of 9), more than 0.5; ")
