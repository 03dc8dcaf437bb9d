"""The conditions of pictures, which act before a picture is resized to the window (`Kind.captured`).

Amounts in per cent are of full scale, of the picture's shorter side, of its area, or of all pictures.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.kinds.conditions.condition import (
    CLOCK,
    GAPS,
    SWAPPED,
    Condition,
    Degradation,
    Draw,
    Gaps,
    swapped,
)
from sensemble_sensors.kinds.thermal import numbers, shares
from sensemble_sensors.libraries import opencv
from sensemble_sensors.sensor import Data, Sample
from sensemble_sensors.spec import InputSpec

Picture = NDArray[np.uint8] | NDArray[np.float32]  # from 0 to 255

_SENSOR = 2.55  # standard deviation of a sensor's noise, 1 % of full scale: 40 dB below a white picture


def _dark(amount: float, spec: InputSpec, draw: Draw) -> Degradation:
    gain, noise = np.float32(0.5**amount), np.float32(_SENSOR)
    return _each(
        spec, lambda picture: gain * picture + noise * draw.standard_normal(picture.shape, np.float32)
    )


def _exposure(amount: float, spec: InputSpec, draw: Draw) -> Degradation:  # noqa: ARG001
    return _each(spec, lambda picture: picture * np.float32(amount))


def _contrast(amount: float, spec: InputSpec, draw: Draw) -> Degradation:  # noqa: ARG001
    """Leave `amount` per cent of each channel's distance from its mean (ImageNet-C)."""

    def flatten(picture: Picture) -> NDArray[np.floating]:
        mean = picture.mean(axis=(0, 1), dtype=np.float32)
        flat: NDArray[np.floating] = mean + np.float32(amount / 100) * (picture - mean)
        return flat

    return _each(spec, flatten)


def _blur(amount: float, spec: InputSpec, draw: Draw) -> Degradation:  # noqa: ARG001
    sigma = amount / 100 * min(spec.shape[2:4])
    return _each(spec, lambda picture: opencv().GaussianBlur(picture, (0, 0), sigma).reshape(picture.shape))


def _noise(amount: float, spec: InputSpec, draw: Draw) -> Degradation:
    scale = np.float32(2.55 * amount)
    return _each(spec, lambda picture: picture + scale * draw.standard_normal(picture.shape, np.float32))


def _occlusion(amount: float, spec: InputSpec, draw: Draw) -> Degradation:
    """Cover `amount` per cent of the area by a grey square, which moves only at a cut."""
    height, width = spec.shape[2:4]
    share = np.sqrt(amount / 100)
    tall, wide = round(share * height), round(share * width)
    top = left = 0
    grey = numbers(np.array(0.5), spec.channels[0]) if spec.channels else 128

    def cover(sample: Sample) -> Sample:
        nonlocal top, left
        if sample.cut:
            top, left = draw.integers(height - tall + 1), draw.integers(width - wide + 1)
        picture = np.array(sample.data)
        picture[top : top + tall, left : left + wide] = grey
        return replace(sample, data=picture)

    return cover


def _jpeg(amount: float, spec: InputSpec, draw: Draw) -> Degradation:  # noqa: ARG001
    def compress(picture: Picture) -> Picture:
        cv2 = opencv()
        bgr = np.ascontiguousarray(np.rint(picture[..., ::-1]).astype(np.uint8))
        _, packed = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, round(amount)])
        shown = cv2.imdecode(packed, cv2.IMREAD_UNCHANGED).reshape(picture.shape)
        return np.asarray(shown[..., ::-1], np.uint8)

    return _each(spec, compress)


def _gaps(amount: float, spec: InputSpec, draw: Draw) -> Degradation:
    """Repeat the last picture that came in place of lost ones."""
    gaps, shown = Gaps(amount, spec.rate, draw), list[Data]()

    def hold(sample: Sample) -> Sample:
        if not gaps.lost(1, cut=sample.cut or not shown)[0]:
            shown[:] = [sample.data]
        return replace(sample, data=shown[0])

    return hold


CONDITIONS = (
    Condition("dark", "a {} in the dark", "{:g} stops darker, noise of 1 %", (3, 4, 4.7, 5.3, 6), _dark),
    Condition("bright", "a dazzled {}", "pixels times {:g}", (1.3, 1.6, 2, 3, 4), _exposure),
    Condition("contrast", "a {} in fog", "{:g} % of the contrast", (40, 30, 20, 10, 5), _contrast),
    Condition("blur", "a blurred {}", "sigma {:g} % of the side", (1, 2, 3, 4, 6), _blur),
    Condition("noise", "a noisy {}", "noise of {:g} % of full scale", (12, 24, 40, 65, 100), _noise),
    Condition("occlusion", "a covered {}", "{:g} % of the area covered", (10, 20, 30, 40, 60), _occlusion),
    Condition("jpeg", "a {} on a slow line", "JPEG quality {:g}", (25, 18, 15, 10, 7), _jpeg),
    Condition("gaps", "a {} with gaps", "{:g} % of the time lost in gaps", GAPS, _gaps),
    CLOCK,
    Condition("swapped", "a lying {}", "{:g} % of scenes swapped", SWAPPED, swapped),
)


def _each(spec: InputSpec, act: Callable[[Picture], NDArray[Any]]) -> Degradation:
    """Return the degradation that replaces each picture by the rounded result of `act`.

    `act` gets uint8 [H, W, 3] or, of one channel, float32 [H, W, 1] from 0 to 255, the range's ends.
    """

    def degrade(sample: Sample) -> Sample:
        if not spec.channels:
            picture = act(np.asarray(sample.data, np.uint8))
            return replace(sample, data=np.clip(np.rint(picture), 0, 255).astype(np.uint8))
        (channel,) = spec.channels
        picture = act(255 * shares(np.asarray(sample.data, np.uint16), channel))
        return replace(sample, data=numbers(np.clip(picture / 255, 0, 1), channel))

    return degrade
