"""`serve --demo`: sensors of a replay come, go and lie, until a viewer presses a button."""

from collections.abc import Callable
from functools import partial
from itertools import cycle
from threading import Event, Thread
from typing import Self

from sensemble_apps.console.kinds import words_of
from sensemble_apps.web.page_sensors import PageSensor, PageSensors

_LIES = "swapped", 5  # the condition of every kind whose scenes are of other examples, always


class Demonstration:
    """Unplugs each sensor and plugs it back, then lets the last one lie; again and again.

    It stops where it is when `taken_over` is set, or at the end of its block. A step lasts `every` seconds.
    """

    def __init__(self, sensors: PageSensors, taken_over: Event, every: float = 6.0) -> None:
        self._sensors, self._over, self._every = sensors, taken_over, every
        self._thread = Thread(target=self._run, name="sensemble demonstration", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        for step in cycle(self._steps(sorted(self._sensors.all, key=_weight))):
            if self._over.wait(self._every):
                return
            step()

    def _steps(self, sensors: list[PageSensor]) -> list[Callable[[], None]]:
        act, names = self._sensors, [sensor.name for sensor in sensors]
        pulled = [partial(do, name) for name in names for do in (act.unplug, act.plug)]
        lies = partial(act.degrade, names[-1], *_LIES)
        return [*pulled, lies, _pass, _pass, partial(act.degrade, names[-1], None, 1), _pass]


def _weight(sensor: PageSensor) -> int:
    return -words_of(sensor.modality).weight


def _pass() -> None:
    """Leave everything as the last step left it."""
