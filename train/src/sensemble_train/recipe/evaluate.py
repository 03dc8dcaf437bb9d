"""The score of every subset of modalities, each modality encoded once (paper, Sec. 3.1 and App. F)."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from sensemble_runtime.auditing.measures import measure
from sensemble_runtime.auditing.metrics import score_subsets
from sensemble_runtime.pooling import pool_subsets

from sensemble_train.data.clips import LOG, Clips, Source
from sensemble_train.models.model import Model
from sensemble_train.training.loop import Loop
from sensemble_train.training.scale import autocast

BATCH = 256  # examples encoded at a time, unless micro-batches are smaller


@torch.no_grad()
def embed(models: Mapping[str, Model], source: Source, loop: Loop) -> dict[str, Clips]:
    """Encode every modality of every example on its own, in evaluation mode; the ranks share the work.

    The models, by name, have one description, so that an example is decoded once for all. Returns, by name,
    all examples on every rank's CPU, with embeddings float32 [N, d] in place of the inputs. Rows that cannot
    be decoded are not present; a warning counts them.
    """
    world, device = loop.world, loop.world.device
    rows = batches(source, loop)[world.rank :: world.size]
    first = next(iter(models.values()))
    vectors = {
        name: {
            m: torch.zeros(len(source), model.head.linear.in_features, device=device)
            for m in model.modalities
        }
        for name, model in models.items()
    }
    present = {m: torch.zeros(len(source), device=device) for m in first.modalities}
    for model in models.values():
        model.eval().to(device)
    done = 0
    skipped = torch.tensor(0, device=device)
    for part, clips in zip(rows, source.load(rows, device, loop.scale.workers), strict=True):
        for m, inputs in clips.inputs.items():
            for name, model in models.items():
                with autocast(loop.scale, world):
                    embedded = model.encoders[m].encode(inputs)  # type: ignore[operator]
                vectors[name][m][part] = embedded.float()
            present[m][part] = clips.present[m].float()
        skipped += clips.skipped
        done += len(part)
        loop.progress(done, sum(map(len, rows)))
    for model in models.values():
        model.cpu()
    count = int(world.sum(skipped))
    if count and world.rank == 0:
        LOG.warning("skipped %d of %d examples; no score counts them", count, len(source))
    targets = source.targets  # a streamed source reads all examples for them
    everywhere = {m: world.sum(rows).cpu().bool() for m, rows in present.items()}
    return {
        name: Clips({m: world.sum(x).cpu() for m, x in embeddings.items()}, everywhere, targets, count)
        for name, embeddings in vectors.items()
    }


def batches(source: Source, loop: Loop) -> list[list[int]]:
    """Cut all rows of `source` into batches that a rank can encode at a time."""
    return [rows.tolist() for rows in torch.arange(len(source)).split(loop.scale.micro_batch or BATCH)]


def evaluate(model: Model, embedded: Clips) -> dict[str, float]:
    """Return p(M_E; M_T) in [0, 1] for every M_E, keyed as `audio+video`, that some examples have."""
    return score_subsets(*_answers(model, embedded), model.description.task)


def intervals(model: Model, embedded: Clips, groups: NDArray[np.integer]) -> dict[str, dict[str, float]]:
    """Return `low`, `high` (95 %), `n`, `chance` by subset; none for multi-label, whose bootstrap is slow."""
    predictions, present, targets = _answers(model, embedded)
    task = model.description.task
    measured = measure(predictions, present, targets, task, groups) if task == "multi-class" else None
    if measured is None:
        return {}
    return {
        name: {"low": score.low, "high": score.high, "n": score.n, "chance": measured.chance[name]}
        for name, score in measured.subsets.items()
    }


@torch.no_grad()
def _answers(
    model: Model, embedded: Clips
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.bool_]], NDArray[np.integer]]:
    assert embedded.targets is not None  # noqa: S101 - the evaluation set is labelled
    names = sorted(embedded.inputs)
    pooled = torch.from_numpy(pool_subsets(np.stack([embedded.inputs[m].numpy() for m in names])))
    present = {m: embedded.present[m].numpy() for m in names}
    return model.head.folded()(pooled).numpy(), present, embedded.targets.numpy()
