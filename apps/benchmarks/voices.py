"""The accuracy of a model of `digits` on voices, levels and light that it was not trained on.

    uv run python apps/benchmarks/voices.py RUN/models/METHOD/M_T [--data DIGITS] [--prompts FOLDER]

The voices are those of the synthesizers that are installed, none of which is eSpeak (`apt-get install flite
festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts`), and of a person, if FOLDER has recordings
`0.wav` to `9.wav` (such as `digits/` in Debian's asterisk-core-sounds-en-wav). Each of them says ten digits,
synthetic ones at three paces, placed at random in a second of a room with noise of three colours, 10 to 25 dB
below them, at 0, -10, -20 and -30 dB. It prints the accuracy of sound alone by voice and level, that of the
split `eval` at other gains and at other brightness, and the area under the ROC curve with which familiarity
tells the split from backgrounds and from these voices.
"""

import argparse
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import fftconvolve, resample_poly
from sensemble_apps.commands.data import digits
from sensemble_export import familiarity
from sensemble_export.examples import spread
from sensemble_runtime.progress import no_progress
from sensemble_sensors.media.dataset import Dataset, Example, read_dataset
from sensemble_train.data.clips import Clips, decode
from sensemble_train.digits.voices import WORDS
from sensemble_train.models.model import Model, load_model
from sklearn.metrics import roc_auc_score
from torch import Tensor

RATE, SECONDS = 16_000, 1.0
LEVELS = 0, -10, -20, -30
PACES = 0.85, 1.0, 1.2
GAINS = 0.1, 0.3, 1.0, 3.0
LIGHTS = 0.5, 1.0, 2.0
FLITE = "kal", "awb", "rms", "slt"
FESTIVAL = "ked_diphone", "cmu_us_slt_arctic_hts"
Array = NDArray[np.float64]
Take = tuple[int, int, NDArray[np.float32]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--prompts", type=Path)
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    dataset = read_dataset(arguments.data or digits(0))
    clips = evaluation(model, dataset.split("eval"))
    heard = voices(arguments.prompts)
    print("sound alone, accuracy in %, by level in dB:")
    everything = np.concatenate([show(model, name, takes) for name, takes in heard.items()])
    print(f"{'all':24} {row(everything)}")
    sound, film = clips.inputs["audio"], clips.inputs["video"]
    for gain in GAINS:
        loud = (gain * sound).clamp(-1, 1)
        print(f"eval, sound alone, gain {gain:g}: {accuracy(model, 'audio', loud, clips):.1f}%")
    for light in LIGHTS:
        changed = (light * film.float()).clamp(0, 255).to(torch.uint8)
        print(f"eval, frames alone, brightness {light:g}: {accuracy(model, 'video', changed, clips):.1f}%")
    for modality in model.modalities:
        print(
            f"familiarity of {modality}, AUROC of eval against "
            + told(model, modality, dataset, clips, heard)
        )


def evaluation(model: Model, examples: tuple[Example, ...]) -> Clips:
    described = model.description
    return decode(examples, described.specs, model.tokenizer, described.labels, described.task, no_progress)


def voices(prompts: Path | None) -> dict[str, list[Take]]:
    """Return voice -> (digit, index of the level, sound) of each take at each level, the same each time."""
    return {name: list(rooms(takes)) for name, takes in spoken(prompts).items()}


def spoken(prompts: Path | None) -> dict[str, list[list[Array]]]:
    """Return voice -> digit -> takes, float64 [n] at 16 kHz with a peak of 1."""
    found: dict[str, list[list[Array]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        if shutil.which("flite"):
            for voice in FLITE:
                found[f"flite {voice}"] = [
                    [flite(voice, word, pace, path) for pace in PACES] for word in WORDS
                ]
        if shutil.which("festival"):
            for voice in FESTIVAL:
                found[f"festival {voice}"] = [
                    [festival(voice, word, pace, path) for pace in PACES] for word in WORDS
                ]
    if prompts is not None:
        found["a person"] = [3 * [read(prompts / f"{digit}.wav")] for digit in range(len(WORDS))]
    if not found:
        raise SystemExit("no synthesizer and no --prompts: apt-get install flite festival")
    return found


def flite(voice: str, word: str, pace: float, path: Path) -> Array:
    command = ["flite", "-voice", voice, "--setf", f"duration_stretch={pace}", "-t", word, "-o", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return read(path)


def festival(voice: str, word: str, pace: float, path: Path) -> Array:
    path.unlink(missing_ok=True)
    script = (
        f"(voice_{voice})(Parameter.set 'Duration_Stretch {pace})"
        f'(utt.save.wave (utt.synth (Utterance Text "{word}")) "{path}" \'riff)'
    )
    subprocess.run(["festival", "--pipe"], input=script, text=True, check=True, capture_output=True)
    return read(path)


def read(path: Path) -> Array:
    """Read 16-bit mono sound without the silence around it."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
        ratio = Fraction(RATE, file.getframerate())
    samples = resample_poly(samples, ratio.numerator, ratio.denominator)
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    samples = samples[max(0, loud[0] - 160) : loud[-1] + 320]
    return samples / np.abs(samples).max()  # type: ignore[no-any-return]


def room(speech: Array, level: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Place speech in a second of an echoing and noisy room, as 16-bit audio would have it."""
    count, power = int(RATE * SECONDS), np.sqrt((speech**2).mean())
    sound = np.zeros(count)
    at = int(rng.integers(0, max(1, count - len(speech) + 1)))
    sound[at : at + len(speech)] = speech[: count - at]
    length = int(RATE * rng.uniform(0.05, 0.3))
    tail = rng.normal(size=length) * 10 ** (-3 * np.linspace(0, 1, length))
    sound = fftconvolve(sound, np.concatenate([[1.0], 0.35 * tail / np.linalg.norm(tail)]))[:count]
    hertz = np.maximum(np.fft.rfftfreq(count, 1 / RATE), 20)
    noise = np.fft.irfft(np.fft.rfft(rng.normal(size=count)) * hertz ** (-rng.choice([0, 1, 2]) / 2), count)
    sound += noise / noise.std() * power * 10 ** (-rng.uniform(10, 25) / 20)
    heard = np.round(32767 * np.clip(0.5 * 10 ** (level / 20) * sound, -1, 1)) / 32768
    return heard.astype(np.float32)


def rooms(takes: list[list[Array]]) -> Iterator[Take]:
    """Yield each take at each level."""
    rng = np.random.default_rng(0)
    for digit, some in enumerate(takes):
        for take in some:
            for index, level in enumerate(LEVELS):
                yield digit, index, room(take, level, rng)


def show(model: Model, name: str, takes: list[Take]) -> Array:
    """Print one voice's row; return whether each clip was right, [takes, levels]."""
    said, _, sounds = zip(*takes, strict=True)
    expected = torch.tensor([model.description.labels.index(WORDS[digit]) for digit in said])
    right = (predicted(model, "audio", torch.from_numpy(np.stack(sounds))) == expected).double().numpy()
    right = right.reshape(-1, len(LEVELS))
    print(f"{name:24} {row(right)}")
    return right


def row(right: Array) -> str:
    levels = "  ".join(
        f"{level:+d}: {100 * share:5.1f}" for level, share in zip(LEVELS, right.mean(0), strict=True)
    )
    return f"{100 * right.mean():5.1f}   {levels}   of {right.size}"


@torch.no_grad()
def predicted(model: Model, modality: str, windows: Tensor) -> Tensor:
    encoder = model.encoders[modality]
    return torch.cat([model.head.folded()(encoder(part)).argmax(dim=1) for part in windows.split(64)])


def accuracy(model: Model, modality: str, windows: Tensor, clips: Clips) -> float:
    assert clips.targets is not None
    there = clips.present[modality]
    right = predicted(model, modality, windows[there]) == clips.targets[there]
    return 100 * float(right.double().mean())


def told(model: Model, modality: str, dataset: Dataset, clips: Clips, heard: Mapping[str, list[Take]]) -> str:
    """Fit familiarity as export does, and return its AUROC on what it was not fitted to."""
    known = evaluation(model, tuple(familiarity.known_examples(dataset, modality)))
    sides = [
        familiarity.embed(model, modality, known.inputs[modality][known.present[modality]]),
        familiarity.embed(model, modality, familiarity.synthetic(model, modality)),
    ]
    own = familiarity.background_examples(dataset, modality)
    if own:
        sides[1] = np.concatenate(
            [sides[1], familiarity.embed(model, modality, evaluation(model, tuple(own)).inputs[modality])]
        )
    classes = {modality: model.head(torch.from_numpy(sides[0])).argmax(dim=1).numpy()}
    count = len(model.description.labels)
    scores = familiarity.fit({modality: sides[0]}, {modality: sides[1]}, classes, count, {})
    against = {}
    strange = [example for example in dataset.background("eval") if modality in example.modalities]
    if strange:
        against["backgrounds"] = evaluation(model, tuple(strange)).inputs[modality]
    if modality == "audio":
        against["other voices"] = torch.from_numpy(
            np.stack(spread([sound for takes in heard.values() for _, _, sound in takes], 500))
        )

    def score(windows: Tensor) -> NDArray[np.float32]:
        return scores.scores(0, familiarity.embed(model, modality, windows))

    mine = score(clips.inputs[modality][clips.present[modality]])
    found = []
    for name, windows in against.items():
        theirs = score(windows)
        sides_of = np.repeat([1, 0], [len(mine), len(theirs)])
        found.append(f"{name} {roc_auc_score(sides_of, np.concatenate([mine, theirs])):.3f}")
    return ", ".join(found)


if __name__ == "__main__":
    main()
