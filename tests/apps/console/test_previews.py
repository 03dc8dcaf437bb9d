"""The pictures of a sensor's newest samples."""

from base64 import b64decode

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sensemble_apps.console.kinds import picture_preview, plot_preview, wave_preview
from sensemble_sensors.sensor import Sample

RATE = 16000.0


def sound(*pieces: NDArray[np.float32]) -> list[Sample]:
    return [Sample("audio", piece.astype(np.float32), 0.0) for piece in pieces]


@pytest.mark.parametrize(("amplitude", "level"), [(1.0, -3.0), (0.1, -23.0), (0.001, -63.0)])
def test_the_level_of_a_sine_is_its_root_mean_square(amplitude: float, level: float) -> None:
    wave = amplitude * np.sin(2 * np.pi * 440 * np.arange(16000) / RATE)
    preview = wave_preview(sound(*np.array_split(wave, 7)), RATE)
    assert preview["level"] == pytest.approx(level, abs=0.1)
    lows, highs = zip(*preview["wave"], strict=True)
    assert (min(lows), max(highs)) == (
        pytest.approx(-100 * amplitude, abs=1),
        pytest.approx(100 * amplitude, abs=1),
    )


@given(st.lists(st.floats(width=32), min_size=1, max_size=300))
def test_no_sound_breaks_the_preview(values: list[float]) -> None:
    preview = wave_preview(sound(np.array(values, np.float32)), 1000.0)
    assert all(-100 <= low <= high <= 100 for low, high in preview["wave"])
    assert preview["level"] is None or np.isfinite(preview["level"])


@pytest.mark.parametrize("shape", [(32, 32), (8, 12), (480, 640), (1, 2000)])
def test_a_picture_is_shrunk_to_a_jpeg_of_its_colours(shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), (200, 30, 60), np.uint8)
    kind, _, data = picture_preview([Sample("video", picture, 0.0)], 4.0)["picture"].partition(",")
    drawn = cv2.imdecode(np.frombuffer(b64decode(data), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert kind == "data:image/jpeg;base64"
    assert max(drawn.shape[:2]) == min(192, max(shape))
    assert np.abs(drawn.mean(axis=(0, 1)) - (200, 30, 60)).max() < 6


def test_a_series_is_a_line_for_each_channel_by_its_own_range() -> None:
    ramp = np.linspace(0, 1, 1000)[:, None] * (1, -1000, 0) + (0, 5, 7)
    samples = [
        Sample("imu", part.astype(np.float32), i, cut=i == 0) for i, part in enumerate(np.split(ramp, 10))
    ]
    up, down, flat = plot_preview(samples, 100)["plot"]
    assert (up[0], up[-1], down[0], down[-1], set(flat)) == (-100, 100, 100, -100, {0})
    assert len(up) <= 100
    assert plot_preview(samples[:1], 100)["now"] == [0.099, -94.099, 7.0]
    wide = Sample("imu", np.zeros((1, 50), np.float32), 0.0, cut=True)
    assert len(plot_preview([wide], 1)["plot"]) == 9
