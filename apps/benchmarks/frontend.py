"""In-graph log-mel beside torchaudio's: eager in torch, and as a .pte in the runtime.

`uv run python apps/benchmarks/frontend.py` prints, for batches of 1 and 16 recordings of 8 s, the
median milliseconds of `LogMel`, eager and lowered to XNNPACK, and of `torchaudio.compliance.kaldi.fbank` (one
recording at a time) on two threads, how many times torchaudio's time ours take, and the size of the program.
The three take turns.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from sensemble_export.to_executorch import lower
from sensemble_runtime.executors._native import Module
from sensemble_train.models.frontend import RATE, LogMel
from torch import Tensor
from torchaudio.compliance import kaldi

SECONDS, RUNS, THREADS = 8, 30, 2


def fbank(waves: Tensor) -> Tensor:
    """Kaldi's features of [B, S]."""
    settings = {"num_mel_bins": 128, "window_type": "hamming", "htk_compat": True, "use_energy": False}
    return torch.stack([kaldi.fbank(wave[None], sample_frequency=RATE, **settings) for wave in waves])


def milliseconds(runs: Sequence[Callable[[], object]]) -> list[float]:
    """The median of each, which take turns, after two rounds that do not count."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(RUNS + 2):
        for run, found in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            found.append(time.perf_counter() - start)
    return [statistics.median(found[2:]) * 1e3 for found in times]


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    torch.set_num_threads(THREADS)
    log_mel = LogMel()
    waves = 0.1 * torch.randn(16, SECONDS * RATE)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        for batch in (1, 16):
            some = waves[:batch].clone()
            program = Path(folder) / f"{batch}.pte"
            program.write_bytes(lower(log_mel, some).files[""])
            lowered = partial(Module(program.read_bytes(), THREADS), some.numpy())
            eager, pte, theirs = milliseconds([partial(log_mel, some), lowered, partial(fbank, some)])
            print(
                f"batch {batch:2}: torchaudio {theirs:.2f} ms; eager {eager:.2f} ms, {eager / theirs:.2f} x; "
                f".pte {pte:6.2f} ms, {pte / theirs:.2f} x; {program.stat().st_size / 1e3:.0f} kB"
            )


if __name__ == "__main__":
    main()
