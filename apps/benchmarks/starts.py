"""False alarms of a camera and a microphone on a busy machine: `python apps/benchmarks/starts.py BUNDLE`.

Starts a session with a microphone on a PulseAudio server and an MJPEG camera on the loopback, each in a
process of its own, again and again, under three busy loops for each core. Nothing is wrong with either, so
whatever is reported of them but that they were attached is a false alarm; how far the sound was behind the
pictures at most says how close it came to one.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.session import Session
from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.devices.microphone import Microphone
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.supervision.events import STATES, Event

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.parts import NetworkCamera, noise, running_sound_server

LOOPS = 3  # busy ones for each core
OPENING = 60.0  # seconds that both may take to open
LOOK = 0.05  # seconds between two looks at how far they are apart


@dataclass
class Start:
    """The result of one start: the events other than `attached`, and the greatest distance in seconds."""

    reported: list[str] = field(default_factory=list)
    apart: float = 0.0
    attached: int = 0

    def __call__(self, item: Prediction | Event) -> None:
        if isinstance(item, Event) and item.kind in STATES:
            self.attached += item.kind == "attached"
            if item.kind != "attached":
                self.reported.append(f"{item.modality} {item.kind}: {item.text}")


def start(bundle: Bundle, address: str, seconds: float) -> Start:
    """Start a session, and watch it for so many seconds from when both sensors were open."""
    found = Start()
    with Session(bundle) as session:
        session.subscribe(found)
        session.attach(Isolated(Microphone, "default", "microphone"))
        session.attach(Isolated(Camera, address, "camera"))
        until = monotonic() + OPENING
        opened = False
        while monotonic() < until:
            threading.Event().wait(LOOK)
            if found.attached == 2 and not opened:
                opened, until = True, monotonic() + seconds
            lags = {life.modality: life.lag for life in session._engine._lives.values()}
            sound, pictures = lags["audio"], lags["video"]
            if sound is not None and pictures is not None:
                found.apart = max(found.apart, sound - pictures)
        reported = list(found.reported)
    return Start(reported, found.apart, found.attached)  # without what closing reports


def spin() -> None:
    while True:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path, help="of audio and video")
    parser.add_argument("--starts", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0, help="for which each is watched")
    arguments = parser.parse_args()
    bundle = Bundle.open(arguments.bundle)
    loops = [multiprocessing.Process(target=spin, daemon=True) for _ in range(LOOPS * (os.cpu_count() or 1))]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(running_sound_server(folder))
        server.play(noise(folder / "noise.wav", 0.3, seconds=3600))
        camera = NetworkCamera()
        stack.callback(camera.switch_off)
        for loop in loops:
            loop.start()
            stack.callback(loop.kill)
        starts = []
        for i in range(arguments.starts):
            starts.append(start(bundle, camera.address, arguments.seconds))
            reported = "; ".join(starts[-1].reported) or "nothing"
            sys.stdout.write(f"{i + 1:4} {starts[-1].apart:6.3f} s apart, reported {reported}\n")
            sys.stdout.flush()
    alarms = Counter(reason for found in starts for reason in found.reported)
    false = sum(bool(found.reported) for found in starts)
    apart = max(found.apart for found in starts)
    sys.stdout.write(f"{false} of {len(starts)} starts with a false alarm; {apart:.2f} s apart at most\n")
    for reason, count in alarms.most_common():
        sys.stdout.write(f"{count:4} {reason}\n")


if __name__ == "__main__":
    main()
