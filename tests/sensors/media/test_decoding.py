"""Files are written by PyAV with known frames and sound; what comes out must be what went in."""

import json
import struct
import subprocess
import sys
import wave as wave_file
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_sensors.codecs.framing import Framing, fit
from sensemble_sensors.codecs.tracks import decode_audio, decode_video, frame_size, probe, video_frames
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.dataset import Example, read_dataset
from sensemble_sensors.media.decoding import Sampling, check, clip, duration, window
from sensemble_sensors.sensor import Media
from sensemble_sensors.spec import Channel, InputSpec

from tests.parts import write_wav
from tests.sensors.studio import Specs, Studio


def test_a_window_past_the_end_holds_the_last_frame_and_pads_sound_with_zeros(
    studio: Studio, specs: Specs
) -> None:
    path = studio.write("short.mkv", studio.frames(3), studio.tone(0.375, 16000))
    example = studio.example(video=path, audio=path)
    assert studio.numbers(window(example, specs["video"])[0]) == [0, 1, 2, 2, 2, 2, 2, 2]
    sound = window(example, specs["audio"])
    assert sound.shape == (1, 16000)
    assert np.any(sound[0, 5990:6000])
    assert not np.any(sound[0, 6000:])


def test_start_and_end_are_seconds_within_the_file(studio: Studio, specs: Specs) -> None:
    frames, wave = studio.frames(32), studio.tone(4, 16000)
    wave *= np.linspace(0, 1, wave.shape[1], dtype=np.float32)
    path = studio.write("long.mkv", frames, wave)
    example = studio.example(video=path, audio=path, start=1.75, end=2.5)
    assert studio.numbers(window(example, specs["video"])[0]) == [14, 15, 16, 17, 18, 19, 19, 19]
    expected = np.round(wave[0, 28000:40000] * 32767) / 32768
    sound = window(example, specs["audio"])
    np.testing.assert_allclose(sound[0, :12000], expected, atol=1e-6)
    assert not np.any(sound[0, 12000:])
    assert duration(example) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("name", "video"), [("lossless.mkv", ("ffv1", "bgr0")), ("lossy.mp4", ("libx264", "yuv420p"))]
)
def test_seeking_into_a_long_file_gives_the_same_as_decoding_it_whole(
    studio: Studio, name: str, video: tuple[str, str]
) -> None:
    path = studio.write(name, studio.frames(100), fps=10, video=video, options={"g": "12"})
    whole = decode_video(path, 10, 100, (32, 32))
    assert studio.numbers(whole) == pytest.approx(list(range(100)), abs=1)

    @given(start=st.integers(0, 99), count=st.integers(1, 5))
    @settings(max_examples=25)
    def check(start: int, count: int) -> None:
        part = decode_video(path, 10, count, (32, 32), start / 10)
        np.testing.assert_array_equal(part, whole[np.minimum(np.arange(start, start + count), 99)])

    check()


@pytest.mark.parametrize(
    ("name", "codec", "tolerance"),
    [
        ("a.wav", "pcm_s16le", 1e-6),
        ("a.flac", "flac", 1e-6),
        ("a.mp4", "aac", 0.05),
        ("a.mkv", "aac", 0.05),
        ("a.mp3", "libmp3lame", 0.05),
    ],
)
def test_sound_stands_where_it_was_put_in_every_container(
    studio: Studio, name: str, codec: str, tolerance: float
) -> None:
    rng = np.random.default_rng(0)
    wave = studio.tone(6, 16000, 300) * np.repeat(rng.uniform(0.1, 1, 60), 1600).astype(np.float32)
    path = studio.write(name, wave=wave, audio=codec)
    expected = np.round(wave[0] * 32767) / 32768

    @given(start=st.integers(0, 590), count=st.integers(1, 100))
    @settings(max_examples=25)
    def check(start: int, count: int) -> None:
        first = start * 160
        part = decode_audio(path, 16000, start / 100, count / 100)
        true = expected[first : first + count * 160]
        # A lossy codec fills its last block up, so that its track is a little longer.
        assert len(part) == len(true) or (tolerance > 1e-6 and len(part) > len(true))
        assert np.sqrt(np.mean((part[: len(true)] - true) ** 2)) < tolerance

    check()


def test_any_rate_is_resampled_and_channels_are_averaged(studio: Studio) -> None:
    left, right = studio.tone(1, 44100, 440), studio.tone(1, 44100, 1000) / 2
    path = studio.write("stereo.wav", wave=np.concatenate([left, right]), rate=44100, audio="pcm_s16le")
    mono = decode_audio(path, 16000)
    assert len(mono) == 16000
    expected = (studio.tone(1, 16000, 440) + studio.tone(1, 16000, 1000) / 2)[0] / 2
    np.testing.assert_allclose(mono[200:-200], expected[200:-200], atol=1e-3)


def test_sound_of_the_asked_rate_is_the_mean_of_the_files_own_numbers(studio: Studio) -> None:
    wave = np.concatenate([studio.tone(1, 16000, 300), studio.tone(1, 16000, 500) / 2])
    path = studio.write("plain.wav", wave=wave, rate=16000, audio="pcm_s16le")
    with wave_file.open(str(path)) as file:
        numbers = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    np.testing.assert_array_equal(decode_audio(path, 16000), numbers.mean(axis=1) / 32768)
    np.testing.assert_allclose(decode_audio(path, 16000, 0.5, 0.25), decode_audio(path, 16000)[8000:12000])


def test_sound_that_changes_its_form_midway_is_refused(studio: Studio) -> None:
    parts = [studio.write(f"{r}.aac", wave=studio.tone(1, r), rate=r, audio="aac") for r in (16000, 44100)]
    both = parts[0].with_name("both.aac")
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(BadDataError, match="midway"):
        decode_audio(both, 16000)


def test_a_part_of_resampled_sound_is_that_part_of_the_whole(studio: Studio) -> None:
    path = studio.write("resampled.wav", wave=studio.tone(3, 48000), rate=48000, audio="pcm_s16le")
    whole = decode_audio(path, 16000)
    np.testing.assert_allclose(decode_audio(path, 16000, 1.5, 0.5), whole[24000:32000], atol=1e-4)


def with_holes(path: Path, rate: int, levels: dict[int, int]) -> Path:
    """Write a tenth of a second of each level, which begins at that sample, as 16-bit PCM."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        for start, level in levels.items():
            wave = np.full((1, rate // 10), level, np.int16)
            frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_hole_in_the_sound_is_silence_and_what_follows_stays_in_its_place(studio: Studio) -> None:
    # Samples: at 0.2 s, 0.3 s and 0.8 s.
    path = with_holes(studio.folder / "hole.mkv", 48000, dict.fromkeys((9600, 14400, 38400), 9000))
    level = np.float32(9000 / 32768)
    expected = np.repeat([level, level, 0, 0, 0, 0, level], 1600)  # the file begins with its first sound
    np.testing.assert_allclose(decode_audio(path, 48000)[::3], expected, atol=1e-6)
    resampled = decode_audio(path, 16000)
    assert len(resampled) == pytest.approx(11200, abs=2)
    middles = resampled[800::1600]
    np.testing.assert_allclose(middles, expected[800::1600], atol=1e-2)


def test_frames_of_a_variable_rate_are_taken_by_their_times(studio: Studio) -> None:
    path = studio.write("vfr.mkv", studio.frames(5), ticks=[0, 100, 150, 700, 1000])
    assert studio.numbers(decode_video(path, 10, 11, (32, 32))) == [0, 1, 2, 2, 2, 2, 2, 3, 3, 3, 4]


def test_rounded_times_do_not_repeat_or_drop_a_frame(studio: Studio) -> None:
    path = studio.write("thirty.mkv", studio.frames(60), fps=30)
    assert studio.numbers(decode_video(path, 30, 60, (32, 32))) == list(range(60))


def test_a_stream_can_be_left_half_way(studio: Studio) -> None:
    path = studio.write("left.mkv", studio.frames(8))
    assert studio.numbers(np.stack(list(islice(video_frames(path, 8, (32, 32), 0.5), 2)))) == [4, 5]


@pytest.mark.parametrize(
    ("name", "codec"), [("still.png", ("png", "rgb24")), ("100%d.jpg", ("mjpeg", "yuvj444p"))]
)
def test_an_image_is_repeated(studio: Studio, specs: Specs, name: str, codec: tuple[str, str]) -> None:
    path = studio.write(
        name.replace("%d", "7"), studio.frames(1), video=codec, options={"qmin": "1", "qmax": "1"}
    )
    path = path.rename(path.with_name(name))
    example = studio.example(image=path, start=3.0)
    frames = window(example, specs["video"])
    assert frames.shape == (1, 8, 32, 32, 3)
    np.testing.assert_allclose(frames[0].astype(int), np.repeat(studio.frames(1), 8, axis=0), atol=6)


@pytest.mark.parametrize("name", ["clear.png", "clear.webp"])
def test_what_is_transparent_is_white(name: str, tmp_path: Path) -> None:
    picture = np.full((32, 32, 4), (10, 20, 200, 255), np.uint8)  # B, G, R, alpha
    picture[16:, :, 3] = 0
    picture[:, 16:, 3] //= 2
    cv2.imwrite(str(tmp_path / name), picture, [cv2.IMWRITE_WEBP_QUALITY, 101])
    (shown,) = decode_video(tmp_path / name, 1, 1, (32, 32))
    assert shown[::16, ::16].tolist() == [[[200, 20, 10], [228, 138, 133]], [[255, 255, 255]] * 2]


def test_a_clear_pixel_of_a_large_picture_lends_no_colour_to_its_neighbours(tmp_path: Path) -> None:
    picture = np.zeros((3000, 3000, 4), np.uint8)
    picture[::2], picture[1::2] = (0, 0, 0, 255), (0, 0, 255, 0)  # black beside clear red
    cv2.imwrite(str(tmp_path / "large.png"), picture)
    (shown,) = decode_video(tmp_path / "large.png", 1, 1, (32, 32))
    np.testing.assert_allclose(shown, 127, atol=2)


@pytest.mark.parametrize(
    ("codec", "tags"), [("libvpx", {}), ("libvpx-vp9", {}), ("libvpx-vp9", {"alpha_mode": "1"})]
)
def test_what_is_transparent_in_a_web_film_is_white(codec: str, tags: dict[str, str], tmp_path: Path) -> None:
    with av.open(str(tmp_path / "clear.webm"), "w") as container:
        film: Any = container.add_stream(codec, rate=5, options={"auto-alt-ref": "0"})
        film.metadata.update(tags)  # FFmpeg writes the same tag in capitals
        film.width, film.height, film.pix_fmt = 64, 64, "yuva420p"
        picture = np.full((64, 64, 4), (0, 0, 0, 255), np.uint8)
        picture[:, 32:, 3] = 0
        for packet in (film.encode(av.VideoFrame.from_ndarray(picture, format="rgba")), film.encode(None)):
            container.mux(packet)
    (shown,) = decode_video(tmp_path / "clear.webm", 1, 1, (64, 64))
    np.testing.assert_allclose(shown.mean(axis=(0, 2)), [*[0] * 32, *[255] * 32], atol=6)


def test_a_web_film_that_holds_more_pixels_than_it_claims_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "large.webm"), "w") as container:
        film: Any = container.add_stream("libvpx", rate=5, options={"auto-alt-ref": "0"})
        film.width, film.height, film.pix_fmt = 64, 64, "yuva420p"
        held: Any = av.CodecContext.create("libvpx", "w")
        held.width, held.height, held.pix_fmt, held.time_base = 8190, 4100, "yuv420p", Fraction(1, 5)
        held.options = {"deadline": "realtime", "cpu-used": "8"}
        for packet in (*held.encode(av.VideoFrame(8190, 4100, "yuv420p")), *held.encode(None)):
            packet.stream = film
            container.mux(packet)
    with pytest.raises(BadDataError, match="down to 33554432 pixels"):
        decode_video(tmp_path / "large.webm", 1, 1, (64, 64))


def test_a_picture_whose_alpha_is_never_set_has_its_colours(tmp_path: Path) -> None:
    picture = np.full((32, 32, 4), (10, 20, 200, 0), np.uint8)  # as films of 32 bits leave it
    cv2.imwrite(str(tmp_path / "unset.png"), picture)
    (shown,) = decode_video(tmp_path / "unset.png", 1, 1, (32, 32))
    assert (shown == (200, 20, 10)).all()


def test_the_short_side_is_resized_and_the_centre_cropped(studio: Studio) -> None:
    wide = np.zeros((1, 64, 128, 3), np.uint8)
    wide[:, :, 32:96] = (200, 100, 50)
    path = studio.write("wide.mkv", wide)
    np.testing.assert_array_equal(decode_video(path, 1, 1, (32, 32)), np.full((1, 32, 32, 3), (200, 100, 50)))
    assert frame_size(path) == (64, 128)
    assert decode_video(path, 1, 1, (100, 30)).shape == (1, 100, 30, 3)


def test_a_turned_phone_video_stands_upright(studio: Studio) -> None:
    frames = studio.frames(2, (32, 48))
    path = studio.write("turned.mp4", frames, video=("libx264rgb", "rgb24"), rotation=90, options={"qp": "0"})
    assert frame_size(path) == (48, 32)
    np.testing.assert_array_equal(decode_video(path, 8, 2, (48, 32)), np.rot90(frames, axes=(1, 2)))


def test_bad_files_are_named_with_their_reason(studio: Studio, specs: Specs) -> None:
    silent = studio.write("silent.mkv", studio.frames(8))
    blind = studio.write("blind.wav", wave=studio.tone(1, 16000), audio="pcm_s16le")
    noise = studio.folder / "noise.mkv"
    noise.write_bytes(b"not a media file" * 100)
    mute = studio.folder / "mute.wav"
    mute.write_bytes(blind.read_bytes()[:22] + bytes(2) + blind.read_bytes()[24:])  # of no channel
    bad = [
        (studio.example(audio=mute), "audio", r"mute.wav: cannot be decoded \(.*\); give another file"),
        (studio.example(audio=silent), "audio", "silent.mkv: has no audio track"),
        (studio.example(video=blind), "video", "blind.wav: has no video track"),
        (studio.example(video=noise), "video", r"noise.mkv: cannot be decoded \(.*\); give another file"),
        (
            studio.example(video=studio.folder / "gone.mkv"),
            "video",
            r"gone.mkv: cannot be decoded \(No such file",
        ),
        (studio.example(video=silent, start=5.0), "video", "silent.mkv: lasts 1 s, so nothing starts at 5 s"),
        (studio.example(audio=blind, start=5.0), "audio", "blind.wav: lasts 1 s, so nothing starts at 5 s"),
        (studio.example(text="seven"), "audio", r"'clip' \(line 1\) has no audio"),
    ]
    for example, modality, reason in bad:
        with pytest.raises(BadDataError, match=reason):
            window(example, specs[modality])
    with pytest.raises(BadDataError, match=r"noise\.mkv"):
        check(studio.example(audio=noise), {})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n../secret.ts\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile ../secret.ts\n"),
    ],
    ids=["hls", "concat"],
)
def test_a_list_of_other_files_is_refused(studio: Studio, name: str, text: str) -> None:
    (studio.folder / "data").mkdir(exist_ok=True)
    secret = studio.write("secret.ts", wave=studio.tone(1, 16000), audio="mp2")
    assert probe(secret).modalities == ("audio",)
    path = studio.folder / "data" / name
    path.write_text(text)
    for read in (probe, lambda path: decode_audio(path, 16000)):
        with pytest.raises(BadDataError, match=rf"{name}: cannot be decoded"):
            read(path)


WINDOW = """
import re, sys
from pathlib import Path
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.codecs.tracks import decode_video
try:
    print(decode_video(Path(sys.argv[1]), 1, 1, (224, 224)).shape)
except BadDataError as error:
    print(error)
print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])
"""
SHAPE = "(1, 224, 224, 3)"


def windowed(path: Path) -> tuple[str, int]:
    """Return what a fresh process says of a file's first picture, and the bytes that it took."""
    run = subprocess.run([sys.executable, "-c", WINDOW, path], capture_output=True, text=True, check=True)
    found, kilobytes = run.stdout.splitlines()
    return found, int(kilobytes)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((3000, 1), SHAPE), ((1, 3000), SHAPE), ((65000, 1), SHAPE), ((8190, 4097), "down to 33554432 pixels")],
)
def test_a_few_bytes_of_a_picture_take_little_memory(
    tmp_path: Path, size: tuple[int, int], expected: str
) -> None:
    cv2.imwrite(str(tmp_path / "bomb.png"), np.zeros(size[::-1], np.uint8))
    found, kilobytes = windowed(tmp_path / "bomb.png")
    assert expected in found
    assert kilobytes < 200_000


@pytest.mark.parametrize(
    ("codec", "side", "expected"),
    [("mjpeg", 5700, SHAPE), ("mpeg4", 5700, SHAPE), ("mpeg4", 8190, "33554432")],
)
def test_a_large_film_takes_little_more_memory_than_a_picture(
    tmp_path: Path, codec: str, side: int, expected: str
) -> None:
    path = tmp_path / "large.mkv"
    with av.open(str(path), "w") as container:
        film: Any = container.add_stream(codec, rate=5)
        film.width = film.height = side
        film.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        shot = av.VideoFrame(side, side, film.pix_fmt)
        for plane, value in zip(shot.planes, (81, 90, 240), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)  # red
        for tick in range(3):
            shot.pts = tick
            container.mux(film.encode(shot))
        container.mux(film.encode(None))
    found, kilobytes = windowed(path)
    assert expected in found
    assert kilobytes < 300_000


def test_a_picture_that_is_decoded_in_part_shows_the_same(studio: Studio) -> None:
    frames = np.zeros((1, 3000, 4000, 3), np.uint8)
    frames[:, :1500, :2000], frames[:, 1500:, 2000:] = (200, 40, 40), (40, 60, 200)
    whole = cv2.resize(frames[0], (40, 30), interpolation=cv2.INTER_AREA)
    for name, video in ("part.mkv", ("mjpeg", "yuvj444p")), ("reduced.mkv", ("ffv1", "bgr0")):
        path = studio.write(name, frames, video=video)
        (shown,) = decode_video(path, 8, 1, (30, 40))
        np.testing.assert_allclose(shown[2:-2, 2:-2], whole[2:-2, 2:-2], atol=6)


def test_sound_that_is_no_number_is_refused_and_found_by_a_check(tmp_path: Path, studio: Studio) -> None:
    path, wave = tmp_path / "odd.wav", np.zeros((1, 8000), np.float32)
    for odd in (np.nan, np.inf):
        wave[0, 4000] = odd
        with av.open(str(path), "w") as container:
            sound = container.add_stream("pcm_f32le", rate=8000, layout="mono")
            piece = av.AudioFrame.from_ndarray(wave, format="flt", layout="mono")
            piece.sample_rate = 8000
            container.mux(sound.encode(piece))
            container.mux(sound.encode(None))
        with pytest.raises(BadDataError, match="holds NaN or infinity"):
            decode_audio(path, 8000)
        with pytest.raises(BadDataError, match="holds NaN or infinity"):
            check(studio.example(audio=path), {})


def test_a_hole_of_years_in_the_sound_takes_neither_memory_nor_time(studio: Studio) -> None:
    path = with_holes(studio.folder / "years.mkv", 8000, {0: 9000, 8000 * 10**8: 9000})
    assert len(decode_audio(path, 16000, 0.0, 1.0)) == 16000
    assert not np.any(decode_audio(path, 16000, 5e7, 1.0))


def test_a_hole_before_the_place_asked_for_moves_nothing(studio: Studio) -> None:
    path = with_holes(studio.folder / "early hole.mkv", 8000, {0: 3000, 4000: 6000, 8000: 9000})
    whole = decode_audio(path, 8000)
    np.testing.assert_array_equal(decode_audio(path, 8000, 0.75, 0.35), whole[6000:8800])


def test_matroska_lasts_from_its_first_frame_to_its_last(studio: Studio) -> None:
    path = studio.write("late.mkv", studio.frames(5), ticks=[3000, 3100, 3200, 3300, 3400])
    assert probe(path).seconds == pytest.approx(0.4 + 1 / 8, abs=1e-3)


def test_a_folder_named_as_an_address_leads_nowhere(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = studio.write("secret.wav", wave=studio.tone(1, 8000), rate=8000, audio="pcm_s16le")
    outside = tmp_path / "out.wav"
    outside.write_bytes(secret.read_bytes())
    data = tmp_path / "data"
    inside = data / "file:" / str(tmp_path).lstrip("/")
    inside.mkdir(parents=True)
    (inside / "out.wav").write_bytes(bytes(outside.stat().st_size))
    line = {"id": "a", "split": "pretrain", "audio": f"file:{outside}"}
    (data / "index.jsonl").write_text(json.dumps(line) + "\n")
    monkeypatch.chdir(data)
    (example,) = read_dataset(Path()).examples
    with pytest.raises(BadDataError):
        decode_audio(example.value("audio"), 8000)  # type: ignore[arg-type]


def test_a_title_that_is_not_utf8_does_no_harm(studio: Studio) -> None:
    path = studio.write("plain.wav", wave=studio.tone(1, 16000), audio="pcm_s16le")
    body = path.read_bytes()[12:]
    title = b"INFOINAM\x06\0\0\0caf\xe9 \0"  # as Windows wrote it
    riff = b"WAVE" + b"LIST" + len(title).to_bytes(4, "little") + title + body
    path = path.with_name("titled.wav")
    path.write_bytes(b"RIFF" + len(riff).to_bytes(4, "little") + riff)
    assert probe(path).seconds == 1
    np.testing.assert_allclose(decode_audio(path, 16000), studio.tone(1, 16000)[0], atol=1e-4)


def test_a_file_cut_short_gives_what_is_left(studio: Studio) -> None:
    path = studio.write("whole.mkv", studio.frames(40), studio.tone(5, 16000))
    data = path.read_bytes()
    short = path.with_name("cut.mkv")
    short.write_bytes(data[: len(data) // 2])
    numbers = studio.numbers(decode_video(short, 8, 40, (32, 32)))
    assert numbers == sorted(numbers)
    assert numbers[:8] == list(range(8))


def wav(rate: int, channels: int = 1) -> bytes:
    sound = np.full((64, channels), 8192, np.int16).tobytes()
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, 2 * channels * rate, 2 * channels, 16)
    data = b"data" + struct.pack("<I", len(sound)) + sound
    return b"RIFF" + struct.pack("<I", 4 + len(head) + len(data)) + b"WAVE" + head + data


def test_sound_of_an_absurd_rate_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    path = tmp_path / "fast.wav"
    path.write_bytes(wav(1_000_000))
    assert len(decode_audio(path, 500_000)) == 32
    for rate in (1_000_001, 220_000_003, 2**31 - 1):
        path.write_bytes(wav(rate))
        with pytest.raises(BadDataError, match=rf" {rate} .*above 1000000"):
            decode_audio(path, 16000)


@pytest.mark.parametrize("channels", [9, 64, 65])
def test_any_number_of_channels_is_averaged_or_refused(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "many.wav"
    path.write_bytes(wav(16000, channels))
    np.testing.assert_allclose(decode_audio(path, 16000), np.full(64, 0.25), atol=1e-6)
    if channels > 64:  # FFmpeg's limit
        with pytest.raises(BadDataError, match="its audio"):
            decode_audio(path, 8000)
    else:
        np.testing.assert_allclose(decode_audio(path, 8000)[12:20], np.full(8, 0.25), atol=0.01)


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
    assert duration(example) == pytest.approx(5.0, abs=0.1)
    spans = [times(clip(example, SPECS, draw=draw)["audio"]) for _ in range(40)]
    assert all(end - begin == pytest.approx(2.0, abs=1e-2) for begin, end in spans)


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
