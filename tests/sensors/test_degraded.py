"""An example under a condition is what its sensor would have given under it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from sensemble_sensors.conditioned import begin, captured, degraded_stream, degraded_window
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.registry import condition_of, kind_of
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.decoding import samples
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

Studio = Any
Specs = Mapping[str, InputSpec]


@pytest.fixture(scope="module")
def example(studio: Studio) -> Example:
    path = studio.write("degraded.mkv", studio.frames(8), studio.tone(1, 16000))
    found: Example = studio.example(video=path, audio=path, text="a person says seven")
    return found


def test_without_a_condition_the_window_is_the_example_s(example: Example, specs: Specs) -> None:
    for spec in specs.values():
        kind = kind_of(spec)
        found = degraded_window(kind.samples(example, spec, 7.0), spec, begin([], spec))
        np.testing.assert_array_equal(found, kind.window(example, spec))


def test_a_film_is_degraded_before_it_is_resized(studio: Studio, specs: Specs) -> None:
    checks = np.indices((8, 120, 120)).sum(axis=0)[..., None].repeat(3, axis=3) % 2 * 255
    path = studio.write("large.mkv", checks.astype(np.uint8))
    spec = specs["video"]
    kind = kind_of(spec)
    bright = [Applied("video", condition_of("video", "bright"), 5)]
    film = kind.samples(studio.example(video=path), captured(bright, spec), 0.0)
    found = degraded_window(film, spec, begin(bright, spec))
    assert found is not None
    assert abs(np.asarray(found).mean() - 127.5) < 3, "black and white pixels stay; grey ones would be white"


def test_a_late_caption_is_not_there_in_an_audit_and_comes_later_in_a_stream(specs: Specs) -> None:
    late = condition_of("text", "late")
    captions = [Sample("text", str(i), float(i)) for i in range(30)]
    applied = [Applied("text", late, 3)]
    one_by_one = begin(applied, specs["text"])
    found = [degraded_window([caption], specs["text"], one_by_one) for caption in captions]
    missing = {str(i) for i, caption in enumerate(found) if caption is None}
    assert 5 < len(missing) < 25
    assert [caption for caption in found if caption is not None] == [
        str(i) for i in range(30) if str(i) not in missing
    ]
    stream = list(degraded_stream(captions, applied, specs))
    assert [sample.time for sample in stream] == sorted(sample.time for sample in stream)
    assert {str(sample.data) for sample in stream if sample.time != float(str(sample.data))} == missing
    assert all(sample.time - float(str(sample.data)) in (0, 5) for sample in stream)


def test_a_stream_without_conditions_is_unchanged(example: Example, specs: Specs) -> None:
    stream = samples(example, specs, 3.0)
    assert [id(sample) for sample in degraded_stream(stream, [], specs)] == [id(sample) for sample in stream]
    assert {sample.modality for sample in stream} == set(specs)
