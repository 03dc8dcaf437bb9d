"""Every form of every encoder side by side: ExecuTorch, ONNX Runtime, torch eager and torch.compile.

    uv run python apps/benchmarks/targets.py RUN --threads 1 [--windows N] [--work FOLDER]
    uv run python apps/benchmarks/targets.py vit_b16 [--modalities audio text video]

RUN is a run folder (`sensemble train --out RUN`), of which the model is measured that its bundle holds, or
else that `sensemble export` would take; `vit_b16` are the paper's encoders with random weights and inputs.
The artifacts are the product's own, of each scheme for XNNPACK and ONNX but int4, and what ONNX Runtime's
own tools make for this machine (`rival.py`). Prints a table for each encoder, the accuracy that each form
loses on its worst subset, and the goals, beside the fastest of ONNX Runtime's forms.

Each form lives in a process of its own (`contestant.py`). They take turns of a few windows, so that whatever
else the machine does falls on all alike, and rest before each, so that the threads of one, which spin for a
while, do not fall on the next. `x ONNX` is the median, over the windows, of the time beside ONNX Runtime's
fastest float. The runtime uses what the export found faster; `--threads` sets the number for both here.

Artifacts lie in `--work`, by a hash of the encoder's weights and of the calibration windows, and are not made
again as long as these stay.
"""

import argparse
import hashlib
import json
import statistics
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import rival
import torch
from contestant import Contestant
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from safetensors.numpy import load_file
from sensemble_apps.tables.matrices import most_robust
from sensemble_apps.tables.run_folder import BUNDLE, CONFIG, SELECTION
from sensemble_export.artifact_store import ArtifactStore
from sensemble_export.examples import CALIBRATION, spread
from sensemble_export.lowering import lower_all
from sensemble_export.parity import compare
from sensemble_export.partition_report import Delegation
from sensemble_export.targets import Job
from sensemble_runtime import subsets
from sensemble_runtime.bundle.manifest import FILE_NAME, Scheme
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_runtime.executors import executor
from sensemble_sensors.media.dataset import read_dataset
from sensemble_train.data.clips import Clips, decode
from sensemble_train.experiments.models import VIT_B16, paper_model
from sensemble_train.models.model import Model, load_model, save_model
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

SCHEMES: tuple[Scheme, ...] = ("fp32", "int8-dynamic", "int8-static")
TARGETS = {"onnx": "ONNX Runtime", "executorch-xnnpack": ".pte"}
EXPORTED = {f"{name} {scheme}": (t, scheme) for scheme in SCHEMES for t, name in TARGETS.items()}
TORCH = {"torch eager": "eager", "torch.compile": "compile"}
TUNED = {
    f"ONNX Runtime {name} {scheme}": (optimized, scheme)
    for scheme in SCHEMES
    for name, optimized in (("fused", False), ("optimized", True))
}
FORMS = {form: kind for form, (kind, _) in EXPORTED.items()} | dict.fromkeys(TUNED, "onnx") | TORCH
TURN, REST = 5, 0.05  # windows, seconds

Setting = tuple[Model, dict[str, torch.Tensor], Clips]


@dataclass(frozen=True)
class Result:
    """The measurements of one form of one encoder; times in ms, memory in MB (10^6 bytes)."""

    bytes: int
    load: float
    first: float
    times: list[float]
    peak: float
    embeddings: NDArray[np.float32]
    delegation: Delegation | None


def of_run(run: Path, count: int) -> Setting:
    """The shipped model of a run, calibration windows, and `count` held-out examples."""
    if (run / BUNDLE / FILE_NAME).exists():
        made = read_manifest(run / BUNDLE / FILE_NAME).provenance
        method, train = made.method, made.train_modalities
    else:
        method, train = most_robust(run / SELECTION)
    model = load_model(run / "models" / method / subsets.name(train))
    what, data = model.description, read_dataset(Path(json.loads((run / CONFIG).read_text())["data"]))
    calibration, held_out = (
        decode(spread(examples, most), what.specs, model.tokenizer, what.labels, what.task, lambda *_: None)
        for examples, most in ((data.split("train"), CALIBRATION), (data.split("eval"), count))
    )
    print(f"{run}: {method}, M_T = {subsets.name(train)}")
    return model, {m: rows[calibration.present[m]] for m, rows in calibration.inputs.items()}, held_out


def of_vit_b16(modalities: list[str], count: int) -> Setting:
    """The paper's encoders with random weights, and noise: windows to calibrate on, and others."""
    torch.manual_seed(0)
    what = paper_model(VIT_B16, ("no", "yes"), modalities)
    inputs = {}
    for modality, spec in what.specs.items():
        shape = (2 * count, *spec.shape[1:])
        if modality == "audio":
            inputs[modality] = 0.1 * torch.rand(2 * count, 1) * torch.randn(shape)
        elif modality == "video":
            inputs[modality] = torch.randint(0, 256, shape, dtype=torch.uint8)
        else:
            inputs[modality] = torch.randint(1, what.configs["text"].vocabulary, shape)
    calibration = {modality: rows[count:] for modality, rows in inputs.items()}
    measured = {modality: rows[:count] for modality, rows in inputs.items()}
    held_out = Clips(measured, {m: torch.ones(count, dtype=torch.bool) for m in measured}, None)
    return Model(what, Tokenizer(WordLevel({"[PAD]": 0}, "[PAD]"))), calibration, held_out


def only(model: Model, modality: str) -> Model:
    """The model with one encoder."""
    what = model.description
    one = replace(what, specs={modality: what.specs[modality]}, configs={modality: what.configs[modality]})
    alone = Model(one, model.tokenizer if modality == "text" else None)
    alone.encoders[modality].load_state_dict(model.encoders[modality].state_dict())
    alone.head.load_state_dict(model.head.state_dict())
    return alone


def prepare(
    model: Model, modality: str, calibration: torch.Tensor, held_out: Clips, work: Path
) -> ArtifactStore:
    """Make all forms of an encoder, if they are not there, where the workshop that is returned has them."""
    alone = only(model, modality)
    digest = hashlib.sha256(calibration.numpy().tobytes())
    for tensor in alone.encoders[modality].state_dict().values():
        digest.update(tensor.numpy().tobytes())
    folder = work / f"{modality}-{digest.hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    store = ArtifactStore(alone, folder, {modality: calibration}, held_out)
    if not (folder / "lowering.json").exists():  # written last
        for form, (optimized, scheme) in TUNED.items():
            encoder = alone.encoders[modality].eval()
            rival.write(encoder, calibration, scheme, tuned(folder, form), optimized=optimized)
        jobs = [Job(modality, target, scheme) for target, scheme in EXPORTED.values()]
        found = lower_all(alone, {modality: calibration}, jobs, lambda: None)
        for job, lowered in found.items():
            executor.write(lowered.files, folder / job.file)
        save_model(alone, folder / "model")
        divisions = {job.file: asdict(one.delegation) for job, one in found.items() if one.delegation}
        (folder / "lowering.json").write_text(json.dumps(divisions))
    return store


def tuned(folder: Path, form: str) -> Path:
    return folder / f"{form.replace(' ', '-')}.onnx"


def compete(modality: str, folder: Path, threads: str) -> dict[str, Result]:
    """Run all forms of an encoder in turns over the held-out windows."""
    windows = folder / f"held_out.{modality}.safetensors"
    divisions = json.loads((folder / "lowering.json").read_text())
    paths = {form: folder / Job(modality, target, scheme).file for form, (target, scheme) in EXPORTED.items()}
    paths |= {form: tuned(folder, form) for form in TUNED} | dict.fromkeys(TORCH, folder / "model")
    times: dict[str, list[float]] = {form: [] for form in FORMS}
    with ExitStack() as stack:
        running = {f: stack.enter_context(Contestant(FORMS[f], paths[f], windows, threads)) for f in FORMS}
        count = len(load_file(windows)["windows"])
        for start in range(-TURN, count, TURN):  # the first turn, on the last windows, is not counted
            for form, contestant in running.items():
                time.sleep(REST)
                took = [contestant.encode(index % count) for index in range(start, min(start + TURN, count))]
                times[form] += took if start >= 0 else []
        wrote = {form: contestant.finish() for form, contestant in running.items()}
        results = {}
        for form, path in paths.items():
            weights = path / "weights.safetensors" if path.is_dir() else path
            results[form] = Result(
                weights.stat().st_size,
                running[form].loaded * 1e3,
                running[form].first * 1e3,
                times[form],
                float(wrote[form]["peak"][0]),
                wrote[form]["embeddings"],
                Delegation(**divisions[path.name]) if path.name in divisions else None,
            )
    return results


def show(console: Console, modality: str, results: Mapping[str, Result], store: ArtifactStore) -> None:
    """Print an encoder's table and its goals."""
    ort, ort_int8 = (_fastest(results, "ONNX Runtime", kind) for kind in ("fp32", "int8"))
    table = Table(
        "form", "MB", "load, ms", "first, ms", "median, ms", "p95, ms", "x ONNX", "peak, MB", "delegated",
        "cosine", title=modality, title_justify="left",
    )  # fmt: skip
    for form, found in results.items():
        median, p95 = np.percentile(found.times, [50, 95])
        table.add_row(
            form,
            f"{found.bytes / 1e6:.2f}",
            f"{found.load:.0f}",
            f"{found.first:.0f}",
            f"{median:.2f}",
            f"{p95:.2f}",
            f"{beside(found, results[ort]):.2f}",
            f"{found.peak:.0f}",
            _share(found.delegation),
            f"{compare(found.embeddings, store.expected[modality], store.head).cosine:.5f}",
        )
    console.print(table)
    pte = _fastest(results, ".pte", "int8")
    whole, int8 = results[".pte fp32"], results[pte]
    smaller, faster = int8.bytes / whole.bytes, beside(whole, int8)
    goal(console, f"time of .pte fp32 / {ort}", beside(whole, results[ort]), most=1)
    goal(
        console,
        f"time of {pte} / {ort_int8}, the fastest int8 of each",
        beside(int8, results[ort_int8]),
        most=1,
    )
    goal(console, f"{pte}: times as fast as fp32 (of ViT-B/16 at least 2.2)", faster, least=2.2)
    goal(console, f"{pte}: share of the size of fp32 (of ViT-B/16 at most 0.27)", smaller, most=0.27)


def goal(console: Console, what: str, found: float, *, least: float = -np.inf, most: float = np.inf) -> None:
    """Print one goal of issue 4, and whether it is met."""
    met = least <= round(found, 6) <= most  # differences of shares are inexact
    console.print(f"  {what}: {found:.3f}, {'met' if met else 'NOT met'}", highlight=False)


def beside(one: Result, other: Result) -> float:
    """The median, over the windows, of the time of one form beside another's."""
    return statistics.median(a / b for a, b in zip(one.times, other.times, strict=True))


def _fastest(results: Mapping[str, Result], name: str, kind: str) -> str:
    forms = [form for form in results if form.startswith(name) and kind in form]
    return min(forms, key=lambda form: statistics.median(results[form].times))


def _share(delegation: Delegation | None) -> str:
    if delegation is None:
        return ""
    inside, outside = sum(delegation.delegated.values()), sum(delegation.remaining.values())
    return f"{inside / (inside + outside):.1%} in {delegation.subgraphs}"


def drops(console: Console, store: ArtifactStore, results: Mapping[str, Mapping[str, Result]]) -> None:
    """Print, for each form, the points of accuracy that its worst subset loses against the float model."""
    whole = store.scores(store.expected)
    table = Table("form", "worst drop, points", "on", *whole, title="accuracy, %", title_justify="left")
    lost = {}
    for form in FORMS:
        found = store.scores({m: results[m][form].embeddings for m in results})
        hurt = max(whole, key=lambda subset: whole[subset] - found[subset])
        lost[form] = 100 * (whole[hurt] - found[hurt])
        table.add_row(form, f"{lost[form]:.2f}", hurt, *(f"{100 * value:.1f}" for value in found.values()))
    console.print(table)
    for form in (form for form in lost if form.startswith(".pte int8")):
        goal(
            console, f"{form}: worst-subset drop in points, over {len(store.held_out)}", lost[form], most=0.5
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", help="a run folder, or vit_b16")
    parser.add_argument("--work", type=Path, default=Path("runs/benchmark"))
    parser.add_argument("--windows", type=int, help="held-out windows (default: 400, or 5)")
    parser.add_argument("--threads", default="0", help="of both runtimes (default: their own choice)")
    parser.add_argument("--modalities", nargs="+", default=["audio", "text", "video"])
    arguments = parser.parse_args()
    if arguments.what == "vit_b16":
        model, calibration, held_out = of_vit_b16(arguments.modalities, arguments.windows or 5)
    else:
        model, calibration, held_out = of_run(Path(arguments.what), arguments.windows or 400)
    console, results = Console(width=160), {}
    for modality in (m for m in model.modalities if m in arguments.modalities):
        store = prepare(model, modality, calibration[modality], held_out, arguments.work)
        results[modality] = compete(modality, store.folder, arguments.threads)
        show(console, modality, results[modality], store)
    if held_out.targets is not None and set(results) == set(model.modalities):
        (arguments.work / "all").mkdir(exist_ok=True)
        drops(console, ArtifactStore(model, arguments.work / "all", calibration, held_out), results)


if __name__ == "__main__":
    main()
