"""Clips that were played are found in what was heard, and judged."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal
from sensemble_apps.cli import main
from sensemble_apps.hearing import answers_finding, find, level_finding, track

from tests.apps.conftest import Refusal

SoundServer = Any
Wave = NDArray[np.float32]
RATE = 16000


@pytest.fixture(scope="module")
def clips() -> list[Wave]:
    """Ten clips of half a second, of noise that swells and fades, each at a band of its own."""
    rng = np.random.default_rng(0)
    swell = np.sin(np.linspace(0, np.pi, RATE // 2)) ** 2
    bands = [
        signal.butter(2, (200 + 200 * i, 500 + 200 * i), "band", fs=RATE, output="sos") for i in range(10)
    ]
    return [
        (0.2 * swell * signal.sosfilt(band, rng.standard_normal(RATE // 2))).astype(np.float32)
        for band in bands
    ]


def noisy(clips: list[Wave], delay: float, level: float) -> Wave:
    rng = np.random.default_rng(1)
    wave = np.pad(track(clips, RATE), (round(delay * RATE), RATE))
    return (wave + level * rng.standard_normal(len(wave))).astype(np.float32)


def likeness(heard: list[Wave], clips: list[Wave]) -> float:
    pairs = zip(clips, heard, strict=True)
    return min(float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)) for a, b in pairs)


@pytest.mark.parametrize("delay", [0.0, 0.123, 2.5])
def test_clips_are_found_wherever_they_begin(clips: list[Wave], delay: float) -> None:
    found = find(noisy(clips, delay, 1e-4), clips, RATE)
    assert found is not None
    noise, heard = found
    assert likeness(heard, clips) > 0.999
    assert np.abs(noise).max() < 1e-3


def test_clips_are_found_in_an_echoing_noisy_room(clips: list[Wave]) -> None:
    rng = np.random.default_rng(2)
    time = np.arange(RATE // 2) / RATE
    room = rng.standard_normal(len(time)) * 10 ** (-3 * time / 0.4) * 0.05
    room[0] = 1
    wave = 0.02 * signal.fftconvolve(noisy(clips, 1.0, 0.0), room)
    wave += 3e-4 * rng.standard_normal(len(wave))
    found = find(wave.astype(np.float32), clips, RATE)
    assert found is not None
    assert likeness(found[1], clips) > 0.4, "the echoes are as loud as what comes straight"


def test_a_clip_that_sounds_like_the_chirp_is_not_taken_for_it(clips: list[Wave]) -> None:
    """The clips were cut at the loudest sweep, wherever it was, even where they would not fit behind it."""
    chirp = track(clips, RATE)[RATE : RATE + RATE // 3]
    siren = 3 * np.pad(chirp, (0, RATE // 2 - len(chirp)))
    played = [*clips[:5], siren, *clips[6:]]
    found = find(noisy(played, 0.5, 1e-4), played, RATE)
    assert found is not None
    assert likeness(found[1], played) > 0.999


@pytest.mark.parametrize("level", [0.0, 1e-5, 0.3])
def test_a_track_is_not_found_where_it_is_not(clips: list[Wave], level: float) -> None:
    noise = (level * np.random.default_rng(3).standard_normal(15 * RATE)).astype(np.float32)
    assert find(noise, clips, RATE) is None
    assert find(noise[:100], clips, RATE) is None


@pytest.mark.parametrize(
    ("gain", "noise", "said"),
    [
        (1, 1e-4, None),
        (0.02, 1e-5, "too quiet: turn"),
        (1, 0.1, "too quiet"),
        (50, 1e-4, "% of it is clipped"),
    ],
)
def test_a_wrong_level_is_said_with_what_to_do(
    clips: list[Wave], gain: float, noise: float, said: str | None
) -> None:
    room = (noise * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
    heard = [np.clip(np.float32(gain) * clip, -1, 1) for clip in clips]
    name, well, text = level_finding(clips, heard, room)
    assert (name, well) == ("level", said is None)
    assert said is None or said in text


def test_answers_that_the_room_changes_are_reported() -> None:
    good, bad, never = (("one", "one", ["one"]), ("one", "two", ["one"]), ("two", "two", ["one"]))
    assert answers_finding([good] * 17 + [bad] + [never] * 2)[1]
    name, well, text = answers_finding([good] * 5 + [bad] * 15)
    assert (name, well) == ("answers", False)
    assert text.startswith("as heard, 5 of 20 are right (11 to 47 %), in an audit of the same clips 20; the")


def test_doctor_hears_clips_through_a_sound_server(
    sound_server: SoundServer, bundle_folder: Path, dataset_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["doctor", str(bundle_folder), "--hear", str(dataset_folder), "--examples", "3"]
    assert main([*command, "--microphone", "speaker.monitor"]) == 0
    said = {line.split()[1]: line for line in capsys.readouterr().out.splitlines()}
    assert said["level"].startswith("ok ")
    assert "the same answer to 3" in said["answers"]
    sound_server.plug("desk")
    assert main([*command, "--microphone", "desk.monitor"]) == 0
    said = {line.split()[1]: line for line in capsys.readouterr().out.splitlines()}
    assert said["hearing"].startswith("wrong ")


def test_doctor_needs_a_bundle_and_clips_to_hear(refusal: Refusal, tmp_path: Path) -> None:
    assert "sensemble doctor BUNDLE --hear FOLDER" in refusal("doctor", tmp_path)
    assert "sensemble doctor BUNDLE --hear FOLDER" in refusal("doctor", "--hear", tmp_path)
