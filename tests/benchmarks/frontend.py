"""In-graph log-mel beside torchaudio's: eager in torch, and as a .pte in the runtime.

`uv run python tests/benchmarks/frontend.py` prints, for batches of 1 and 16 recordings of 8 s, the
median milliseconds of `LogMel` and of `torchaudio.compliance.kaldi.fbank` (one recording at a time) on two
threads, and their ratio; then the program's milliseconds for one recording, and its size.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from sensemble_export.lower import lower
from sensemble_export.parity import measure
from sensemble_train.frontend import RATE, LogMel
from torch import Tensor
from torchaudio.compliance import kaldi

SECONDS, RUNS, THREADS = 8, 30, 2


def fbank(waves: Tensor) -> Tensor:
    """Kaldi's features of [B, S]."""
    settings = {"num_mel_bins": 128, "window_type": "hamming", "htk_compat": True, "use_energy": False}
    return torch.stack([kaldi.fbank(wave[None], sample_frequency=RATE, **settings) for wave in waves])


def milliseconds(run: Callable[[Tensor], Tensor], waves: Tensor) -> float:
    """The median of some runs, after two that do not count."""
    times = []
    for _ in range(RUNS + 2):
        start = time.perf_counter()
        run(waves)
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:]) * 1e3


def main() -> None:
    torch.set_num_threads(THREADS)
    log_mel = LogMel()
    waves = 0.1 * torch.randn(16, SECONDS * RATE)
    with torch.no_grad():
        for batch in (1, 16):
            ours, theirs = (milliseconds(run, waves[:batch]) for run in (log_mel, fbank))
            print(
                f"eager, batch {batch:2}: {ours:6.2f} ms, torchaudio {theirs:6.2f} ms: {ours / theirs:.2f} x"
            )
        one = milliseconds(fbank, waves[:1])
    with tempfile.TemporaryDirectory() as folder:
        program, windows = Path(folder) / "log_mel.pte", Path(folder) / "windows.safetensors"
        program.write_bytes(lower(log_mel, waves[:1]).program)
        save_file({"windows": waves.repeat(3, 1)}, windows)
        found = measure(program, "executorch-xnnpack", windows)
        size = program.stat().st_size / 1e3
    print(f".pte, {size:.0f} kB: {found.median_ms:.2f} ms, {found.median_ms / one:.2f} x torchaudio's eager")


if __name__ == "__main__":
    main()
