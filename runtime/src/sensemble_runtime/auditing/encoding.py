"""Encode the windows of an audit in threads, beside what decodes, degrades or changes them."""

import os
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.sensor import Media

from sensemble_runtime.bundle.bundle import Bundle

_AHEAD = 4  # windows for each core that may wait for their encoders


def encode(
    bundle: Bundle,
    windows: Iterable[tuple[str, int, Media | str]],
    rows: Mapping[str, NDArray[np.float32]],
) -> None:
    """Write the embedding of each (modality, place, window) to its place of `rows`, float32 [N, d] each.

    An error of an encoder ends it, as one of `windows` does.
    """

    def one(modality: str, place: int, window: Media | str) -> None:
        rows[modality][place] = bundle.encode(modality, window)

    count = os.cpu_count() or 1
    with ThreadPoolExecutor(count) as pool:  # encoders run without Python's lock
        waiting = deque[Future[None]]()
        for window in windows:
            waiting.append(pool.submit(one, *window))
            if len(waiting) > _AHEAD * count:
                waiting.popleft().result()
        for each in waiting:
            each.result()
