"""Motion on people never met: what the demo ships, beside plain rivals.

    uv run python apps/benchmarks/series.py DATA OUT

DATA is a dataset of series: a phone and a watch (GeoTecINIT's sp-sw-har-dataset, Matey-Sanz et al., Data in
Brief 2023, CC BY 4.0), or what `hapt.py` writes. OUT keeps the run of `sensemble demo --data DATA --out OUT`;
if there is one, it is used.

It prints, for `eval`, P, R and all sensors of each method, every set of sensors, what each sensor and each
device is worth, gaps and clocks, and the shares sure and wrong. It draws gaps in OUT/gaps.svg. The
rivals learn from the people of `train` and `calibrate`, all of them: nothing of them is chosen. Random forest
and logistic regression read 148 plain features of each sensor and are fused late, by the mean of their
log-probabilities. The convolution has an encoder of three layers for each sensor; a head reads the mean of a
random set of them.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sensemble_runtime import Bundle, subsets
from sensemble_sensors import read_dataset
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.spec import InputSpec, devices
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional

Floats = NDArray[np.floating]
Labels = NDArray[np.integer]
Scores = dict[str, float]  # by set of sensors
BINS = 21  # of the spectrum
STEPS, BATCH = 800, 64  # of the convolution
LOST = (0, 5, 10, 20, 35, 50)  # %, by severity of `gaps`


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    data, run = arguments.data, arguments.out
    if not (run / "report.html").exists():
        sensemble("demo", "--data", data, "--out", run, "--fast")
    bundle = Bundle.open(run / "bundle")
    carried = {d: some for d, some in devices(bundle.specs).items() if len(some) < len(bundle.modalities)}
    audited = audit(run, data, [*bundle.modalities, *carried], list(carried)[-1:])
    rows = {"sensemble demo": {name: one["accuracy"] for name, one in audited["subsets"].items()}}
    labelled = [example for example in read_dataset(data).examples if example.labels]
    learned = [example for example in labelled if example.split in {"train", "calibrate"}]
    asked = [example for example in labelled if example.split == "eval"]
    labels = bundle.manifest.labels
    truths = [np.array([labels.index(e.labels[0]) for e in some]) for some in (learned, asked)]
    known, seen = ({m: read(some, spec) for m, spec in bundle.specs.items()} for some in (learned, asked))
    for title, make in RIVALS.items():
        rows[title] = fused(make, known, seen, *truths)
    rows["plain convolution"] = convolution(known, seen, *truths)
    report(rows, audited, carried)
    draw_gaps(audited, carried, run / "gaps.svg")


def sensemble(*arguments: str | Path) -> str:
    command = [sys.executable, "-m", "sensemble_apps", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def audit(run: Path, data: Path, gapped: Sequence[str], late: Sequence[str]) -> dict[str, Any]:
    """Return the audit of a bundle, with gaps of sensors and devices, and late clocks of devices."""
    asked = ",".join([*(f"{name}=gaps" for name in gapped), *(f"{name}=clock" for name in late)])
    found: dict[str, Any] = json.loads(
        sensemble("audit", run / "bundle", "--data", data, "--conditions", asked, "--json")
    )
    return found


def read(examples: Sequence[Example], spec: InputSpec) -> Floats:
    """Return the windows of a sensor, float32 [N, T, 3]."""
    return np.stack([np.asarray(kind_of(spec).window(example, spec))[0] for example in examples])


RIVALS: Mapping[str, Callable[[], Any]] = {
    "random forest, plain features": lambda: RandomForestClassifier(300, random_state=0, n_jobs=2),
    "logistic regression on them": lambda: make_pipeline(
        StandardScaler(), LogisticRegression(C=0.05, max_iter=1000)
    ),
}


def features(rows: Floats) -> Floats:
    """Return 148 numbers of each window: moments, quantiles and spectra of its axes and its length."""
    axes = np.concatenate([rows, np.linalg.norm(rows, axis=2, keepdims=True)], axis=2)
    moving = axes - axes.mean(axis=1, keepdims=True)
    tapered = moving * np.hanning(axes.shape[1])[:, None]
    spectra = np.log(np.abs(np.fft.rfft(tapered, axis=1))[:, 1 : BINS + 1] + 1e-2)
    parts = [spectra.reshape(len(rows), -1)]
    for signal in (axes, np.diff(axes, axis=1)):
        quantiles = np.quantile(signal, (0, 0.25, 0.5, 0.75, 1), axis=1)
        parts += [signal.mean(axis=1), signal.std(axis=1), *quantiles, np.square(signal).mean(axis=1)]
    return np.concatenate(parts, axis=1)


def fused(
    make: Callable[[], Any],
    known: Mapping[str, Floats],
    seen: Mapping[str, Floats],
    labels: Labels,
    truth: Labels,
) -> Scores:
    """Fit a classifier for each sensor, and return the accuracy of every set, fused late."""
    logs = {}
    for m, windows in known.items():
        classifier = make().fit(features(windows), labels)
        logs[m] = np.log(classifier.predict_proba(features(seen[m])) + 1e-4)
    return scored(lambda some: np.mean([logs[m] for m in some], axis=0), seen, truth)


def scored(answer: Callable[[subsets.Subset], Floats], sensors: Mapping[str, Any], truth: Labels) -> Scores:
    """Return the accuracy of every set."""
    return {
        subsets.name(some): float((answer(some).argmax(axis=1) == truth).mean())
        for some in subsets.subsets(sensors)
    }


class Plain(nn.Module):
    """An encoder for each sensor, float32 [B, T, 3] -> [B, 128], and a head on the mean of some."""

    def __init__(self, scales: Mapping[str, tuple[Tensor, Tensor]], classes: int) -> None:
        super().__init__()
        self.scales, self.places = dict(scales), {m: i for i, m in enumerate(scales)}
        self.encoders = nn.ModuleList(
            nn.Sequential(*layer(3, 32), *layer(32, 64), *layer(64, 128)) for _ in scales
        )
        self.head = nn.Linear(128, classes)

    def forward(self, windows: Mapping[str, Tensor]) -> Tensor:
        """Return logits [B, C]."""
        pooled = []
        for m, x in windows.items():
            mean, deviation = self.scales[m]
            scaled = ((x - mean) / deviation).transpose(1, 2)
            pooled.append(self.encoders[self.places[m]](scaled).mean(dim=2))
        logits: Tensor = self.head(torch.stack(pooled).mean(dim=0))
        return logits


def layer(before: int, after: int) -> tuple[nn.Module, ...]:
    return nn.Conv1d(before, after, 5, stride=2, padding=2), nn.BatchNorm1d(after), nn.ReLU()


def convolution(
    known: Mapping[str, Floats], seen: Mapping[str, Floats], labels: Labels, truth: Labels
) -> Scores:
    """Train on random sets of sensors, by labels alone, and return the accuracy of every set."""
    torch.manual_seed(0)
    draw = np.random.default_rng(0)
    sets, targets = subsets.subsets(known), torch.from_numpy(labels)
    inputs = {m: torch.from_numpy(rows).float() for m, rows in known.items()}
    model = Plain({m: (x.mean((0, 1)), x.std((0, 1))) for m, x in inputs.items()}, int(labels.max()) + 1)
    adamw = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05)
    rate = torch.optim.lr_scheduler.OneCycleLR(adamw, 2e-3, STEPS)
    for _ in range(STEPS):
        rows = torch.from_numpy(draw.integers(len(labels), size=BATCH))
        some = sets[draw.integers(len(sets))]
        loss = functional.cross_entropy(model({m: inputs[m][rows] for m in some}), targets[rows])
        adamw.zero_grad()
        loss.backward()
        adamw.step()
        rate.step()
    model.eval()
    asked = {m: torch.from_numpy(rows).float() for m, rows in seen.items()}
    with torch.inference_mode():
        return scored(lambda some: model({m: asked[m] for m in some}).numpy(), seen, truth)


def report(
    rows: Mapping[str, Scores], audited: Mapping[str, Any], carried: Mapping[str, Sequence[str]]
) -> None:
    every = max(audited["subsets"], key=lambda name: name.count("+"))
    off = {f"{d} off": subsets.name(set(every.split("+")) - set(some)) for d, some in carried.items()}
    line("method", "P", "R", "all", *off)
    for title, scores in rows.items():
        numbers = fmean(scores.values()), min(scores.values()), scores[every]
        line(title, *map(percent, (*numbers, *(scores[rest] for rest in off.values()))))
    print("\nevery set")
    line("set", *rows)
    for name in audited["subsets"]:
        line(name, *(percent(scores[name]) for scores in rows.values()))
    print("\npoints lost without it")
    for lost, drop in audited["drops"].items():
        low, value, high = (100 * drop[key] for key in ("low", "value", "high"))
        print(f"{lost}: {value:.1f} ({low:.1f} to {high:.1f})")
    print("\nright, by severity, of what is degraded alone and of all sensors")
    for (modality, condition, subset), ones in by_severity(audited).items():
        line(f"{condition}, {modality}, {'all' if subset == every else 'alone'}", *map(right, ones))
    sure = audited["reliability"][every]
    print(f"\n{audited['promise']}; with all sensors sure in {percent(1 - sure['unsure'])} %, ", end="")
    print(f"sure and wrong in {percent(sure['sure_wrong'])} %, held back {percent(sure['withheld'])} %")


def by_severity(audited: Mapping[str, Any]) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """Return the scores by severity of each modality or device, its condition, and the set that answers."""
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for one in audited["conditions"]:
        if one["severity"]:
            found.setdefault((one["modality"], one["condition"], one["subset"]), []).append(one)
    every = max(audited["subsets"], key=lambda name: name.count("+"))
    return {key: ones for key, ones in found.items() if key[2] in (key[0], every)}


def draw_gaps(audited: Mapping[str, Any], carried: Mapping[str, Sequence[str]], path: Path) -> None:
    """Draw how often each sensor or device with gaps is right alone, and beside all others (dashed)."""
    titles = {subsets.name(some): device for device, some in carried.items()}
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    colours: dict[str, str] = {}
    for (name, condition, subset), ones in by_severity(audited).items():
        if condition == "gaps":
            scores = [audited["subsets"][subset], *(one["score"] for one in ones)]
            alone = subset == name
            style: dict[str, Any] = (
                {"marker": "o", "label": titles.get(name, name)} if alone else {"ls": "--"}
            )
            colour = colours.setdefault(name, f"C{len(colours)}")
            axes.plot(LOST, [100 * score["accuracy"] for score in scores], color=colour, **style)
    axes.set(xlabel="time lost in gaps, %", ylabel="right alone; dashed: with all sensors, %")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "gaps"}):
        figure.savefig(path, metadata={"Date": None})


def right(one: Mapping[str, Any]) -> str:
    return percent(one["score"]["accuracy"])


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def line(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
