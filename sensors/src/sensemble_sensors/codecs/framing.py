"""Resize and crop a picture to the size that an encoder takes, alike for cameras and files."""

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.libraries import opencv

T = TypeVar("T", np.uint8, np.uint16)


@dataclass(frozen=True, slots=True)
class Framing:
    """The part of a picture that fills a frame."""

    zoom: float = 1.0  # beyond the size that just covers the frame: 256 / 224 gives 224 a short side of 256
    down: float = 0.5  # place of the frame between the picture's top (0) and bottom (1)
    right: float = 0.5  # place of the frame between left (0) and right (1)


COVER = Framing()  # the centre, as large as possible

_MAX_RATIO = 8  # times the frame: a longer picture is cropped first, because a thin one would cost a lot


def fit(image: NDArray[T], size: tuple[int, int], framing: Framing = COVER) -> NDArray[T]:
    """Resize `image` [h, w, C] to cover `size` (H, W), then crop it to a contiguous [H, W, C]."""
    height, width = size
    scale = framing.zoom * max(height / image.shape[0], width / image.shape[1])
    image = _cropped(
        image, math.ceil(_MAX_RATIO * height / scale), math.ceil(_MAX_RATIO * width / scale), framing
    )
    if scale != 1:
        cv2 = opencv()
        covering = (max(round(image.shape[1] * scale), width), max(round(image.shape[0] * scale), height))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        resized = cv2.resize(np.ascontiguousarray(image), covering, interpolation=how)
        image = resized.reshape(covering[1], covering[0], -1)
    return np.ascontiguousarray(_cropped(image, height, width, framing))


def _cropped(image: NDArray[T], height: int, width: int, framing: Framing) -> NDArray[T]:
    top = int(max(image.shape[0] - height, 0) * framing.down)
    left = int(max(image.shape[1] - width, 0) * framing.right)
    return image[top : top + height, left : left + width]
