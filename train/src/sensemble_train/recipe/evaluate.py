"""The score of every subset of modalities, each modality encoded once (paper, Sec. 3.1 and App. F)."""

import numpy as np
import torch
from numpy.typing import NDArray
from sensemble_runtime.auditing.measures import measure
from sensemble_runtime.auditing.metrics import score_subsets
from sensemble_runtime.pooling import pool_subsets
from sensemble_runtime.subsets import measured

from sensemble_train.data.clips import LOG, Clips, ClipSource
from sensemble_train.models.model import Model
from sensemble_train.training.loop import Loop
from sensemble_train.training.scale import autocast

BATCH = 256  # examples encoded at a time, unless micro-batches are smaller


@torch.no_grad()
def embed(source: ClipSource, loop: Loop, *models: Model) -> list[Clips]:
    """Encode each modality of each example, in evaluation mode; the ranks share the work.

    The models have one description, so that an example is decoded once for all. Returns, for each, all
    examples on every rank's CPU, with embeddings float32 [N, d] in place of the inputs. Rows that cannot be
    decoded are not present; a warning counts them.
    """
    world, device, count = loop.world, loop.world.device, len(source)
    batches = [rows.tolist() for rows in torch.arange(count).split(loop.scale.micro_batch or BATCH)]
    batches = batches[world.rank :: world.size]
    modalities = models[0].modalities
    vectors = [
        {m: torch.zeros(count, model.head.linear.in_features, device=device) for m in modalities}
        for model in models
    ]
    present = {m: torch.zeros(count, device=device) for m in modalities}
    for model in models:
        model.eval().to(device)
    done, skipped = 0, torch.tensor(0, device=device)
    for rows, clips in zip(batches, source.load(batches, device, loop.scale.workers), strict=True):
        for m, inputs in clips.inputs.items():
            present[m][rows] = clips.present[m].float()
            for model, embeddings in zip(models, vectors, strict=True):
                with autocast(loop.scale, world):
                    embedded = model.encoders[m].encode(inputs)  # type: ignore[operator]
                embeddings[m][rows] = embedded.float()
        skipped += clips.skipped
        done += len(rows)
        loop.progress(done, sum(map(len, batches)))
    for model in models:
        model.cpu()
    bad = int(world.sum(skipped))
    if bad and world.rank == 0:
        LOG.warning("skipped %d of %d examples; no score counts them", bad, count)
    targets = source.targets  # a streamed source reads all examples for them
    everywhere = {m: world.sum(rows).cpu().bool() for m, rows in present.items()}
    return [
        Clips({m: world.sum(x).cpu() for m, x in embeddings.items()}, everywhere, targets, bad)
        for embeddings in vectors
    ]


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
    sizes = torch.tensor([len(subset) for subset in measured(names)]).view(-1, 1, 1)
    return model.answers(pooled, sizes).numpy(), present, embedded.targets.numpy()
