"""The same .pte in a fresh process, by sensemble_runtime and by executorch.runtime.

`uv run python tests/benchmarks/runtime_startup.py [PROGRAM.pte]` prints, for each: seconds from the start of
the process to its first output, peak resident memory, median latency of a run; and the ratios. Without a
program it exports a small audio transformer (d 192, 4 layers, 100 tokens), float, into a temporary folder.
Each figure is the median of three processes; the two sides take turns.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROCESSES = 3
MEASURES = {"to first output (s)": "first", "peak resident (MB)": "peak", "latency (ms)": "latency"}

MEASURE = """
import json, statistics, sys, time
from pathlib import Path
import numpy as np

program, started = sys.argv[1], float(sys.argv[2])
{load}
first = time.time() - started
times = []
for _ in range(400):
    start = time.perf_counter()
    run()
    times.append(time.perf_counter() - start)
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6
output = np.asarray(run()).ravel().tolist()
latency = statistics.median(times[50:]) * 1e3
print(json.dumps({"first": first, "peak": peak, "latency": latency, "output": output}))
"""

SENSEMBLE = """
from sensemble_runtime.executors._native import Module
module = Module(Path(program).read_bytes())
dtype, shape = module.input
window = np.ones(shape, dtype)
run = lambda: module(window)
run()
"""

EXECUTORCH = """
import torch
from executorch.runtime import Runtime
method = Runtime.get().load_program(program).load_method("forward")
info = method.metadata.input_tensor_meta(0)
dtype = {0: torch.uint8, 4: torch.int64, 6: torch.float32}[info.dtype()]
window = torch.ones(info.sizes(), dtype=dtype)
run = lambda: method.execute([window])[0]
run()
"""

EXPORT = """
import sys
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from pathlib import Path
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(192, 576), nn.Linear(192, 192)
        self.up, self.down = nn.Linear(192, 768), nn.Linear(768, 192)
    def forward(self, x):
        q, k, v = self.qkv(x).reshape(100, 3, 3, 64).permute(1, 2, 0, 3).unbind(0)
        attention = torch.softmax(torch.bmm(q / 8, k.transpose(1, 2)), -1)
        x = x + self.out(torch.bmm(attention, v).permute(1, 0, 2).reshape(100, 192))
        return x + self.down(torch.nn.functional.gelu(self.up(x)))

class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.blocks = nn.Linear(160, 192), nn.Sequential(*(Block() for _ in range(4)))
    def forward(self, wave):
        return self.blocks(self.stem(wave.reshape(100, 160))).mean(0, keepdim=True)

torch.manual_seed(0)
program = torch.export.export(Encoder().eval(), (torch.zeros(1, 16000),))
lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
Path(sys.argv[1]).write_bytes(lowered.buffer)
"""


def measure(load: str, program: Path) -> dict[str, float]:
    script = MEASURE.replace("{load}", load)
    command = [sys.executable, "-c", script, str(program), str(time.time())]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("program", type=Path, nargs="?")
    program: Path | None = parser.parse_args().program
    with tempfile.TemporaryDirectory() as folder:
        if program is None:
            program = Path(folder) / "encoder.pte"
            subprocess.run([sys.executable, "-c", EXPORT, program], check=True, capture_output=True)
        runs = [(measure(SENSEMBLE, program), measure(EXECUTORCH, program)) for _ in range(PROCESSES)]
    ours, theirs = zip(*runs, strict=True)
    assert ours[0]["output"] == theirs[0]["output"], "the two give different outputs"
    print(f"{'':22}{'sensemble_runtime':>18}{'executorch.runtime':>20}{'ratio':>8}")
    for title, key in MEASURES.items():
        a, b = (statistics.median(run[key] for run in side) for side in (ours, theirs))
        print(f"{title:22}{a:18.2f}{b:20.2f}{b / a:7.1f}x")


if __name__ == "__main__":
    main()
