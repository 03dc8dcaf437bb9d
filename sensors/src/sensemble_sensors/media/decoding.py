"""Decode examples into windows and streams: the one path for training, audit and runtime."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sensemble_sensors.codecs.framing import Framing
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.excerpt import START, Excerpt
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.sensor import Media, Sample
from sensemble_sensors.spec import InputSpec, Modality

if TYPE_CHECKING:
    from sensemble_sensors.codecs.tracks import Probe


@dataclass(frozen=True, slots=True)
class Sampling:
    """The way in which `clip` takes a window from a longer example.

    Attributes:
        stride: frames of the file from one sampled frame to the next (Table 6 of the paper: 32), so that the
            window lasts (T - 1) strides, but no longer than the longest window of the specs; None for frames
            at the spec's rate and a window of the spec's length.
        zoom: the least and the greatest `Framing.zoom`. The paper's short sides (Sec. 5) are (256 / 224, 320
            / 224).
        centred: take the centre crop even when crops are drawn (App. E, ImageNet-Captions).
    """

    stride: int | None = None
    zoom: tuple[float, float] = (1.0, 1.0)
    centred: bool = False


PLAIN = Sampling()


def clip(
    example: Example,
    specs: Mapping[str, InputSpec],
    sampling: Sampling = PLAIN,
    draw: "np.random.Generator | None" = None,
    *,
    only: Collection[str] | None = None,
) -> dict[str, Media]:
    """Decode one window of `example` by modality, as `window` gives it; all cover the same seconds.

    With a stride, sound begins at the first sampled frame and ends at the last (App. E), even if the frames
    are not decoded. Text is left out. Raises BadDataError if a file is unreadable, has no such track, or
    lasts no time.

    Args:
        specs: the inputs of all of the model's encoders, which the window depends on.
        draw: draws the window's place, zoom and crop, as in training; None for the middle, the least zoom and
            the centre.
        only: the modalities to decode; None for all of `specs`.
    """
    asked = [m for m in example.modalities if m in specs and (only is None or m in only)]
    wanted = [m for m in asked if not kind_of(specs[m]).tokenized]
    step, span, whole = 0.0, math.inf, 0.0
    if any(kind_of(specs[m]).files(example, m) for m in wanted):
        from sensemble_sensors.codecs.tracks import probe

        probes = {path: probe(path) for path in example.files}
        # Where one of two files ends sooner, the rest of the other is not used.
        shortest = min(probes, key=lambda path: probes[path].seconds)
        over = probes[shortest].seconds
        whole = min(over, math.inf if example.end is None else example.end) - (example.start or 0.0)
        if over <= 0:
            raise BadDataError(f"{shortest}: lasts no time")
        rates = {m: _rate(example, spec, probes) for m, spec in specs.items()}
        step, span = _steps(rates, specs, sampling)
    room = max(whole - span, 0.0)
    # All numbers are always drawn, so that a crop does not depend on which modalities are decoded.
    place, zoom, down, right = (0.5, 0.0, 0.5, 0.5) if draw is None else draw.random(4)
    least, greatest = sampling.zoom
    if sampling.centred:
        down = right = 0.5
    framing = Framing(least + zoom * (greatest - least), down, right)
    excerpt = Excerpt(room * place, span, step, framing)
    return {m: _media(example, specs[m], excerpt) for m in wanted}


def _rate(example: Example, spec: InputSpec, probes: Mapping[Path, "Probe"]) -> float:
    return max((probes[path].rate for path in kind_of(spec).files(example, spec.modality)), default=0.0)


def _steps(
    rates: Mapping[str, float], specs: Mapping[str, InputSpec], sampling: Sampling
) -> tuple[float, float]:
    """Return the seconds from one sampled frame to the next (0 for the spec's rate) and of a window."""
    longest = max(spec.window for spec in specs.values())
    for modality, spec in specs.items():
        frames = kind_of(spec).strided(spec)
        if sampling.stride is not None and frames > 1 and rates[modality] > 0:
            step = min(sampling.stride / rates[modality], longest / (frames - 1))
            return step, step * (frames - 1)
    return 0.0, longest


def window(example: Example, spec: InputSpec) -> Media:
    """Return the encoder's input for `example`, an array of exactly `spec.shape`.

    Audio float32 [1, S]: zeros past the example's end. Video uint8 [1, T, H, W, 3]: frame i is the one shown
    `i / rate` after the example's start; the last is held past its end; an image is repeated. Raises
    BadDataError if the example has no such media, or its file is unreadable or ends before the example's
    start.
    """
    if spec.modality not in example.modalities or kind_of(spec).tokenized:
        raise BadDataError(f"example {example.id!r} (line {example.line}) has no {spec.modality} to decode")
    return _media(example, spec, START)


def _media(example: Example, spec: InputSpec, excerpt: Excerpt) -> Media:
    seen = kind_of(spec).window(example, spec, excerpt)
    assert not isinstance(seen, str)  # noqa: S101 - the callers leave tokenized kinds out
    return seen


def check(example: Example, declared: Mapping[str, Modality]) -> None:
    """Decode the beginning of each file; BadDataError if it fails, lasts no time or lacks a channel."""
    if example.files and duration(example) <= 0:
        raise BadDataError(f"{example.files[0]}: lasts no time")
    for modality, kind in example.kinds.items():
        kind_of(kind).check(example, declared.get(modality) or Modality(modality, kind))


def duration(example: Example) -> float:
    """Return the seconds of media in `example`: to its `end`, or to that of its longest file if sooner."""
    if not example.files:
        return 0.0
    from sensemble_sensors.codecs.tracks import probe

    start, end = example.start or 0.0, math.inf if example.end is None else example.end
    return max(min(probe(path).seconds, end) - start for path in example.files)


def span(specs: Mapping[str, InputSpec]) -> float:
    """Return the seconds that one example takes to play: the longest window."""
    return max(spec.window for spec in specs.values())


def samples(example: Example, specs: Mapping[str, InputSpec], origin: float) -> list[Sample]:
    """Return the window of `example` as the stream that devices would have given, all later than `origin`.

    Samples are in the order of their times: sound in chunks of 0.1 s, video frame by frame, and the caption
    just before the last of them, as no window waits for captions. Every window is complete at `origin +
    span(specs)`. The first sample of each modality is a cut.
    """
    end = origin + span(specs)
    present = [m for m in example.modalities if m in specs]
    stream = [sample for m in present for sample in kind_of(specs[m]).samples(example, specs[m], end)]
    return sorted(stream, key=lambda sample: (sample.time, kind_of(specs[sample.modality]).steady))
