"""`serve --demo`: sensors of a replay come, go and lie, but for a minute after each press of a viewer."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import cycle
from threading import Event, Thread

from sensemble_sensors.spec import devices

from sensemble_apps.console.kinds import display_of, words_of
from sensemble_apps.live_page.session_page import SessionPage
from sensemble_apps.web.page_sensors import PageSensor, PageSensors

IDLE = 60.0  # seconds after the last press
_LIE = "swapped", 5  # the condition of every kind whose scenes are of other examples, always
_SAID = {"occlusion": "covered", "noise": "in noise", "dead": "dead", "dropped": "with words missing"}

Step = tuple[str, Callable[[], None]]
"""Words for each thing that the demo does, and the way it does it."""


@contextmanager
def demonstration(page: SessionPage, every: float = 6.0) -> Iterator[Thread]:
    """Unplug each sensor or device and plug it back, cover the most useful one, let it and the last one lie.

    This goes on while the block runs, a step each `every` seconds, and says in `page.demo` what it does. It
    waits while a viewer presses buttons or gives sensors, and begins anew `IDLE` seconds after that.
    """
    clock, over = page.session.clock, Event()

    def run() -> None:
        replayed = [sensor for sensor in page.sensors.all if sensor.played]
        steps = cycle(_steps(page.sensors, replayed))
        page.say_demo("all sensors are on")
        while not clock.wait(over, every):
            if page.demo:
                pressed, (words, act) = page.pressed, next(steps)
                act()
                page.say_demo(words if page.pressed == pressed else "")
            elif clock.now() >= page.pressed + IDLE and all(one.played for one in page.sensors.plugged):
                steps = cycle(_steps(page.sensors, replayed))
                for sensor in replayed:
                    page.sensors.degrade(sensor.name, None, 1)
                    page.sensors.plug(sensor.name)
                page.say_demo("all sensors are on")

    thread = Thread(target=run, name="sensemble demonstration", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        over.set()
        thread.join()


def _steps(sensors: PageSensors, replayed: Sequence[PageSensor]) -> Iterator[Step]:
    shown = sorted(replayed, key=lambda one: -words_of(one.modality).weight)
    known = devices(sensors.specs)
    owners = {m: device for device, carried in known.items() for m in carried}
    for name in dict.fromkeys(owners.get(sensor.modality, sensor.name) for sensor in shown):
        title = name if name in known else next(one.title or name for one in shown if one.name == name)
        yield f"{title} unplugged", partial(sensors.unplug, name)
        yield f"{title} plugged back", partial(sensors.plug, name)
    first, last = shown[0], shown[-1]
    staged = display_of(sensors.specs[first.modality]).staged
    worst = (staged[0].condition, staged[0].severity) if staged else _LIE
    for one, (condition, severity) in ((first, worst), (first, _LIE), (last, _LIE)):
        title = one.title or one.name
        caption = f"{title} {_SAID.get(condition, 'lying, from another example')}"
        yield caption, partial(sensors.degrade, one.name, condition, severity)
        yield caption, _nothing
        yield f"{title} in order again", partial(sensors.degrade, one.name, None, 1)


def _nothing() -> None:
    """Leave everything as the last step left it."""
