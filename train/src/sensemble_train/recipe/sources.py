"""The examples of a run as sources: streamed from disk, or decoded into memory once."""

from collections.abc import Callable, Mapping, Sequence

import torch
from sensemble_runtime.progress import Progress
from sensemble_sensors.media.dataset import Example

from sensemble_train.data.batching import seeded
from sensemble_train.data.clips import LOG, Clips, Source, decode
from sensemble_train.data.packed_index import pack
from sensemble_train.data.streamed import Streamed
from sensemble_train.models.model import Model
from sensemble_train.recipe.config import Config

_AT_ONCE = 200  # examples that pass the front ends together


def make_sources(
    config: Config,
    model: Model,
    chosen: Mapping[str, Sequence[Example]],
    report: Callable[[str], Progress],
) -> dict[str, Source]:
    """Return the examples of `chosen` as sources, under the same names, and `distill` (D_SD).

    Args:
        config: whether to stream, and how.
        model: gives the form of its inputs and the front ends.
        chosen: as `examples.choose` returns it; without `distill`, D_SD is drawn from pretraining's examples
            that have every modality (Sec. 5).
        report: gives the progress of a stage.
    """
    make = _stream if config.stream else _decode
    sources = {use: make(config, model, use, examples, report) for use, examples in chosen.items()}
    if "distill" not in sources:
        complete = sources["pretrain"].having(model.modalities)
        order = torch.randperm(len(complete), generator=seeded(config.seed, "distill"))
        sources["distill"] = complete.take(order[: config.distill])
    return sources


def _stream(
    config: Config,
    model: Model,
    use: str,
    examples: Sequence[Example],
    report: Callable[[str], Progress],
) -> Source:
    del report  # nothing is decoded yet
    seed = seeded(config.seed, f"windows {use}").initial_seed() % 2**32
    return Streamed(
        pack(examples), model.description, model.tokenizer, config.sampling, seed, config.skip_bad
    )


def _decode(
    config: Config,
    model: Model,
    use: str,
    examples: Sequence[Example],
    report: Callable[[str], Progress],
) -> Source:
    description = model.description
    raw = decode(
        examples,
        description.specs,
        model.tokenizer,
        description.labels,
        description.task,
        report(f"decode {use}"),
        skip_bad=config.skip_bad,
    )
    if raw.skipped:
        LOG.warning("skipped %d of %d examples of %s", raw.skipped, len(raw), use)
    parts = [model.front(raw.take(rows).inputs) for rows in torch.arange(len(raw)).split(_AT_ONCE)]
    features = {m: torch.cat([part[m] for part in parts]) for m in raw.inputs}
    return Clips(features, raw.present, raw.targets)
