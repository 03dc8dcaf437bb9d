"""Every form of every encoder side by side: ExecuTorch, ONNX Runtime, torch eager and torch.compile.

    uv run python tests/benchmarks/targets.py RUN [--work FOLDER] [--windows N]
    uv run python tests/benchmarks/targets.py vit_b16 [--modalities audio text video]

RUN is a run folder of `digits` (`sensemble train --out RUN`); `vit_b16` are the paper's encoders with random
weights and inputs. Prints a table for each encoder and, for a run, the accuracy that each form loses on its
worst subset of modalities. Each form lives in a process of its own (`contestant.py`) and they take turns, one
window each, so that whatever else the machine does falls on all alike; `x ONNX` is the median, over the
windows, of the time beside ONNX Runtime's float. Both runtimes have their default number of threads.

What `--work` (default: `RUN/benchmark`, or `benchmark`) holds of an earlier start is not made again.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import load as load_onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from rich.console import Console
from rich.table import Table
from safetensors import safe_open
from safetensors.numpy import load_file
from safetensors.torch import save_file
from sensemble_export.pool import Delegation, lower_all
from sensemble_export.targets import Job
from sensemble_runtime.fusion import pool_subsets
from sensemble_runtime.head import Head
from sensemble_runtime.scores import score
from sensemble_runtime.subsets import name, subsets
from sensemble_sensors.dataset import read_dataset
from sensemble_train.data import Clips, decode
from sensemble_train.model import Model, load_model, save_model
from sensemble_train.presets import vit_b16
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

PTE, ONNX = "executorch-xnnpack", "onnx"
FORMS = {
    "ONNX Runtime float": (ONNX, "float.onnx"),
    ".pte float": (PTE, "{modality}.executorch-xnnpack.fp32.pte"),
    "ONNX Runtime int8 static": (ONNX, "static.onnx"),
    "ONNX Runtime int8 dynamic": (ONNX, "dynamic.onnx"),
    ".pte int8 static": (PTE, "{modality}.executorch-xnnpack.int8-static.pte"),
    "torch eager": ("eager", "model"),
    "torch.compile": ("compile", "model"),
}
REFERENCE = "ONNX Runtime float"
WARM_UP = 2
CALIBRATION = 64


@dataclass(frozen=True)
class Result:
    """What one form of one encoder did; times in ms, memory in MB (10^6 bytes)."""

    bytes: int
    load: float
    first: float
    times: list[float]
    peak: float
    embeddings: NDArray[np.float32]
    delegation: Delegation | None


class Contestant:
    """A process with one encoder in it, which encodes a window when told to and is still otherwise."""

    def __init__(self, kind: str, artifact: Path, windows: Path) -> None:
        self.out = artifact.with_suffix(f".{kind}.safetensors")
        script = Path(__file__).with_name("contestant.py")
        command = [sys.executable, script, kind, artifact, windows, self.out]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.loaded, self.first = json.loads(self._answer())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.__exit__(None, None, None)

    def encode(self, index: int) -> float:
        """Return the milliseconds that the window took."""
        assert self._process.stdin is not None
        print(index, file=self._process.stdin, flush=True)
        return float(self._answer()) * 1e3

    def finish(self) -> dict[str, NDArray[np.generic]]:
        """Return what it wrote at its end."""
        self._process.communicate()
        return load_file(self.out)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class Windows(CalibrationDataReader):  # type: ignore[misc]
    """Calibration windows as ONNX Runtime's quantizer reads them."""

    def __init__(self, name: str, rows: NDArray[np.generic]) -> None:
        self._rows: Iterator[dict[str, NDArray[np.generic]]] = ({name: row[None]} for row in rows)

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        return next(self._rows, None)


def of_run(run: Path, count: int) -> tuple[Model, dict[str, torch.Tensor], Clips]:
    """The shipped model of a run, calibration windows, and `count` held-out examples."""
    folder = next(path for path in sorted((run / "models" / "masd+wiseft").iterdir()) if path.is_dir())
    model = load_model(folder)
    what = model.description
    dataset = read_dataset(Path(json.loads((run / "config.json").read_text())["data"]))
    calibration, held_out = (
        decode(
            dataset.split(split)[:most], what.specs, model.tokenizer, what.labels, what.task, lambda *_: None
        )
        for split, most in (("train", 200), ("eval", count))
    )
    return model, {m: rows[calibration.present[m]] for m, rows in calibration.inputs.items()}, held_out


def of_vit_b16(modalities: list[str], count: int) -> tuple[Model, dict[str, torch.Tensor], Clips]:
    """The paper's encoders with random weights, and noise to feed them."""
    torch.manual_seed(0)
    paper = vit_b16(("no", "yes"))
    some = replace(
        paper,
        specs={m: paper.specs[m] for m in modalities},
        configs={m: paper.configs[m] for m in modalities},
    )
    inputs = {}
    for modality, spec in some.specs.items():
        shape = (count, *spec.shape[1:])
        if modality == "audio":
            inputs[modality] = 0.1 * torch.rand(count, 1) * torch.randn(shape)
        elif modality == "video":
            inputs[modality] = torch.randint(0, 256, shape, dtype=torch.uint8)
        else:
            inputs[modality] = torch.randint(1, some.configs["text"].vocabulary, shape)
    held_out = Clips(inputs, {m: torch.ones(count, dtype=torch.bool) for m in inputs}, None)
    return Model(some, Tokenizer(WordLevel({"[PAD]": 0}, "[PAD]"))).eval(), inputs, held_out


def prepare(model: Model, modality: str, calibration: torch.Tensor, held: torch.Tensor, folder: Path) -> None:
    """Write the windows, the encoder and all its forms into `folder`; what is there is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"windows": held.contiguous()}, folder / "held_out.safetensors")
    if not (folder / "model").exists():
        what = model.description
        one = replace(
            what, specs={modality: what.specs[modality]}, configs={modality: what.configs[modality]}
        )
        alone = Model(one, model.tokenizer if modality == "text" else None)
        alone.encoders[modality].load_state_dict(model.encoders[modality].state_dict())
        save_model(alone, folder / "model")
        chosen = calibration[:: max(1, len(calibration) // CALIBRATION)].contiguous()
        save_file({"windows": chosen}, folder / f"calibration.{modality}.safetensors")
    if not (folder / "lowering.json").exists():
        jobs = [Job(modality, "executorch-xnnpack", scheme) for scheme in ("int8-static", "fp32")]
        divisions = lower_all(folder, jobs, lambda: None)
        text = json.dumps({f"{job.target}.{job.scheme}": asdict(divisions[job.file]) for job in jobs})
        (folder / "lowering.json").write_text(text)
    if not (folder / "dynamic.onnx").exists():
        to_onnx(model.encoders[modality], calibration, folder)


def to_onnx(encoder: torch.nn.Module, calibration: torch.Tensor, folder: Path) -> None:
    """The encoder as torch writes it, and ONNX Runtime's own quantization of its products with weights.

    Its front end stays float here too: the logarithm of an int8 power spectrum means nothing. Activations are
    uint8, which ONNX Runtime's documentation calls the fastest on x86-64.
    """
    path, inferred = folder / "float.onnx", folder / "inferred.onnx"
    torch.onnx.export(
        encoder, (calibration[:1],), path, dynamo=True, opset_version=18, external_data=False, verbose=False
    )
    quant_pre_process(path, inferred, skip_symbolic_shape=True)
    graph = load_onnx(inferred).graph
    front = [node.name for node in graph.node if any("log_mel" in p.value for p in node.metadata_props)]
    some = {
        "op_types_to_quantize": ["Conv", "Gemm", "MatMul"],
        "nodes_to_exclude": front,
        "per_channel": True,
    }
    reader = Windows(graph.input[0].name, calibration[:: max(1, len(calibration) // CALIBRATION)].numpy())
    quantize_static(inferred, folder / "static.onnx", reader, activation_type=QuantType.QUInt8, **some)
    quantize_dynamic(inferred, folder / "dynamic.onnx", weight_type=QuantType.QInt8, **some)


def compete(modality: str, folder: Path) -> dict[str, Result]:
    """Run all forms of an encoder in turns over the held-out windows."""
    windows = folder / "held_out.safetensors"
    lowering = json.loads((folder / "lowering.json").read_text())
    with safe_open(windows, "numpy") as file:
        count = file.get_slice("windows").get_shape()[0]
    results = {}
    with ExitStack() as stack:
        paths = {form: folder / file.format(modality=modality) for form, (_, file) in FORMS.items()}
        running = {
            form: stack.enter_context(Contestant(kind, paths[form], windows))
            for form, (kind, _) in FORMS.items()
        }
        times: dict[str, list[float]] = {form: [] for form in FORMS}
        for index in [*[0] * WARM_UP, *range(count)]:
            for form, contestant in running.items():
                times[form].append(contestant.encode(index))
        for form, contestant in running.items():
            wrote = contestant.finish()
            weights = paths[form] / "weights.safetensors" if paths[form].is_dir() else paths[form]
            division = lowering.get(paths[form].stem.removeprefix(f"{modality}."))
            results[form] = Result(
                weights.stat().st_size,
                contestant.loaded * 1e3,
                contestant.first * 1e3,
                times[form][WARM_UP:],
                float(wrote["peak"][0]),
                wrote["embeddings"],
                None if division is None else Delegation(**division),
            )
    return results


def show(console: Console, modality: str, results: Mapping[str, Result]) -> None:
    """Print an encoder's table."""
    table = Table(
        "form", "MB", "load, ms", "first, ms", "median, ms", "p95, ms", "x ONNX", "peak, MB", "delegated",
        "cosine", title=modality, title_justify="left",
    )  # fmt: skip
    reference, expected = results[REFERENCE], results["torch eager"].embeddings
    for form, found in results.items():
        ratio = statistics.median(a / b for a, b in zip(found.times, reference.times, strict=True))
        median, p95 = np.percentile(found.times, [50, 95])
        lengths = np.linalg.norm(found.embeddings, axis=1) * np.linalg.norm(expected, axis=1)
        cosine = float(((found.embeddings * expected).sum(axis=1) / lengths).mean())
        table.add_row(
            form,
            f"{found.bytes / 1e6:.2f}",
            f"{found.load:.0f}",
            f"{found.first:.0f}",
            f"{median:.2f}",
            f"{p95:.2f}",
            f"{ratio:.2f}",
            f"{found.peak:.0f}",
            _share(found.delegation),
            f"{cosine:.5f}",
        )
    console.print(table)
    floats, int8 = results[".pte float"], results[".pte int8 static"]
    faster = statistics.median(a / b for a, b in zip(floats.times, int8.times, strict=True))
    rival = results["ONNX Runtime int8 static"]
    beside = statistics.median(a / b for a, b in zip(int8.times, rival.times, strict=True))
    console.print(
        f"  .pte int8: {faster:.2f} x faster than .pte float, {int8.bytes / floats.bytes:.3f} of its size, "
        f"{beside:.2f} of the time of ONNX Runtime int8 static"
    )


def _share(delegation: Delegation | None) -> str:
    if delegation is None:
        return ""
    inside, outside = sum(delegation.delegated.values()), sum(delegation.remaining.values())
    return f"{inside / (inside + outside):.1%} in {delegation.subgraphs}"


def drops(
    console: Console, model: Model, held_out: Clips, results: Mapping[str, Mapping[str, Result]]
) -> None:
    """Print, for each form, the points of accuracy that its worst subset loses against torch eager."""
    assert held_out.targets is not None
    modalities, targets = sorted(results), held_out.targets.numpy()
    head = Head(model.head.weight.detach().numpy(), model.head.bias.detach().numpy(), model.description.task)
    names = [name(subset) for subset in subsets(modalities)]
    accuracy = {}
    for form in FORMS:
        stacked = np.zeros((len(modalities), len(held_out), head.weight.shape[1]), dtype=np.float32)
        for row, m in zip(stacked, modalities, strict=True):
            row[held_out.present[m].numpy()] = results[m][form].embeddings
        accuracy[form] = []
        for subset, pooled in zip(subsets(modalities), pool_subsets(stacked), strict=True):
            has = np.all([held_out.present[m].numpy() for m in subset], axis=0)
            accuracy[form].append(100 * score(head.probabilities(pooled[has]), targets[has], head.task))
    table = Table("form", "worst drop, points", "on", *names, title="accuracy, %", title_justify="left")
    for form, found in accuracy.items():
        lost = np.subtract(accuracy["torch eager"], found)
        worst = int(lost.argmax())
        table.add_row(form, f"{lost[worst]:.2f}", names[worst], *(f"{value:.1f}" for value in found))
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", help="a run folder, or vit_b16")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--windows", type=int, help="held-out windows (default: 400 of a run, 8 of vit_b16)")
    parser.add_argument("--modalities", nargs="+", default=["audio", "text", "video"])
    arguments = parser.parse_args()
    if arguments.what == "vit_b16":
        model, calibration, held_out = of_vit_b16(arguments.modalities, arguments.windows or 8)
        work = arguments.work or Path("benchmark")
    else:
        model, calibration, held_out = of_run(Path(arguments.what), arguments.windows or 400)
        work = arguments.work or Path(arguments.what) / "benchmark"
    console = Console(width=160)
    results = {}
    for modality in (m for m in model.modalities if m in arguments.modalities):
        held = held_out.inputs[modality][held_out.present[modality]]
        prepare(model, modality, calibration[modality], held, work / modality)
        results[modality] = compete(modality, work / modality)
        show(console, modality, results[modality])
    if held_out.targets is not None:
        drops(console, model, held_out, results)


if __name__ == "__main__":
    main()
