"""A thousand mutations of each file that a stranger may have made: each is good, or a BadDataError."""

import math
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_sensors.codecs.subtitles import read_subtitles
from sensemble_sensors.errors import BadDataError, RecordingError
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.decoding import check, clip
from sensemble_sensors.recording.reader import Recorded
from sensemble_sensors.recording.writer import Recording, _prepare
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

from tests.mutations import MANY, SEEDS, json_mutated, mutated, one_line
from tests.sensors.studio import Specs, Studio

INDEX = (
    b'{"id": "a", "split": "train", "labels": ["one", "two"], "video": "a.mkv", "audio": "a.mkv", '
    b'"start": 0.5, "end": 2, "text": "a caption"}\n'
    b'{"id": "b", "split": "pretrain", "image": "s.png"}\n'
)
SRT = b"1\n00:00:01,000 --> 00:00:02,000\n<i>a</i>\n\n2\n00:00:03,000 --> 01:00:04,500\nb\nc\n"
VTT = (
    b"WEBVTT\n\nname\n00:01.000 --> 00:02.000 line:0\nAT&amp;T &#65; <v Anna>said\n\nNOTE x\n\n"
    b"00:03.000 --> 00:04.000\nb\n"
)


@MANY
@given(seed=SEEDS)
def test_an_index(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzzed index"
    if not folder.exists():
        folder.mkdir()
        (folder / "a.mkv").write_bytes(b"media")
        (folder / "s.png").write_bytes(b"media")
    (folder / "index.jsonl").write_bytes(json_mutated(INDEX, seed))
    for skip_bad in (False, True):
        try:
            dataset = read_dataset(folder, skip_bad=skip_bad)
        except BadDataError as error:
            one_line(error)
            continue
        for example in dataset.examples:
            assert 0 <= (example.start or 0.0) < (example.end or math.inf)
            for path in (example.value("video"), example.value("audio"), example.value("image")):
                assert path is None or path.name in ("a.mkv", "s.png")


@MANY
@given(seed=SEEDS, kind=st.sampled_from([(".srt", SRT), (".vtt", VTT)]))
def test_subtitles(tmp_path_factory: pytest.TempPathFactory, seed: int, kind: tuple[str, bytes]) -> None:
    suffix, whole = kind
    path = tmp_path_factory.getbasetemp() / f"fuzzed{suffix}"
    path.write_bytes(mutated(whole, seed))
    try:
        cues = read_subtitles(path)
    except BadDataError as error:
        one_line(error)
    else:
        assert all(0 <= cue.start < cue.end < 1e9 and cue.text for cue in cues)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short segments of a recording with sound, pictures and captions."""
    folder = tmp_path_factory.mktemp("recorded")
    rng = np.random.default_rng(0)
    with Recording(folder, {"audio": (8000,)}, seconds=0.5) as out:
        begin = out.began + 5.1  # before a slow machine closes their segments
        for i in range(8):
            wave = rng.uniform(-1, 1, 800).astype(np.float32)
            out.put(Sample("audio", wave, begin + i / 10, cut=i == 0))
            out.put(Sample("video", np.full((8, 8, 3), i, np.uint8), begin + i / 10 + 0.01, cut=i == 0))
        out.put(Sample("text", "a caption", begin + 0.3, cut=True))
        out.event("camera 0", "video", "lost", "unplugged")
    assert len(read_dataset(folder).examples) == 2
    return folder


def replayed(folder: Path, specs: Specs, seed: int) -> None:
    """Read a recording to its end, as far as it is one, as it was recorded or at another rate."""
    form = (
        specs | {"audio": InputSpec("audio", "float32", (1, 8000), 8000, 1.0, 0.5, 2.0)}
        if seed % 2
        else specs
    )
    try:
        dataset = read_dataset(folder, skip_bad=True)
        found = Recorded(folder, dataset.examples, form)
        for sample in islice(found.samples(form), 10_000):
            assert -1100 < sample.time < found.length + 1
            found.example_at(sample.time)
            if sample.modality == "video":
                assert np.shape(sample.data) == (32, 32, 3)
        assert all(math.isfinite(plug.time) for plug in found.events)
    except BadDataError as error:
        one_line(error)


def fuzzed(path: Path, mutate: Callable[[bytes, int], bytes], read: Callable[[int], None]) -> None:
    """Read again and again, each time after a mutation of one file."""
    whole = path.read_bytes()

    @MANY
    @given(SEEDS)
    def check_one(seed: int) -> None:
        path.write_bytes(mutate(whole, seed))
        read(seed)

    try:
        check_one()
    finally:
        path.write_bytes(whole)


@pytest.mark.real
@pytest.mark.parametrize(
    "name", ["index.jsonl", "events.jsonl", "segments/000000.jsonl", "segments/000000.mkv"]
)
def test_a_recording(recorded: Path, specs: Specs, name: str) -> None:
    mutate = mutated if name.endswith("mkv") else json_mutated
    fuzzed(recorded / name, mutate, lambda seed: replayed(recorded, specs, seed))


@pytest.mark.real
@pytest.mark.parametrize("name", ["index.jsonl", "events.jsonl", "segments/000001.jsonl"])
def test_a_recording_that_goes_on(recorded: Path, name: str) -> None:
    def go_on(_: int) -> None:
        try:
            held, *numbers = _prepare(recorded, {"audio": (8000,), "video": (8, 8)}, {})
        except RecordingError as error:
            one_line(error)
        else:
            held.close()
            assert min(numbers) >= 0

    fuzzed(recorded / name, json_mutated, go_on)


@pytest.fixture(scope="module")
def films(studio: Studio) -> dict[str, bytes]:
    """Small files of many kinds."""
    frames, wave = studio.frames(4, (16, 16)), studio.tone(0.5, 8000)
    files = [
        studio.write("fuzz.mkv", frames, wave, rate=8000),
        studio.write("fuzz.mp4", frames, wave, rate=8000, video=("libx264rgb", "rgb24"), audio="aac"),
        studio.write("fuzz.ts", frames, video=("mpeg2video", "yuv420p"), fps=25),
        studio.write("fuzz.wav", wave=wave, rate=8000, audio="pcm_s16le"),
        studio.write("fuzz.mp3", wave=wave, rate=8000, audio="libmp3lame"),
        studio.write("fuzz.png", frames[:1], video=("png", "rgb24")),
        studio.write("fuzz.jpg", frames[:1], video=("mjpeg", "yuvj444p")),
    ]
    return {path.suffix: path.read_bytes() for path in files}


@MANY
@given(seed=SEEDS, suffix=st.sampled_from([".mkv", ".mp4", ".ts", ".wav", ".mp3", ".png", ".jpg"]))
def test_media(studio: Studio, films: dict[str, bytes], specs: Specs, seed: int, suffix: str) -> None:
    path = studio.folder / f"fuzzed{suffix}"
    path.write_bytes(mutated(films[suffix], seed))
    image = suffix in (".png", ".jpg")
    example = studio.example(
        video=None if image or suffix in (".wav", ".mp3") else path,
        audio=None if image or suffix == ".ts" else path,
        image=path if image else None,
    )
    try:
        check(example, {})
        for modality, media in clip(example, specs).items():
            assert media.shape == specs[modality].shape
            assert np.all(np.isfinite(media))
    except BadDataError as error:
        one_line(error)
