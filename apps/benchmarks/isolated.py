"""The cost of a camera in a process of its own: `uv run python apps/benchmarks/isolated.py`.

Prints the memory (MB: resident, and the share that is its alone) and the threads of a worker with a network
camera on the loopback, beside those of the process that started it.
"""

import os
import sys
from pathlib import Path
from time import monotonic

from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.spec import InputSpec

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.parts import NetworkCamera

SPEC = InputSpec("video", "uint8", (1, 8, 224, 224, 3), 8, 1.0, 0.5, 2.0)


def cost(pid: int) -> str:
    """Return what a process takes, as one line."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {name: int(size) for name, size, *_ in map(str.split, lines)}
    alone = kilobytes["Private_Clean:"] + kilobytes["Private_Dirty:"]
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    return f"{kilobytes['Rss:'] >> 10:4} MB resident, {alone >> 10:4} MB its alone, {threads} threads"


def main() -> None:
    network_camera = NetworkCamera()
    try:
        cameras = [Isolated(Camera, network_camera.address) for _ in range(2)]
        for camera in cameras:
            began = monotonic()
            camera.open(SPEC)
            while camera.read(1) is None:
                pass
            sys.stdout.write(f"opened, and the first picture, in {monotonic() - began:.1f} s\n")
        for _ in range(60):
            for camera in cameras:
                camera.read(1)
        for camera in cameras:
            sys.stdout.write(f"worker   {cost(camera.pid or 0)}\n")
            camera.close()
        sys.stdout.write(f"starter  {cost(os.getpid())} (a server of pictures runs in it)\n")
    finally:
        network_camera.switch_off()


if __name__ == "__main__":
    main()
