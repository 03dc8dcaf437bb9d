"""The cost of a live session of a camera and a microphone: memory, processor time and wake-ups.

`uv run python apps/benchmarks/live_cost.py BUNDLE [--seconds N]` runs `sensemble run` on a network camera of
20 pictures a second and a microphone of PulseAudio that hears speech, with each sensor in a process of its
own and then with `--in-process`, with and without a camera that sleeps, and prints of all its processes
together

- private megabytes (`Private_*` of `/proc/PID/smaps_rollup`), and what they share with others in proportion;
- seconds of a processor that a minute takes, from `/proc/PID/stat`;
- how often a second one of their threads woke up, from `voluntary_ctxt_switches`;
- answers a second;
- watts of the whole machine, where it counts energy (`joules`): run it on battery, with nothing else at work.

Camera and sound server are other processes, and are counted in watts alone. The first five seconds are left
out.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread

from rich.console import Console
from rich.table import Table
from sensemble_runtime.bundle.manifest import FILE_NAME
from sensemble_runtime.bundle.manifest_file import read_manifest, write_manifest

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.parts import NetworkCamera, running_sound_server, speech

_TICKS = os.sysconf("SC_CLK_TCK")
_WARM = 5.0  # seconds until a session is as it stays


@dataclass(frozen=True, slots=True)
class Usage:
    """The resources that a process and its children have used until now.

    Attributes:
        private: kB of memory that no other process has.
        shared: kB of the rest, in proportion to who shares it.
        seconds: of a processor.
        wakes: how often a thread went on after it had waited.
    """

    private: int
    shared: int
    seconds: float
    wakes: int


def main() -> None:
    """Print a row for each form of session."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    table = Table("sensors", box=None)
    sizes = "private MB", "shared MB", "processes"
    for column in (*sizes, "CPU s a minute", "wake-ups a s", "answers a s", "W"):
        table.add_column(column, justify="right")
    with (
        tempfile.TemporaryDirectory() as folder,
        running_sound_server(Path(folder)) as server,
        server.play(speech(Path(folder) / "speech.wav", int(2 * arguments.seconds + 120))) as player,
    ):
        sleepy = never_woken(arguments.bundle, Path(folder) / "bundle")
        for option in ((), ("--in-process",)):
            name = "in threads" if option else "in processes"
            table.add_row(name, *measured(arguments.bundle, arguments.seconds, option))
            if sleepy:
                cells = measured(sleepy, arguments.seconds, (*option, "--sparing"))
                table.add_row(f"{name}, camera asleep", *cells)
        player.terminate()
    Console(width=100).print(table)


def never_woken(bundle: Path, to: Path) -> Path | None:
    """Copy a bundle whose policy lets sensors sleep, and let it wake them for nothing; None without one."""
    contents = read_manifest(bundle / FILE_NAME)
    sparing = contents.calibration.sparing
    if sparing is None:
        return None
    calibration = replace(contents.calibration, sparing=replace(sparing, wake=0.0))
    shutil.copytree(bundle, to)
    write_manifest(replace(contents, calibration=calibration), to / FILE_NAME)
    return to


def measured(bundle: Path, seconds: float, option: tuple[str, ...]) -> list[str]:
    """Return the cells of one session."""
    camera = NetworkCamera()
    sensors = ("--camera", camera.address, "--microphone", "speaker.monitor", *option)
    program = str(Path(sys.executable).with_name("sensemble"))
    command = [program, "run", str(bundle), *sensors, "--json"]
    answers: list[float] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout is not None
        lines = session.stdout

        def read() -> None:
            answers.extend(time.monotonic() for line in lines if '"label"' in line)

        reader = Thread(target=read)
        reader.start()
        while not answers:
            time.sleep(0.1)
            assert session.poll() is None, "the session ended"
        time.sleep(_WARM)
        began, first, spent = time.monotonic(), usage(session.pid), joules()
        time.sleep(seconds)
        ended, last, spent_at_last = time.monotonic(), usage(session.pid), joules()
        count = len(family(session.pid))
        session.terminate()
        reader.join()
    camera.switch_off()
    took = ended - began
    given = sum(began < at <= ended for at in answers)
    used = 0.0 if spent is None or spent_at_last is None else spent_at_last - spent
    return [
        f"{last.private / 1024:.0f}",
        f"{last.shared / 1024:.0f}",
        str(count),
        f"{60 * (last.seconds - first.seconds) / took:.1f}",
        f"{(last.wakes - first.wakes) / took:.0f}",
        f"{given / took:.1f}",
        f"{used / took:.2f}" if used > 0 else "-",  # on mains, a battery gives nothing; a counter may restart
    ]


def joules(devices: Path = Path("/sys/class")) -> float | None:
    """Return a counter of joules that this machine used, from any zero on; None if it has none to read.

    It is that of the processors' packages (RAPL; Linux lets root alone read it), or what is missing in the
    first battery, whose own counter moves every few seconds or minutes.
    """
    packages = [*devices.glob("powercap/intel-rapl:[0-9]/energy_uj")]
    if packages and all(os.access(package, os.R_OK) for package in packages):
        return sum(float(package.read_text()) for package in packages) / 1e6
    for battery in sorted(devices.glob("power_supply/*")):
        if (energy := battery / "energy_now").exists():  # µWh
            return -3600e-6 * float(energy.read_text())
        if (charge := battery / "charge_now").exists():  # µAh, at a voltage in µV that load does not move
            return -3600e-12 * float(charge.read_text()) * float((battery / "voltage_min_design").read_text())
    return None


def family(pid: int) -> list[int]:
    """Return a process and all that it started."""
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return [pid, *(each for child in children for each in family(child))]


def usage(pid: int) -> Usage:
    """Return the resources that a process and its children have used."""
    private = shared = ticks = wakes = 0
    for each in family(pid):
        folder = Path(f"/proc/{each}")
        for line in (folder / "smaps_rollup").read_text().splitlines()[1:]:
            field, kilobytes, *_ = line.split()
            private += int(kilobytes) * field.startswith("Private_")
            shared += int(kilobytes) * (field == "Pss:")
        ticks += sum(map(int, (folder / "stat").read_text().rpartition(")")[2].split()[11:13]))
        for task in (folder / "task").iterdir():
            status = (task / "status").read_text()
            wakes += int(status.partition("voluntary_ctxt_switches:")[2].split()[0])
    return Usage(private, shared - private, ticks / _TICKS, wakes)


if __name__ == "__main__":
    main()
