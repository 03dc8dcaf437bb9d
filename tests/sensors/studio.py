"""Real media files, written with PyAV, examples of them, and the types of the fixtures."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.spec import InputSpec

Specs = Mapping[str, InputSpec]


def write_index(folder: Path, *lines: Mapping[str, object] | str, **common: object) -> Path:
    """Write an index of lines, whole texts or fields on top of `common` ones; the ids count from 1."""
    texts = [
        line if isinstance(line, str) else json.dumps({"id": str(number), **common, **line})
        for number, line in enumerate(lines, start=1)
    ]
    (folder / "index.jsonl").write_bytes(("\n".join(texts) + "\n").encode(errors="surrogateescape"))
    return folder


def example(
    number: int, *groups: str, split: str = "train", label: str = "one", background: bool = False
) -> Example:
    """A caption of the line after `number`; without a label if that is empty."""
    labels = (label,) if label else ()
    values = {"text": "words"}
    return Example(f"e{number}", split, labels, values, number + 1, groups=groups, background=background)


def write_media(
    path: Path,
    frames: NDArray[Any] | None = None,
    wave: NDArray[np.floating] | None = None,
    *,
    ticks: Sequence[int] | None = None,
    fps: int = 8,
    rate: int = 16000,
    video: tuple[str, str] = ("ffv1", "bgr0"),
    audio: str = "flac",
    options: Mapping[str, str] = {},
    rotation: int = 0,
    form: str = "rgb24",
) -> Path:
    """Write frames of a `form` (at `ticks` ms, or at `fps`) and a wave [channels, n] into a file."""
    with av.open(str(path), "w") as container:
        streams: list[tuple[Any, list[Any]]] = []
        if frames is not None:
            picture: Any = container.add_stream(video[0], rate=fps, options=dict(options))
            picture.height, picture.width = frames.shape[1:3]
            picture.pix_fmt = video[1]
            if ticks is not None:
                picture.codec_context.time_base = Fraction(1, 1000)
            if rotation:
                picture.set_display_rotation(rotation)
            shots = [av.VideoFrame.from_ndarray(f, format=form).reformat(format=video[1]) for f in frames]
            for i, shot in enumerate(shots):
                shot.pts = i if ticks is None else ticks[i]
                shot.time_base = Fraction(1, fps if ticks is None else 1000)
            streams.append((picture, shots))
        if wave is not None:
            layout = "mono" if len(wave) == 1 else "stereo"
            sound: Any = container.add_stream(audio, rate=rate, layout=layout)
            pcm = np.round(wave * 32767).astype(np.int16).T.reshape(1, -1)
            whole = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm), format="s16", layout=layout)
            whole.sample_rate, whole.pts, whole.time_base = rate, 0, Fraction(1, rate)
            streams.append((sound, [whole]))
        for stream, takes in streams:
            for take in takes:
                container.mux(stream.encode(take))
            container.mux(stream.encode(None))
    return path


@dataclass(frozen=True)
class Studio:
    """Makes pictures, sound and files of them, all known exactly."""

    folder: Path

    def frames(self, count: int, size: tuple[int, int] = (32, 32)) -> NDArray[np.uint8]:
        """Frames that tell their number: frame i is grey at 2 i + 10, with a red top left quarter."""
        frames = np.empty((count, *size, 3), np.uint8)
        frames[:] = (2 * np.arange(count) + 10).reshape(-1, 1, 1, 1)
        frames[:, : size[0] // 4, : size[1] // 4] = (250, 20, 30)
        return frames

    def numbers(self, frames: NDArray[np.uint8]) -> list[int]:
        """The numbers that frames tell, by their bottom right corner."""
        return [int(level) for level in np.round((frames[:, -1, -1].mean(axis=-1) - 10) / 2)]

    def tone(self, seconds: float, rate: int, hertz: float = 440.0) -> NDArray[np.float32]:
        """A sine of amplitude 0.5, float32 [1, n]."""
        wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
        return wave[None].astype(np.float32)

    def write(
        self,
        name: str,
        frames: NDArray[Any] | None = None,
        wave: NDArray[np.float32] | None = None,
        **form: Any,  # noqa: ANN401 - as `write_media`
    ) -> Path:
        return write_media(self.folder / name, frames, wave, **form)

    def example(
        self,
        *,
        video: Path | None = None,
        audio: Path | None = None,
        image: Path | None = None,
        text: str | None = None,
        start: float | None = None,
        end: float | None = None,
    ) -> Example:
        """An example as `read_dataset` would give it."""
        given = {"video": video, "audio": audio, "image": image, "text": text}
        values = {field: value for field, value in given.items() if value is not None}
        return Example("clip", "eval", ("one",), values, 1, start, end)
