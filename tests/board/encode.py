"""Encode made-up windows by each encoder of a bundle: `encode.py BUNDLE OUT.npz [OTHER.npz]`.

With OTHER, written on another machine, print the largest difference, and fail above 1e-4. An encoder with
int8 activations rounds them to steps, and the last bit of a float decides between two: there, fail below
a cosine of 0.9995.
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
        theirs = other[modality]
        difference = np.abs(embedding - theirs).max()
        lengths = np.linalg.norm(embedding, axis=1) * np.linalg.norm(theirs, axis=1)
        cosine = ((embedding * theirs).sum(axis=1) / lengths).min()
        scheme = bundle.manifest.modalities[modality].artifacts["executorch-xnnpack"].scheme
        print(f"{modality} ({scheme}): embeddings differ by at most {difference:.2g}, cosine {cosine:.5f}")
        assert difference <= 1e-4 or (scheme.startswith("int8") and cosine >= 0.9995), modality
