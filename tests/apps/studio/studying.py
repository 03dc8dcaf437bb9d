"""A studio that is served in this process, sensors that never tire, and the clients that talk to it."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import numpy as np
from sensemble_apps.studio.api import routes
from sensemble_apps.studio.project import Project
from sensemble_apps.studio.studio import SPECS, Studio
from sensemble_apps.web.clients import largest_message
from sensemble_apps.web.security import Access
from sensemble_apps.web.server import listen, running_server
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

from tests.apps.clips import CLASSES
from tests.apps.http_client import ServedPage


class Steady:
    """A camera or a microphone that shows or plays the class that it is told to."""

    def __init__(self, modality: str, label: str = "zero") -> None:
        self.modality, self.name, self.label = modality, f"steady {modality}", label
        self._rng = np.random.default_rng(0)
        self._next = 0.0
        self._begun = True

    def open(self, spec: InputSpec) -> None:
        self._spec, self._next, self._begun = spec, monotonic(), True

    def read(self, timeout: float) -> Sample | None:
        time.sleep(min(timeout, max(0.0, self._next - monotonic())))
        now = monotonic()
        if now < self._next:
            return None
        colour, hertz = CLASSES[self.label]
        cut, self._begun = self._begun, False
        if self.modality == "video":
            self._next += 0.1
            picture = self._rng.normal(colour, 12, self._spec.shape[2:])
            return Sample("video", np.clip(picture, 0, 255).astype(np.uint8), now, cut=cut)
        count = round(0.1 * self._spec.rate)
        times = self._next + np.arange(count) / self._spec.rate
        self._next += 0.1
        wave = 0.4 * np.sin(2 * np.pi * hertz * times) + self._rng.normal(0, 0.02, count)
        return Sample("audio", wave.astype(np.float32), now, cut=cut)

    def close(self) -> None: ...


@dataclass(kw_only=True)
class Studying(ServedPage):
    """A studio that is served."""

    studio: Studio

    def act(self, action: str, **given: object) -> str:
        """Act as a program does; give why it is refused, or nothing."""
        status, _, body = self.ask(f"/api/{action}", "POST", given)
        return "" if status == 204 else str(json.loads(body)["reason"])

    def take(self, label: str | None, seconds: float = 1.0, *, background: bool = False) -> int:
        """Record a take, wait until it is on the disk, and return its number."""
        before = len(self.state()["project"]["takes"])
        given = {"class": label, "seconds": seconds, "background": background}
        failure = ""
        while len(self.state()["project"]["takes"]) == before:
            assert failure == "" or "no sensor gave a sample" in failure, failure  # on a slow machine
            assert self.act("record", **given) == ""
            failure = self.wait(
                lambda state: (
                    state["take"] is None and (state["failure"] or len(state["project"]["takes"]) > before)
                )
            )["failure"]
        return int(self.state()["project"]["takes"][0]["number"])


@contextmanager
def studying(
    folder: Path, *sensors: Steady, countdown: float = 0.1, options: Sequence[str] = ("--from-scratch",)
) -> Iterator[Studying]:
    """Serve a studio on a free port of the loopback."""
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    with Project(folder) as project, closing(Studio(project, countdown, options)) as studio:
        for sensor in sensors:
            studio.sensors.add(sensor)
        with running_server(listening, Access(), routes(studio), largest_message(SPECS)):
            served = Studying(studio=studio, port=port)
            served.wait(lambda _: all(sensor.newest for sensor in studio.sensors.all))
            yield served


__all__ = ["SPECS", "Steady", "Studying", "studying"]
