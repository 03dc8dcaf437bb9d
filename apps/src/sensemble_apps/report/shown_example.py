"""An example for a page: its picture, the outline of its sound, its series, its caption; and its answers."""

import io
import wave
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sensemble_runtime.auditing.reliability import Answered
from sensemble_runtime.prediction import UNLIKE
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

from sensemble_apps.console.kinds import as_words, display_of, pcm, words_of


@dataclass(frozen=True)
class Shown:
    """One modality of an example: a picture, lines or a caption; of sound, also the sound.

    `picture` and `sound` are data URLs, `lines` the points of SVG polylines in a box of `width` by 200.
    """

    sensor: str
    picture: str = ""
    sound: str = ""
    caption: str = ""
    lines: Sequence[str] = ()
    width: int = 0


@dataclass(frozen=True)
class AnsweredExample:
    """An example, its true classes, and answers to it in words; `media` is empty without its data."""

    example: str
    truth: str
    answers: Sequence[str]
    media: Sequence[Shown]


def answer_words(answered: Answered, name: str, subset: str) -> str:
    """Write the answer of a subset to an example: `two 98 %, unsure`."""
    outcomes = answered.sets[subset]
    place = outcomes.rows.tolist().index(answered.ids.index(name))
    if outcomes.predicted[place] < 0:
        return UNLIKE
    best = as_words(answered.labels[outcomes.predicted[place]])
    return f"{best} {100 * outcomes.confidences[place]:.0f} %{'' if outcomes.sure[place] else ', unsure'}"


def shown(example: Example, specs: Mapping[str, InputSpec]) -> Iterator[Shown]:
    """Yield a picture, player or text for each modality of an example; BadDataError for bad media."""
    for modality, spec in specs.items():
        if modality in example.modalities:
            samples = list(kind_of(spec).samples(example, spec, 0.0))
            picture = np.ndim(samples[0].data) == 3
            some = samples[: len(samples) // 2 + 1] if picture else samples  # its middle one
            preview = display_of(spec).preview(some, spec.rate)
            wave_drawn, plot = preview.get("wave", ()), preview.get("plot", ())
            yield Shown(
                words_of(modality).sensor,
                preview.get("picture", ""),
                _sound(samples, spec) if "wave" in preview else "",
                preview.get("caption", ""),
                [*_outline(wave_drawn), *map(_line, plot)],
                max(map(len, (wave_drawn, *plot))) - 1,
            )


def _outline(pairs: Sequence[Sequence[int]]) -> Iterator[str]:
    if pairs:
        yield " ".join(f"{x},{100 - y}" for x, pair in enumerate(pairs) for y in pair)


def _line(points: Sequence[int]) -> str:
    return " ".join(f"{x},{100 - y}" for x, y in enumerate(points))


def _sound(samples: Sequence[Sample], spec: InputSpec) -> str:
    """Return the sound as a data URL of WAV, 16 bit."""
    with io.BytesIO() as file:
        with wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(round(spec.rate))
            out.writeframes(pcm(samples))
        return "data:audio/wav;base64," + b64encode(file.getvalue()).decode()
