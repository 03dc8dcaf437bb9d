"""The tiny bundle with encoders that know: loudness, brightness and the word tell the class."""

from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.classifier import Classifier
from sensemble_runtime.bundle.head import Head

WEIGHTS = {"audio": 4.0, "text": 4.0, "video": 20.0}


def certain(bundle: Bundle) -> Bundle:
    """Change the encoders, the head and the calibration of an open bundle, and return it.

    Sound of 0, 0.1 and 0.2, pictures of 0, 100 and 200, and the captions `zero`, `one` and `two` are the
    three classes. A picture outweighs sound and caption together.
    """

    def encode(modality: str, window: NDArray[np.generic] | str) -> NDArray[np.float32]:
        if isinstance(window, str):
            ids = bundle.tokenize(window)
            (label,) = (i for i, word in enumerate(words) if np.array_equal(word, ids))
        else:
            level = float(np.mean(window))
            label = round(10 * level) if modality == "audio" else round(level / 100)
        return np.asarray(WEIGHTS[modality] * np.eye(8)[label], np.float32)

    words = [bundle.tokenize(label) for label in bundle.manifest.labels]
    bundle.encode = encode  # type: ignore[assignment, method-assign]
    calibration = replace(bundle.manifest.calibration, modalities={}, familiar={})
    bundle.manifest = replace(bundle.manifest, calibration=calibration)
    task = bundle.manifest.task
    bundle.head = Head(np.eye(3, 8, dtype=np.float32), np.zeros(3, np.float32), task)
    bundle.classifier = Classifier(bundle.head, calibration, bundle.manifest.labels, bundle.modalities)
    return cast("Bundle", bundle)
