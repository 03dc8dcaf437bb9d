"""The paper's recipe: pretrain, then probe, finetune, MASD and WiSE-FT for each M_T, and the matrix.

A run folder holds `config.json`, `pretrained/`, `models/<method>/<M_T>/` and `matrix.json`. What is finished
is never done again, so an interrupted run goes on where it stopped.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from sensemble_runtime.subsets import name, parse, subsets
from sensemble_sensors.dataset import Dataset, Example, read_dataset
from torch import Tensor

from sensemble_train.config import Config, claim
from sensemble_train.data import Clips, decode
from sensemble_train.errors import ConfigurationError
from sensemble_train.evaluate import evaluate
from sensemble_train.methods import METHODS, embed_clips, finetune, linear_probe, wiseft
from sensemble_train.model import Model, load_model, save_model
from sensemble_train.presets import describe
from sensemble_train.pretrain import pretrain
from sensemble_train.tokens import train_tokenizer

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, how much of it is done, how much there is)."""

Matrix = dict[str, dict[str, dict[str, float]]]
"""Method -> M_T -> M_E -> score in [0, 1]."""


def run(config: Config, out: Path, progress: Progress) -> Matrix:
    """Train every method for every M_T of `config`, and score each on every M_E.

    Args:
        config: what to train.
        out: the run folder; an unfinished run of the same configuration in it is continued.
        progress: reports each stage.

    Returns:
        The matrix, which `matrix.json` holds too.

    Raises:
        ConfigurationError: the configuration does not fit the data, or the folder holds another one.
        BadDataError: the dataset is not what the data format says.
    """
    dataset = read_dataset(Path(config.data))
    wanted = check(config, dataset)
    claim(out, config)
    fresh: Matrix = {method: {} for method in METHODS}
    matrix = read_matrix(out) if (out / "matrix.json").exists() else fresh
    if all(name(train) in matrix[m] and _is_trained(out, m, train) for m in METHODS for train in wanted):
        return matrix
    torch.manual_seed(config.seed)
    model = _new_model(dataset)
    clips = {split: _features(model, split, dataset, progress) for split in ("pretrain", "train", "eval")}
    model = _pretrained(model, clips["pretrain"], config, out, progress)
    embeddings = embed_clips(model, clips["train"])
    for train in wanted:
        models = _downstream(model, embeddings, clips, train, config, out, progress)
        for method, trained in models.items():
            matrix[method][name(train)] = evaluate(trained, clips["eval"])
        text = json.dumps({"methods": matrix}, indent=1, sort_keys=True)
        (out / "matrix.json").write_text(text, encoding="utf-8")
    return matrix


def check(config: Config, dataset: Dataset) -> list[tuple[str, ...]]:
    """Return the sets M_T that `config` asks for; `all` stands for every subset.

    Raises:
        ConfigurationError: a set names a modality that no labelled example has, fewer than two labelled
            examples have all of a set, or fewer than two unlabelled ones have all modalities.
    """
    labelled = {m for example in dataset.split("train") for m in example.modalities}
    every = {m for example in dataset.examples for m in example.modalities}
    if _having(unlabelled(dataset), every) < 2:
        raise ConfigurationError(
            f"{config.data}: pretraining takes two examples that have all of {name(every)}; add some to the "
            "split 'pretrain'"
        )
    everything = config.train_modalities == ("all",)
    wanted = subsets(labelled) if everything else [parse(text) for text in config.train_modalities]
    for train in wanted:
        if not set(train) <= labelled:
            raise ConfigurationError(
                f"--train-modalities {name(train)}: the labelled examples of {config.data} have "
                f"{name(labelled)}; choose among these"
            )
        count = _having(dataset.split("train"), train)
        if count < 2:
            raise ConfigurationError(
                f"--train-modalities {name(train)}: {count} labelled examples of {config.data} have all of "
                "these; add some, or choose fewer modalities"
            )
    return wanted


def _having(examples: Sequence[Example], modalities: Iterable[str]) -> int:
    """Count the examples that have all of `modalities`."""
    return sum(set(modalities) <= set(example.modalities) for example in examples)


def read_matrix(out: Path) -> Matrix:
    """Read the matrix of a run folder."""
    matrix: Matrix = json.loads((out / "matrix.json").read_text(encoding="utf-8"))["methods"]
    return matrix


def unlabelled(dataset: Dataset) -> tuple[Example, ...]:
    """Return the examples to pretrain on: the split `pretrain`, or else `train` without its labels."""
    return dataset.split("pretrain") or dataset.split("train")


def _new_model(dataset: Dataset) -> Model:
    description = describe(dataset)
    captions = [e.text for e in unlabelled(dataset) if e.text is not None]
    tokenizer = train_tokenizer(captions, description.configs["text"].vocabulary) if captions else None
    return Model(description, tokenizer).eval()


@torch.no_grad()
def _features(model: Model, split: str, dataset: Dataset, progress: Progress) -> Clips:
    """Decode a split and run the front ends, whose output never changes, once."""
    examples = unlabelled(dataset) if split == "pretrain" else dataset.split(split)
    description = model.description
    raw = decode(
        examples,
        description.specs,
        model.tokenizer,
        description.labels,
        description.task,
        partial(progress, f"decode {split}"),
    )
    features = {
        m: torch.cat([model.encoders[m].front(rows) for rows in inputs.split(200)])  # type: ignore[operator]
        for m, inputs in raw.inputs.items()
    }
    return Clips(features, raw.present, raw.targets)


def _pretrained(model: Model, clips: Clips, config: Config, out: Path, progress: Progress) -> Model:
    folder = out / "pretrained"
    if not (folder / "weights.safetensors").exists():
        losses = pretrain(
            model, clips, config.pretrain, _generator(config, "pretrain"), partial(progress, "pretrain")
        )
        folder.mkdir(exist_ok=True)
        (folder / "losses.json").write_text(json.dumps(losses), encoding="utf-8")
        save_model(model, folder)
    return load_model(folder)


def _downstream(
    model: Model,
    embeddings: Mapping[str, Tensor],
    clips: Mapping[str, Clips],
    train: tuple[str, ...],
    config: Config,
    out: Path,
    progress: Progress,
) -> dict[str, Model]:
    """Return the model of every method for one M_T, training those that the run folder lacks."""

    def cell(method: str, make: Callable[[], Model]) -> Model:
        folder = _cell(out, method, train)
        if not _is_trained(out, method, train):
            # So that what is drawn does not hang on which cells were there before.
            torch.manual_seed(_generator(config, f"{method} {name(train)}").initial_seed())
            save_model(make(), folder)
        return load_model(folder)

    def trained(method: str, extra: Clips | None) -> Model:
        report = partial(progress, f"{method} {name(train)}")
        generator = _generator(config, f"{method} {name(train)}")
        return finetune(probed, clips["train"], train, config.finetune, generator, report, extra)

    order = torch.randperm(len(clips["pretrain"]), generator=_generator(config, "distill"))
    sample = clips["pretrain"].take(order[: config.distill])
    probed = cell(
        "linear_probe", lambda: linear_probe(model, embeddings, clips["train"], train, config.probe)
    )
    tuned = cell("finetune", lambda: trained("finetune", None))
    # With nothing unlabelled there is no student, and MASD is finetuning.
    masd = cell("masd", lambda: trained("masd", sample) if set(train) < set(model.modalities) else tuned)
    alpha = config.finetune.alpha
    merged = cell("wiseft", lambda: wiseft(tuned, probed, alpha))
    both = cell("masd+wiseft", lambda: wiseft(masd, probed, alpha))
    return dict(zip(METHODS, (probed, tuned, merged, masd, both), strict=True))


def _cell(out: Path, method: str, train: tuple[str, ...]) -> Path:
    return out / "models" / method / name(train)


def _is_trained(out: Path, method: str, train: tuple[str, ...]) -> bool:
    return (_cell(out, method, train) / "weights.safetensors").exists()


def _generator(config: Config, purpose: str) -> torch.Generator:
    """Return a generator of its own for each purpose, so that resuming draws the same batches."""
    return torch.Generator().manual_seed(config.seed * 2**32 + zlib.crc32(purpose.encode()))
