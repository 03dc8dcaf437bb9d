"""Resize and crop a picture to the size that an encoder takes, alike for cameras and files."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.libraries import opencv


@dataclass(frozen=True, slots=True)
class Framing:
    """The part of a picture that fills a frame.

    Attributes:
        zoom: factor beyond the size that just covers the frame, 1 or more. For a frame of 224 x 224,
            256 / 224 gives a short side of 256.
        down: place of the frame between the picture's top (0) and bottom (1).
        right: place of the frame between left (0) and right (1).
    """

    zoom: float = 1.0
    down: float = 0.5
    right: float = 0.5


COVER = Framing()
"""The centre, as large as possible."""

_LONGEST = 8  # times the frame: a longer picture is cropped first, because a thin one would cost a lot


def fit(image: NDArray[np.uint8], size: tuple[int, int], framing: Framing = COVER) -> NDArray[np.uint8]:
    """Resize `image` to cover `size`, then crop it, by default in the centre.

    A picture that would become more than 8 times as long as the frame is cropped to that before. OpenCV is
    loaded only to resize: it takes 30 MB, which a small process may not have.

    Args:
        image: uint8 [h, w, 3].
        size: (H, W).
        framing: zoom, and place of the crop.

    Returns:
        uint8 [H, W, 3], contiguous.

    Raises:
        SensorUnavailableError: OpenCV cannot be loaded; says what to install.
    """
    height, width = size
    scale = framing.zoom * max(height / image.shape[0], width / image.shape[1])
    image = _cropped(
        image, math.ceil(_LONGEST * height / scale), math.ceil(_LONGEST * width / scale), framing
    )
    if scale != 1:
        cv2 = opencv()
        covering = (max(round(image.shape[1] * scale), width), max(round(image.shape[0] * scale), height))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        image = cv2.resize(np.ascontiguousarray(image), covering, interpolation=how)
    return np.ascontiguousarray(_cropped(image, height, width, framing))


def _cropped(image: NDArray[np.uint8], height: int, width: int, framing: Framing) -> NDArray[np.uint8]:
    """Return the part of `image` at the place of `framing`, of `height` and `width` at most."""
    top = int(max(image.shape[0] - height, 0) * framing.down)
    left = int(max(image.shape[1] - width, 0) * framing.right)
    return image[top : top + height, left : left + width]
