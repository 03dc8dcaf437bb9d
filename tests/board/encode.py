"""Encode made-up windows by each encoder of a bundle: `encode.py BUNDLE OUT.npz [OTHER.npz]`.

With OTHER, written on another machine, print the largest difference, and fail above 1e-4.
"""

import sys

import numpy as np
from sensemble_runtime import Bundle

bundle, draw, embeddings = Bundle.open(sys.argv[1]), np.random.default_rng(0), {}
for modality in sorted(bundle.modalities):
    spec = bundle.specs[modality]
    scale = {"float32": 0.1, "uint8": 255, "int64": 9}[spec.dtype]
    windows = [(draw.random(spec.shape) * scale).astype(spec.dtype) for _ in range(10)]
    embeddings[modality] = np.stack([bundle.encode(modality, window) for window in windows])
np.savez(sys.argv[2], **embeddings)
for path in sys.argv[3:]:
    other = np.load(path)
    for modality, embedding in embeddings.items():
        difference = np.abs(embedding - other[modality]).max()
        print(f"{modality}: embeddings differ by at most {difference:.2g}")
        assert difference <= 1e-4, modality
