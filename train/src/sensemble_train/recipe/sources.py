"""The examples of a run, decoded into memory once, as the encoders' front ends make them."""

from collections.abc import Callable, Sequence

import torch
from sensemble_runtime.progress import Progress
from sensemble_sensors.media.dataset import Dataset, Example
from torch import Tensor

from sensemble_train.data.batching import seeded
from sensemble_train.data.clips import LOG, Clips, decode
from sensemble_train.data.embedded import VIEWS, embedded
from sensemble_train.models.augment_config import AugmentConfig
from sensemble_train.models.kinds.registry import kind_of
from sensemble_train.models.model import Model
from sensemble_train.models.pretrained.encoder import Pretrained
from sensemble_train.recipe.config import Config

Report = Callable[[str], Progress]
"""Returns the progress of a stage by its name."""
_AT_ONCE = 200  # examples that pass the front ends together
_SEVERAL = {"train"}  # of the few labelled windows, frozen encoders see several views
_SYNTHETIC = 400  # backgrounds that are made, beside those of the dataset


def decoded(
    config: Config,
    model: Model,
    use: str,
    examples: Sequence[Example],
    report: Report,
    *,
    skip_bad: bool = False,
) -> Clips:
    """Return the examples of one use, decoded; `skip_bad` leaves out what cannot be decoded."""
    described, progress = model.description, report(f"decode {use}")
    labels, task = described.labels, described.task
    raw = decode(examples, described.specs, model.tokenizer, labels, task, progress, skip_bad=skip_bad)
    if raw.skipped:
        LOG.warning("skipped %d of %d examples of %s", raw.skipped, len(raw), use)
    return _features(config.augment, model, use, raw, report)


def backgrounds(
    config: Config, model: Model, dataset: Dataset, report: Report, *, skip_bad: bool = False
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
    present = dict.fromkeys(raw, torch.ones(_SYNTHETIC, dtype=torch.bool))
    made = _features(config.augment, model, "background", Clips(raw, present, None), report)
    own = (*dataset.background("pretrain"), *dataset.background("train"))
    if not own:
        return made
    kept = decoded(config, model, "background", own, report, skip_bad=skip_bad)
    return Clips(
        {m: torch.cat([x, kept.inputs[m]]) for m, x in made.inputs.items()},
        {m: torch.cat([rows, kept.present[m]]) for m, rows in made.present.items()},
        None,
    )


def _features(augment: AugmentConfig, model: Model, use: str, raw: Clips, report: Report) -> Clips:
    """Return raw clips as the encoders see them; a frozen encoder sees labelled ones in several views."""
    views = VIEWS if use in _SEVERAL else 1
    features: dict[str, Tensor] = {}
    for m, windows in raw.inputs.items():
        encoder = model.encoders[m]
        if isinstance(encoder, Pretrained) and not encoder.learns:
            present, progress = raw.present[m], report(f"embed {m} of {use}")
            made = embedded(encoder, windows[present], views, augment, model.tokenizer, progress)
            features[m] = made.new_zeros(len(raw), *made.shape[1:]).index_put((present,), made)
        else:
            parts = [model.front({m: some})[m] for some in windows.split(_AT_ONCE)]
            features[m] = torch.cat(parts)
    return Clips(features, raw.present, raw.targets)
