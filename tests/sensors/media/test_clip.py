"""Tests of `clip`: an aligned window of sound and picture out of a longer example."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_sensors.codecs.framing import Framing, fit
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.decoding import Sampling, clip, duration
from sensemble_sensors.sensor import Media
from sensemble_sensors.spec import Channel, InputSpec

from tests.parts import write_wav

Studio = Any
SPECS: Mapping[str, InputSpec] = {
    "audio": InputSpec("audio", "float32", (1, 32000), 16000, 2.0, 1.0, 4.0),
    "video": InputSpec("video", "uint8", (1, 4, 32, 32, 3), 2.0, 2.0, 1.0, 4.0),
}


@pytest.fixture(scope="module")
def film(studio: Studio) -> Path:
    """Five seconds, ten frames a second, whose sound tells its time by its level: t / 10."""
    sound = (np.arange(80000) / 160000).astype(np.float32)[None]
    path: Path = studio.write("clip.mkv", studio.frames(50), sound, fps=10)
    return path


def times(sound: Media) -> tuple[float, float]:
    """Return the begin and end of a window of that sound, in seconds."""
    heard = np.flatnonzero(sound[0])
    return float(sound[0, heard[0]] * 10), float(sound[0, heard[-1]] * 10)


@given(seed=st.none() | st.integers(0, 2**32), stride=st.integers(1, 9))
@settings(max_examples=25)
def test_sound_begins_at_the_first_sampled_frame_and_ends_at_the_last(
    studio: Studio, film: Path, seed: int | None, stride: int
) -> None:
    draw = None if seed is None else np.random.default_rng(seed)
    example = studio.example(video=film, audio=film)
    got = clip(example, SPECS, Sampling(stride), draw)
    assert {m: got[m].shape for m in got} == {m: spec.shape for m, spec in SPECS.items()}
    numbers = studio.numbers(got["video"][0])
    begin, end = times(got["audio"])
    step = min(stride, 20 / 3)  # the window of two seconds holds three steps of at most 6.67 frames
    for one, other in pairwise(numbers):
        assert other - one == pytest.approx(step, abs=1)
    # A frame is shown for a tenth of a second.
    assert -1e-3 < begin - numbers[0] / 10 < 0.101
    assert abs(end - numbers[-1] / 10) < 0.101
    assert end - begin == pytest.approx(3 * step / 10, abs=1e-3)
    if draw is None:
        assert (begin + end) / 2 == pytest.approx(2.5, abs=1e-3)


def test_a_series_without_film_or_sound_fills_its_window(tmp_path: Path) -> None:
    (tmp_path / "imu.csv").write_text("x\n" + "\n".join(map(str, range(20))))
    spec = InputSpec("imu", "float32", (1, 10, 1), 10, 1.0, 0.5, 2.0, "series", (Channel("x"),))
    example = Example("a", "train", ("one",), {"imu": tmp_path / "imu.csv"}, 1, kinds={"imu": "series"})
    got = clip(example, {"imu": spec}, draw=np.random.default_rng(0))
    np.testing.assert_array_equal(got["imu"][0, :, 0], range(10))


def test_windows_are_drawn_from_the_whole_example_and_from_nowhere_else(studio: Studio, film: Path) -> None:
    example = studio.example(video=film, audio=film, start=1.0, end=4.5)
    draw = np.random.default_rng(0)
    spans = [times(clip(example, SPECS, draw=draw)["audio"]) for _ in range(60)]
    begins = [begin for begin, _ in spans]
    assert 1.0 <= min(begins) < 1.2
    assert 2.3 < max(begins) <= 2.5
    assert max(end for _, end in spans) <= 4.5


def test_an_end_beyond_the_file_s_is_the_file_s(studio: Studio, film: Path) -> None:
    draw = np.random.default_rng(0)
    example = studio.example(video=film, audio=film, end=50.0)
    spans = [times(clip(example, SPECS, draw=draw)["audio"]) for _ in range(40)]
    assert all(end - begin == pytest.approx(2.0, abs=1e-2) for begin, end in spans)
    assert duration(example) == pytest.approx(5.0, abs=0.1)


def test_windows_end_where_the_shorter_of_two_files_does(studio: Studio, film: Path) -> None:
    sound = studio.write("short.wav", wave=studio.tone(2.5, 16000), audio="pcm_s16le")
    draw = np.random.default_rng(0)
    for _ in range(20):
        assert np.any(clip(studio.example(video=film, audio=sound), SPECS, draw=draw)["audio"][0, -100:])


def test_an_example_shorter_than_the_window_is_held_and_padded(studio: Studio, film: Path) -> None:
    got = clip(studio.example(video=film, audio=film, start=4.0), SPECS, Sampling(6))
    assert studio.numbers(got["video"][0]) == [40, 46, 46, 46]
    assert times(got["audio"]) == (pytest.approx(4.0, abs=1e-3), pytest.approx(5.0, abs=1e-3))
    assert not np.any(got["audio"][0, 16000:])


def test_zoom_and_place_of_a_crop_are_drawn_and_else_the_least_and_the_centre(studio: Studio) -> None:
    ramp = np.broadcast_to(np.arange(128, dtype=np.uint8)[:, None, None], (1, 128, 128, 3))
    still = studio.example(image=studio.write("ramp.png", ramp, video=("png", "rgb24")))
    sampling = Sampling(zoom=(8 / 7, 10 / 7))
    centre = np.asarray(clip(still, SPECS, sampling)["video"])[0, 0, :, 0, 0].astype(int)
    assert centre[0] + centre[-1] == pytest.approx(127, abs=5)
    assert centre[-1] - centre[0] == pytest.approx(127 * 7 / 8 * 31 / 32, abs=4)
    draw = np.random.default_rng(1)
    columns = [np.asarray(clip(still, SPECS, sampling, draw)["video"])[0, 0, :, 0, 0] for _ in range(40)]
    heights = [int(c[-1]) - int(c[0]) for c in columns]
    assert 127 * 7 / 10 - 4 <= min(heights) < max(heights) <= 127 * 7 / 8 + 4
    assert min(int(c[0]) for c in columns) < 8
    assert max(int(c[-1]) for c in columns) > 120
    middle = np.asarray(
        clip(still, SPECS, replace(sampling, zoom=(8 / 7, 8 / 7), centred=True), draw)["video"]
    )
    assert np.array_equal(middle[0, 0, :, 0, 0], centre), "not drawn"
    assert fit(ramp[0], (32, 32), Framing(1.0, 1.0, 0.0)).shape == (32, 32, 3)


def test_the_same_seed_gives_the_same_picture_with_or_without_the_sound(studio: Studio, film: Path) -> None:
    both, silent = studio.example(video=film, audio=film), studio.example(video=film)
    sampling = Sampling(5, (1.1, 1.4))
    pictures = [
        clip(example, SPECS, sampling, np.random.default_rng(7))["video"] for example in (both, silent)
    ]
    np.testing.assert_array_equal(*pictures)


def test_a_clip_that_lasts_no_time_is_bad(studio: Studio) -> None:
    empty = write_wav(studio.folder / "empty.wav", np.zeros(0))
    with pytest.raises(BadDataError, match=r"empty\.wav: lasts no time"):
        clip(studio.example(audio=empty), SPECS)
