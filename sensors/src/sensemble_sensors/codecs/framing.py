"""Bring any picture to the size that an encoder takes, in the same way for cameras and for files."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.libraries import opencv


@dataclass(frozen=True, slots=True)
class Framing:
    """Which part of a picture fills a frame.

    Attributes:
        zoom: how many times larger than would just cover the frame the picture is made; 1 or more. With a
            frame of 224 x 224, 256 / 224 is a short side of 256.
        down: where the frame lies between the picture's top (0) and bottom (1).
        right: where it lies between left (0) and right (1).
    """

    zoom: float = 1.0
    down: float = 0.5
    right: float = 0.5


COVER = Framing()
"""As much of the picture as fits: its centre."""

_LONGEST = 8  # times the frame: what is longer is cropped before it is resized, or a thin picture costs a lot


def fit(image: NDArray[np.uint8], size: tuple[int, int], framing: Framing = COVER) -> NDArray[np.uint8]:
    """Resize `image` until it covers `size`, then crop: in the centre, unless `framing` says otherwise.

    Of a picture that would then be more than 8 times as long as the frame, only so much is resized.
    OpenCV is loaded only when there is something to resize: it takes 30 MB that a small process may not have.

    Args:
        image: uint8 [h, w, 3].
        size: (H, W).
        framing: how much larger than `size` the picture is made, and where it is cropped.

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
    """Return the part of `image` where `framing` says, of `height` and `width` at most."""
    top = int(max(image.shape[0] - height, 0) * framing.down)
    left = int(max(image.shape[1] - width, 0) * framing.right)
    return image[top : top + height, left : left + width]
