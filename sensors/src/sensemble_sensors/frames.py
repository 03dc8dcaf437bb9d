"""Bring any picture to the size that an encoder takes, in the same way for cameras and for files."""

from importlib import import_module

import numpy as np
from numpy.typing import NDArray


def fit(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize `image` until it just covers `size`, then crop its centre.

    OpenCV is loaded only when there is something to resize: it takes 30 MB that a small process may not have.

    Args:
        image: uint8 [h, w, 3].
        size: (H, W).

    Returns:
        uint8 [H, W, 3], contiguous.
    """
    height, width = size
    scale = max(height / image.shape[0], width / image.shape[1])
    if scale != 1:
        cv2 = import_module("cv2")
        covering = (max(round(image.shape[1] * scale), width), max(round(image.shape[0] * scale), height))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        image = cv2.resize(np.ascontiguousarray(image), covering, interpolation=how)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width])
