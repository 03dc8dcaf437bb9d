"""The accuracy of the instant head on other people's takes.

    uv run python apps/benchmarks/instant.py [--data DIGITS] [--fsdd FOLDER]

Of `digits`: three digits are drawn, and some takes of each from the people of `train`. All takes of these
digits by the people of `eval` are answered, by each sensor alone, by the plain sum of log-probabilities, and
by the calibrated sum, whose temperatures are fitted to takes left out. EfficientNet knows photographs, and no
digits. The captions are those of films, and many do not tell.
Of FSDD (github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0; FOLDER holds `recordings.tar.gz`, or
the recordings): the same, with takes of one person and answers to the other five; and all ten digits by each
of the six after the other five's takes.
"""

import argparse
import tarfile
import tempfile
import wave
from pathlib import Path

import numpy as np
import torch
from sensemble_apps.commands.data import digits
from sensemble_runtime.progress import no_progress
from sensemble_sensors.media.dataset import Dataset, Example, read_dataset
from sensemble_sensors.spec import InputSpec
from sensemble_train.data.clips import decode
from sensemble_train.data.embedding_cache import VIEWS, embedded
from sensemble_train.models.augment_config import DERIVED
from sensemble_train.models.encoders import EncoderConfig
from sensemble_train.models.infer_spec import inputs
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.models.pretrained.encoder import Pretrained
from sensemble_train.models.pretrained.sources import tokenizer
from sensemble_train.recipe.linear import LinearFit, fit_linear
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.functional import normalize
from torchaudio.functional import resample

ENCODERS = {"audio": "whisper-tiny.en", "text": "minilm", "video": "efficientnet-lite0"}
TAKES = 2, 5, 20
DRAWS = 20
CLASSES = 3
SECONDS = 1.0  # of a window of FSDD

Rows = dict[str, Tensor]
"""Modality -> features float32 [N, V, F]."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--fsdd", type=Path)
    arguments = parser.parse_args()
    dataset = read_dataset(arguments.data or digits(0))
    seen, shown = dataset.split("train"), dataset.split("eval")
    features = of_examples(dataset, (*seen, *shown))
    truth = digit([*seen, *shown])
    known = torch.arange(len(truth)) < len(seen)
    print(f"digits: {CLASSES} of ten, answers to other people (%), the mean of {DRAWS} draws")
    few(features, truth, known.long()[None].repeat(DRAWS, 1))
    if arguments.fsdd:
        with tempfile.TemporaryDirectory() as folder:
            names, waves = fsdd(arguments.fsdd, Path(folder))
        people = sorted({name.split("_")[1] for name in names})
        person = torch.tensor([people.index(name.split("_")[1]) for name in names])
        truth = torch.tensor([int(name.split("_")[0]) for name in names])
        spoken = of_waves(waves)
        print(f"FSDD: {CLASSES} of ten, takes of one person, answers to the other five")
        few({"audio": spoken}, truth, torch.stack([person == i % len(people) for i in range(DRAWS)]).long())
        print("FSDD: ten digits, all takes of five people, answers to the sixth")
        right = []
        for i, name in enumerate(people):
            rest = person != i
            found = fit_linear(spoken[rest], truth[rest], person[rest], 10, "multi-class")
            right.append(accuracy(answer(found, spoken[~rest]), truth[~rest]))
            print(f"  {name:10}{right[-1]:6.1f}")
        print(f"  {'mean':10}{np.mean(right):6.1f}", flush=True)


def few(features: Rows, truth: Tensor, known: Tensor) -> None:
    """Print the accuracy by takes of a class; `known` [draws, N] is 1 for takes that may be learned from."""
    names = [*features, "plain sum", "calibrated sum"] if len(features) > 1 else list(features)
    print("  " + " " * 12 + "".join(f"{name:>16}" for name in names))
    for takes in TAKES:
        found = []
        for draw, may in enumerate(known):
            rng = np.random.default_rng((draw, takes))
            chosen = rng.choice(10, CLASSES, replace=False)
            having = [(truth == c).nonzero().flatten() for c in chosen]
            learned = torch.cat(
                [torch.from_numpy(rng.choice(r[may[r] == 1], takes, replace=False)) for r in having]
            )
            asked = torch.cat([r[may[r] == 0] for r in having])
            to = torch.zeros(10, dtype=torch.int64)
            to[chosen] = torch.arange(CLASSES)
            folds = torch.arange(takes).repeat(CLASSES) % 10
            heads = {
                m: fit_linear(x[learned], to[truth[learned]], folds, CLASSES, "multi-class")
                for m, x in features.items()
            }
            said = {m: answer(head, features[m][asked]) for m, head in heads.items()}
            plain = torch.stack([said[m] * heads[m].temperature for m in said]).sum(dim=0)
            answers = [*said.values(), plain, torch.stack(list(said.values())).sum(dim=0)][: len(names)]
            found.append([accuracy(each, to[truth[asked]]) for each in answers])
        print(f"  {takes:>3} takes   " + "".join(f"{x:16.1f}" for x in np.mean(found, axis=0)), flush=True)


def answer(head: LinearFit, features: Tensor) -> Tensor:
    """Return calibrated log-probabilities [N, C]."""
    return (features[:, 0] @ head.weight.T + head.bias).log_softmax(dim=1)


def accuracy(logits: Tensor, truth: Tensor) -> float:
    return 100 * float((logits.argmax(dim=1) == truth).float().mean())


def digit(examples: list[Example]) -> Tensor:
    names = sorted({e.labels[0] for e in examples})
    return torch.tensor([names.index(e.labels[0]) for e in examples])


def of_examples(dataset: Dataset, examples: tuple[Example, ...]) -> Rows:
    """Return the features of examples that have all modalities."""
    specs, configs = inputs(dataset, ModelConfig(), ENCODERS)
    words = tokenizer(ENCODERS["text"], specs["text"].shape[1])
    labels = sorted({e.labels[0] for e in examples})
    clips = decode(examples, specs, words, labels, "multi-class", no_progress)
    encoders = {m: Pretrained(specs[m], configs[m]).eval() for m in specs}
    return {m: of_encoder(encoders[m], clips.inputs[m], words) for m in specs}


def of_encoder(encoder: Pretrained, windows: Tensor, words: Tokenizer | None = None) -> Tensor:
    """Return the features of windows, of unit length."""
    return normalize(embedded(encoder, windows, VIEWS, DERIVED, words, no_progress), dim=2)


def fsdd(folder: Path, temporary: Path) -> tuple[list[str], list[Tensor]]:
    """Return the names of the recordings and their sounds at 16 kHz, float32 [S]."""
    archive = folder / "recordings.tar.gz"
    if archive.exists():
        with tarfile.open(archive) as tar:
            tar.extractall(temporary, filter="data")
        folder = temporary
    paths = sorted(folder.rglob("*.wav"))
    return [path.stem for path in paths], list(map(read_wave, paths))


def read_wave(path: Path) -> Tensor:
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        sound: Tensor = resample(torch.from_numpy(samples / np.float32(32768)), file.getframerate(), 16000)
    return sound


def of_waves(waves: list[Tensor]) -> Tensor:
    """Return the features of sounds that begin with a window."""
    samples = round(16000 * SECONDS)
    spec = InputSpec("audio", "float32", (1, samples), 16000, SECONDS, SECONDS / 2, 2 * SECONDS)
    windows = torch.stack(
        [torch.nn.functional.pad(w[:samples], (0, max(0, samples - len(w)))) for w in waves]
    )
    encoder = Pretrained(spec, EncoderConfig(8, 1, 1, 16, source=ENCODERS["audio"])).eval()
    return of_encoder(encoder, windows)


if __name__ == "__main__":
    main()
