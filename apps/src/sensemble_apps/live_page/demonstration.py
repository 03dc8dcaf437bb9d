"""`serve --demo`: sensors of a replay come, go and lie, until a viewer presses a button."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle
from threading import Event, Thread

from sensemble_sensors.spec import devices

from sensemble_apps.console.kinds import words_of
from sensemble_apps.web.page_sensors import PageSensors

_LIES = "swapped", 5  # the condition of every kind whose scenes are of other examples, always


@contextmanager
def demonstration(sensors: PageSensors, taken_over: Event, every: float = 6.0) -> Iterator[Thread]:
    """Unplug each sensor or device and plug it back, then let the last sensor lie, while the block runs.

    It stops where it is when `taken_over` is set, or at the end of the block. A step lasts `every` seconds.
    """

    def run() -> None:
        for step in cycle(_steps(sensors)):
            if taken_over.wait(every):
                return
            step()

    thread = Thread(target=run, name="sensemble demonstration", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        taken_over.set()
        thread.join()


def _steps(sensors: PageSensors) -> list[Callable[[], None]]:
    shown = sorted(sensors.all, key=lambda one: -words_of(one.modality).weight)
    names = [sensor.name for sensor in shown]
    known = devices(sensors.specs)
    owners = {m: device for device, carried in known.items() for m in carried}
    pulls = dict.fromkeys(owners.get(sensor.modality, sensor.name) for sensor in shown)
    pulled = [partial(do, name) for name in pulls for do in (sensors.unplug, sensors.plug)]
    lies = partial(sensors.degrade, names[-1], *_LIES)
    return [*pulled, lies, _pass, _pass, partial(sensors.degrade, names[-1], None, 1), _pass]


def _pass() -> None:
    """Leave everything as the last step left it."""
