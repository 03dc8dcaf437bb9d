"""The examples of a run as sources: streamed from disk, or decoded into memory once."""

from collections.abc import Callable, Mapping, Sequence

import torch
from sensemble_runtime.progress import Progress
from sensemble_sensors.media.dataset import Dataset, Example
from torch import Tensor

from sensemble_train.data.batching import seeded
from sensemble_train.data.clips import LOG, Clips, Source, decode
from sensemble_train.data.embedded import VIEWS, embedded
from sensemble_train.data.packed_index import pack
from sensemble_train.data.streamed import Streamed
from sensemble_train.models.kinds.registry import kind_of
from sensemble_train.models.model import Model
from sensemble_train.models.pretrained.encoder import Pretrained
from sensemble_train.recipe.config import Config

_AT_ONCE = 200  # examples that pass the front ends together
_SEVERAL = {"train", "everything"}  # of the few labelled windows, frozen encoders see several views
_SYNTHETIC = 400  # backgrounds that are made, beside those of the dataset


def make_sources(
    config: Config,
    model: Model,
    chosen: Mapping[str, Sequence[Example]],
    report: Callable[[str], Progress],
) -> dict[str, Source]:
    """Return the examples of `chosen` as sources, under the same names, and `distill` (D_SD).

    Without `distill` in `chosen`, D_SD is drawn from pretraining's examples that have every modality (Sec.
    5).
    """

    def make(use: str, examples: Sequence[Example]) -> Source:
        if not config.stream:
            return _decode(config, model, use, examples, report)
        seed = seeded(config.seed, f"windows {use}").initial_seed() % 2**32
        described, sampling = model.description, config.sampling
        return Streamed(pack(examples), described, model.tokenizer, sampling, seed, config.skip_bad)

    sources = {use: make(use, examples) for use, examples in chosen.items()}
    if "distill" not in sources:
        complete = sources["pretrain"].having(model.modalities)
        order = torch.randperm(len(complete), generator=seeded(config.seed, "distill"))
        sources["distill"] = complete.take(order[: config.distill])
    return sources


def backgrounds(
    config: Config, model: Model, dataset: Dataset, report: Callable[[str], Progress]
) -> Clips | None:
    """Return features of windows that show none of the classes, or None if no training uses them.

    They are the backgrounds of the dataset's splits `pretrain` and `train`, and some that each kind makes.
    """
    described = model.description
    if not (config.pretrain.background or config.finetune.background):
        return None
    draw = seeded(config.seed, "backgrounds")
    raw = {
        m: kind_of(spec).backgrounds(spec, described.configs[m], _SYNTHETIC, draw)
        for m, spec in described.specs.items()
    }
    there = torch.ones(_SYNTHETIC, dtype=torch.bool)
    made = _features(config, model, "background", Clips(raw, dict.fromkeys(raw, there), None), report)
    own = (*dataset.background("pretrain"), *dataset.background("train"))
    if not own:
        return made
    decoded = _decode(config, model, "background", own, report)
    return Clips(
        {m: torch.cat([x, decoded.inputs[m]]) for m, x in made.inputs.items()},
        {m: torch.cat([rows, decoded.present[m]]) for m, rows in made.present.items()},
        None,
    )


def _decode(
    config: Config,
    model: Model,
    use: str,
    examples: Sequence[Example],
    report: Callable[[str], Progress],
) -> Clips:
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
    return _features(config, model, use, raw, report)


def _features(config: Config, model: Model, use: str, raw: Clips, report: Callable[[str], Progress]) -> Clips:
    """Return raw clips as the encoders see them; a frozen encoder sees labelled ones in several views."""
    views = VIEWS if use in _SEVERAL else 1
    features: dict[str, Tensor] = {}
    for m, windows in raw.inputs.items():
        encoder = model.encoders[m]
        if isinstance(encoder, Pretrained):
            there = raw.present[m]
            found = embedded(
                encoder, windows[there], views, config.augment, model.tokenizer, report(f"embed {m} of {use}")
            )
            features[m] = found.new_zeros(len(raw), *found.shape[1:]).index_put((there,), found)
        else:
            parts = [model.front({m: some})[m] for some in windows.split(_AT_ONCE)]
            features[m] = torch.cat(parts)
    return Clips(features, raw.present, raw.targets)
