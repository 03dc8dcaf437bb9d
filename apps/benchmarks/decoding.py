"""Clips a second that one core decodes, and how much of that time the codecs alone take.

`uv run python apps/benchmarks/decoding.py` writes a ten-second clip as YouTube gives it (H.264 at 30 frames
a second with a key frame every 5 s, AAC at 44.1 kHz), at 340 x 256, 640 x 360 and 1280 x 720. It decodes, in
one thread, 8 s of sound and eight frames of 224 x 224 at stride 32 from places drawn at random (the paper's
Table 6). `codec` is PyAV's bare decode loop over the same seconds of the same file: every packet that the
window needs, and nothing converted, resized or resampled. The two take turns, and processor time is counted,
so that whatever else the machine does slows both alike.
"""

import argparse
import statistics
import tempfile
from fractions import Fraction
from pathlib import Path
from time import process_time
from typing import Any

import av
import cv2
import numpy as np
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.decoding import Sampling, clip
from sensemble_sensors.spec import InputSpec

SPECS = {
    "audio": InputSpec("audio", "float32", (1, 128000), 16000, 8.0, 1.0, 16.0),
    "video": InputSpec("video", "uint8", (1, 8, 224, 224, 3), 1.0, 8.0, 1.0, 16.0),
}
TRAINING = Sampling(32, (256 / 224, 320 / 224))
FPS, SECONDS, RATE = 30, 10, 44100


def write(path: Path, width: int, height: int) -> None:
    """A moving, blurred texture with noise, and noise for sound: neither is free to decode."""
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.integers(0, 256, (height + 300, width + 300, 3), np.uint8), (0, 0), 3)
    texture = cv2.normalize(texture, texture, 0, 255, cv2.NORM_MINMAX)
    with av.open(str(path), "w") as container:
        picture: Any = container.add_stream("libx264", rate=FPS, options={"g": "150", "crf": "23"})
        picture.width, picture.height, picture.pix_fmt = width, height, "yuv420p"
        sound: Any = container.add_stream("aac", rate=RATE, layout="stereo")
        for i in range(SECONDS * FPS):
            part = np.ascontiguousarray(texture[i : i + height, 300 - i : 300 - i + width])
            frame = av.VideoFrame.from_ndarray(part, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, FPS)
            container.mux(picture.encode(frame))
        pcm = (3000 * rng.standard_normal((1, 2 * RATE * SECONDS))).astype(np.int16)
        wave = av.AudioFrame.from_ndarray(pcm, format="s16", layout="stereo")
        wave.sample_rate, wave.pts, wave.time_base = RATE, 0, Fraction(1, RATE)
        container.mux(sound.encode(wave))
        for stream in (picture, sound):
            container.mux(stream.encode(None))


def codec(path: Path, start: float, end: float) -> None:
    """Decode both tracks from the key frame before `start` to `end`, and do nothing with the frames."""
    with av.open(str(path)) as container:
        for stream in (container.streams.video[0], container.streams.audio[0]):
            stream.codec_context.thread_count = 1
            container.seek(int(start * av.time_base))
            for frame in container.decode(stream):
                if isinstance(frame, av.VideoFrame | av.AudioFrame) and (frame.time or 0.0) >= end:
                    break


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=20, help="clips of each size")
    count = parser.parse_args().clips
    cv2.setNumThreads(1)
    span = 7 * 32 / FPS
    with tempfile.TemporaryDirectory() as folder:
        for width, height in ((340, 256), (640, 360), (1280, 720)):
            path = Path(folder) / f"{height}.mp4"
            write(path, width, height)
            example = Example("clip", "train", ("a",), {"video": path, "audio": path}, 1)
            ours, theirs = [], []
            for i in range(count):
                draw = np.random.default_rng(i)
                start = (SECONDS - span) * np.random.default_rng(i).random(4)[0]
                began = process_time()
                clip(example, SPECS, TRAINING, draw)
                done = process_time()
                codec(path, start, start + span)
                ours.append(done - began)
                theirs.append(process_time() - done)
            mine, bare = statistics.median(ours), statistics.median(theirs)
            print(
                f"{width:4} x {height}: {1 / mine:5.1f} clips a second and core, {1e3 * mine:6.1f} ms; "
                f"codec {1e3 * bare:6.1f} ms, {bare / mine:.0%}"
            )


if __name__ == "__main__":
    main()
