"""The score of every subset of modalities, each modality encoded once (paper, Sec. 3.1 and App. F)."""

import numpy as np
import torch
from sensemble_runtime.fusion import pool_subsets
from sensemble_runtime.scores import score
from sensemble_runtime.subsets import name, subsets

from sensemble_train.data import Clips
from sensemble_train.methods import embed_clips
from sensemble_train.model import Model


@torch.no_grad()
def evaluate(model: Model, clips: Clips) -> dict[str, float]:
    """Return p(M_E; M_T) for every M_E: one row of the matrix, keyed as `audio+video`, in [0, 1].

    A subset is scored on the examples that have all of it; a subset that no example has is left out.
    """
    assert clips.targets is not None  # noqa: S101 - the evaluation set is labelled
    embeddings = embed_clips(model, clips)
    names = sorted(embeddings)
    pooled = torch.from_numpy(pool_subsets(np.stack([embeddings[m].numpy() for m in names])))
    row = {}
    for subset, representation in zip(subsets(names), pooled, strict=True):
        has = torch.stack([clips.present[m] for m in subset]).all(dim=0)
        if has.any():
            logits = model.head(representation[has]).numpy()
            row[name(subset)] = score(logits, clips.targets[has].numpy(), model.description.task)
    return row
