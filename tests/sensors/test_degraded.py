"""An example under a condition is what its sensor would have given under it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from sensemble_sensors.conditioned import begin, captured, degraded_window
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.registry import condition_of, kind_of
from sensemble_sensors.media.dataset import Example
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
