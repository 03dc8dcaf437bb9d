"""Encode made-up windows by each encoder of a bundle: `encode.py BUNDLE OUT.npz [OTHER.npz]`.

With OTHER, written on another machine, print the differences, and fail if their median is above 1e-4 or one
above 1e-2. Encoders that quantize their activations (int8-dynamic) round to another step where the last bit
of a number differs: one of 30 windows moved by 2e-3, the median by 2e-8; quantization moves some by 2e-2.
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
        off = np.abs(embedding - other[modality]).max(1)
        print(f"{modality}: embeddings differ by at most {off.max():.2g}, median {np.median(off):.2g}")
        assert np.median(off) <= 1e-4, modality
        assert off.max() <= 1e-2, modality
