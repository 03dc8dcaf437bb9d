"""This runtime, ExecuTorch's own and ONNX Runtime, each installed alone, on the same int8 encoders.

    uv run python apps/benchmarks/contenders.py BUNDLE --onnx BUNDLE --wheels FOLDER

BUNDLE holds int8 encoders as `.pte`, `--onnx` the same ones exported with `--target onnx`, and FOLDER what
`runtime/wheels` builds. Each runtime gets a separate environment: its megabytes, packages and seconds to
install (from uv's cache: no download). Then fresh processes run each encoder, in turns: seconds to import and
to load, mean milliseconds of a window, peak resident memory, and how many windows two threads encode in the
time of one. Each has one thread, but ExecuTorch's Python runtime, which takes all cores and has no setting.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROUNDS = 3

MEASURE = """
import json, statistics, sys, threading, time
from pathlib import Path
import numpy as np

artifact, began = Path(sys.argv[1]), time.perf_counter()
{imports}
imported = time.perf_counter()
{load}
loaded = time.perf_counter()
random = np.random.default_rng(0)
full = random.integers(0, 255, shape) if dtype == "uint8" else np.ones(shape)
window = full.astype(dtype)
encode(window)

def rate(threads, seconds=3):
    counts = [0] * threads
    def work(index):
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            encode(window)
            counts[index] += 1
    workers = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
    return sum(counts) / seconds

alone = rate(1)
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6
print(json.dumps([imported - began, loaded - imported, 1e3 / alone, peak, rate(2) / alone]))
"""
COLUMNS = ("import (s)", "load (s)", "window (ms)", "peak (MB)", "two threads")


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime: what is installed, and the code that makes `encode`, `dtype` and `shape` of `artifact`."""

    name: str
    requirements: tuple[str, ...]
    imports: str
    load: str
    suffix: str = ".pte"


RUNTIMES = (
    Runtime(
        "sensemble-runtime",
        ("sensemble-runtime",),
        "from sensemble_runtime.executors._native import Module",
        "encode = Module(artifact.read_bytes(), 1, insist=True)\ndtype, shape = encode.input",
    ),
    Runtime(
        "executorch.runtime",
        ("executorch", "torch", "numpy"),
        "import torch\nfrom executorch.runtime import Runtime",
        "method = Runtime.get().load_program(artifact).load_method('forward')\n"
        "meta = method.metadata.input_tensor_meta(0)\n"
        "dtype = {0: 'uint8', 4: 'int64', 6: 'float32'}[meta.dtype()]\nshape = meta.sizes()\n"
        "encode = lambda window: method.execute([torch.from_numpy(window)])[0]",
    ),
    Runtime(
        "onnxruntime",
        ("onnxruntime",),
        "import onnxruntime",
        "options = onnxruntime.SessionOptions()\noptions.intra_op_num_threads = 1\n"
        "session = onnxruntime.InferenceSession(artifact, options, providers=['CPUExecutionProvider'])\n"
        "(entry,) = session.get_inputs()\nshape = entry.shape\n"
        "types = {'tensor(uint8)': 'uint8', 'tensor(int64)': 'int64', 'tensor(float)': 'float32'}\n"
        "dtype = types[entry.type]\n"
        "encode = lambda window: session.run(None, {entry.name: window})",
        ".onnx",
    ),
)


def install(runtime: Runtime, folder: Path, wheels: Path) -> tuple[float, int, int]:
    """Install a runtime into a new environment; return seconds, megabytes and packages."""
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, folder], check=True)
    began = time.perf_counter()
    into: list[str | Path] = ["--python", folder, "--find-links", wheels]
    subprocess.run(["uv", "pip", "install", "--quiet", *into, *runtime.requirements], check=True)
    seconds = time.perf_counter() - began
    (packages,) = folder.glob("lib/python3*/site-packages")
    size = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file())
    return seconds, round(size / 1e6), len(list(packages.glob("*.dist-info")))


def measure(runtime: Runtime, environment: Path, artifact: Path) -> list[float]:
    """Run an encoder in a fresh process of the runtime's environment; return the figures of `COLUMNS`."""
    script = MEASURE.replace("{imports}", runtime.imports).replace("{load}", runtime.load)
    command: list[str | Path] = [environment / "bin/python", "-c", script, artifact]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: list[float] = json.loads(run.stdout.splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--onnx", type=Path, required=True)
    parser.add_argument("--wheels", type=Path, required=True)
    given = parser.parse_args()
    with TemporaryDirectory() as scratch:
        environments = {runtime.name: Path(scratch) / runtime.name for runtime in RUNTIMES}
        for runtime in RUNTIMES:
            seconds, size, packages = install(runtime, environments[runtime.name], given.wheels)
            print(f"{runtime.name:20} {size:5} MB {packages:3} packages, installed in {seconds:.1f} s")
        for modality in sorted(path.name for path in given.bundle.iterdir() if path.is_dir()):
            rows: dict[str, list[list[float]]] = {runtime.name: [] for runtime in RUNTIMES}
            for _ in range(ROUNDS):
                for runtime in RUNTIMES:
                    folder = given.bundle if runtime.suffix == ".pte" else given.onnx
                    (artifact,) = (folder / modality).glob(f"*{runtime.suffix}")
                    rows[runtime.name].append(measure(runtime, environments[runtime.name], artifact))
            print(f"\n{modality:20}" + "".join(f"{title:>13}" for title in COLUMNS))
            for name, runs in rows.items():
                print(
                    f"{name:20}" + "".join(f"{statistics.median(c):13.2f}" for c in zip(*runs, strict=True))
                )


if __name__ == "__main__":
    main()
