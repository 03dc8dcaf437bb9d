"""Clips that were played are found in what was heard, and judged."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal
from sensemble_apps.cli import main
from sensemble_apps.hearing.findings import Answers, lines
from sensemble_apps.hearing.track import Heard, Track, find, track

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


@pytest.fixture(scope="module")
def played(clips: list[Wave]) -> Track:
    return track(clips, RATE)


def heard_late(played: Track, seconds: float, noise: float = 1e-4) -> Wave:
    rng = np.random.default_rng(1)
    silence = np.zeros(round(seconds * RATE), np.float32)
    wave = np.concatenate([silence, played.wave, np.zeros(RATE, np.float32)])
    return (wave + noise * rng.standard_normal(len(wave))).astype(np.float32)


def close(heard: Heard, clips: list[Wave]) -> list[float]:
    """Return how alike each clip and what was heard of it are: 1 for equal ones."""
    return [
        float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))
        for a, b in zip(clips, heard.clips, strict=True)
    ]


@pytest.mark.parametrize("delay", [0.0, 0.123, 2.5])
def test_clips_are_found_wherever_they_begin(played: Track, clips: list[Wave], delay: float) -> None:
    heard = find(played, heard_late(played, delay))
    assert heard is not None
    assert min(close(heard, clips)) > 0.999
    assert heard.lost == 0
    assert np.abs(heard.noise).max() < 1e-3


def test_clips_are_found_in_an_echoing_noisy_room(played: Track, clips: list[Wave]) -> None:
    rng = np.random.default_rng(2)
    time = np.arange(RATE // 2) / RATE
    room = rng.standard_normal(len(time)) * 10 ** (-3 * time / 0.4) * 0.05
    room[0] = 1
    wave = 0.02 * signal.fftconvolve(heard_late(played, 1.0, 0.0), room)
    wave += 3e-4 * rng.standard_normal(len(wave))
    heard = find(played, wave.astype(np.float32))
    assert heard is not None
    assert min(close(heard, clips)) > 0.4, "the echoes are as loud as what comes straight"
    assert heard.lost == 0


def test_a_clock_that_runs_faster_is_allowed_for_and_lost_sound_is_reported(
    played: Track, clips: list[Wave]
) -> None:
    wave = heard_late(played, 0.5)
    places = np.arange(0, len(wave) - 1, 1.0001)  # 100 ppm
    drifted = find(played, np.interp(places, np.arange(len(wave)), wave).astype(np.float32))
    assert drifted is not None
    assert min(close(drifted, clips)) > 0.8, "half a sample matters at 2 kHz"
    assert drifted.lost == 0
    gone = np.delete(wave, np.s_[5 * RATE : 5 * RATE + 1600])
    found = find(played, gone)
    assert found is not None
    assert found.lost == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("level", [0.0, 1e-5, 0.3])
def test_a_track_is_not_found_where_it_is_not(played: Track, level: float) -> None:
    noise = level * np.random.default_rng(3).standard_normal(len(played.wave) + RATE)
    assert find(played, noise.astype(np.float32)) is None
    assert find(played, noise[:100].astype(np.float32)) is None


def judged(clips: list[Wave], gain: float, noise: float, said: Answers) -> dict[str, tuple[bool, str]]:
    room = (noise * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
    copies = tuple(np.clip(np.float32(gain) * clip, -1, 1) for clip in clips)
    found = lines(clips, Heard(room, copies, 0.0), said)
    return {name: (well, text) for name, well, text in found}


GOOD = Answers(clips=20, audited=18, heard=17, same=18)


def test_what_is_likely_wrong_is_said_with_what_to_do(clips: list[Wave]) -> None:
    assert all(well for well, _ in judged(clips, 1, 1e-4, GOOD).values())
    well, text = judged(clips, 0.02, 1e-5, GOOD)["level"]
    assert not well
    assert "too quiet: turn the loudspeaker up, or the microphone, by " in text
    well, text = judged(clips, 1, 0.1, GOOD)["level"]
    assert (well, "too quiet" in text) == (False, True), "by the noise of the room"
    well, text = judged(clips, 50, 1e-4, GOOD)["level"]
    assert (well, "% of it is clipped, turn it down" in text) == (False, True)
    well, text = judged(clips, 1, 1e-4, dataclasses.replace(GOOD, heard=5))["answers"]
    assert not well
    assert text.startswith(
        "as heard, 5 of 20 are right (11 to 47 %), in an audit of the same clips 18; the same"
    )
    ((name, well, text),) = lines(clips, None, None)
    assert (name, well, "--microphone" in text) == ("hearing", False, True)


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
