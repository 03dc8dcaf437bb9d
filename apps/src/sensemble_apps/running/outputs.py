"""The outputs of a running bundle: objects that show each item of its stream.

A package adds one by an entry point of the group `sensemble.outputs`: `--output NAME=ARGUMENT` calls it with
the argument and the open bundle, and it returns a context manager of an `Output`.
"""

import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, cast

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.libraries import plugin
from sensemble_sensors.supervision.events import Event

from sensemble_apps.console.output import remark, say, say_json
from sensemble_apps.console.wording import answer, answer_as_json, set_title
from sensemble_apps.errors import InputError
from sensemble_apps.running.view_events import (
    Opened,
    Predicted,
    Stamp,
    ViewEvent,
    event_as_json,
    event_line,
    has_line,
    seconds,
    time_of_day,
)

_GROUP = "sensemble.outputs"
_MACHINE = Path("/etc/machine-id")  # of Linux (machine-id(5)); elsewhere, the network card names it
_OURS = {
    "heartbeats": "sensemble_apps.integrations.heartbeats:Heartbeats",
    "mqtt": "sensemble_apps.integrations.mqtt:Publisher",
    "otlp": "sensemble_apps.integrations.otlp:Metrics",
    "rerun": "sensemble_apps.integrations.rerun_file:written",
}


class Output(Protocol):
    """Shows the items of a stream, in order and one at a time, and never waits."""

    def show(self, event: ViewEvent) -> None:
        """Show an item of the stream."""


class Outputs:
    """Several outputs as one; any thread may show an item."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        self._outputs = outputs
        self._lock = Lock()

    def show(self, event: ViewEvent) -> None:
        """Show an item of the stream to each."""
        with self._lock:
            for output in self._outputs:
                output.show(event)


def open_output(text: str, bundle: Bundle) -> AbstractContextManager[Output]:
    """Return the output that `--output NAME=ARGUMENT` names; InputError if there is none."""
    from importlib.metadata import EntryPoint, entry_points  # a tenth of a short command's imports

    name, _, argument = text.partition("=")
    ours = _OURS.get(name)
    make = EntryPoint(name, ours, _GROUP).load() if ours else plugin(_GROUP, name, InputError)
    if make is None:
        known = sorted({*_OURS, *(entry.name for entry in entry_points(group=_GROUP))})
        raise InputError(f"--output {text}: no such output; there are {', '.join(known)}")
    return cast("AbstractContextManager[Output]", make(argument, bundle))


def machine_id() -> str:
    """Return this machine's unique id, which must be hashed before it is sent or stored."""
    return _MACHINE.read_text() if _MACHINE.exists() else str(uuid.getnode())


def _prediction_as_json(predicted: Predicted) -> dict[str, Any]:
    """Return a prediction as the JSON object of `docs/reference/output.md`."""
    prediction, example = predicted.prediction, predicted.example
    return {
        "time": round(predicted.time, 6),
        "at": None if prediction.at is None else round(prediction.at, 3),
        "live": list(prediction.live),
        "ages": {m: round(age, 6) for m, age in prediction.ages.items()},
        **answer_as_json(prediction),
        "opinions": {m: answer_as_json(opinion) for m, opinion in prediction.opinions.items()},
        "audited": asdict(prediction.audited) if prediction.audited else None,
        "unfamiliar": list(prediction.unfamiliar),
        "suspect": prediction.suspect,
        "adapted": list(prediction.adapted),
        "levels": {m: round(level, 3) for m, level in prediction.levels.items()},
        "probabilities": dict(zip(prediction.labels, map(float, prediction.probabilities), strict=True)),
        "example": example.id if example else None,
        "labels": list(example.labels) if example else None,
        "latencies": {m: round(latency, 6) for m, latency in prediction.latencies.items()},
        "dropped": prediction.dropped,
        "skipped": prediction.skipped,
        "lost": prediction.lost,
    }


class JsonOutput:
    """Prints a JSON object per prediction, one when nothing is live and, with `events`, one per event.

    Events also go to standard error, as lines.
    """

    def __init__(self, *, events: bool, conditions: Sequence[Applied] = ()) -> None:
        self._events = events
        self._conditions = {"conditions": [applied.to_json() for applied in conditions]} if conditions else {}

    def show(self, event: ViewEvent) -> None:
        """Print `event`."""
        if isinstance(event, Predicted):
            say_json(_prediction_as_json(event) | self._conditions)
        elif isinstance(event, Event) and event.kind != "live":
            remark(event_line(event))
            if self._events:
                say_json(event_as_json(event))
        elif isinstance(event, Event) and not event.live:
            say_json({"time": round(event.time, 6), "live": []})


class LineOutput:
    """Prints a line for each event and, with `windows`, each prediction; one when nothing is live.

    Lines of `devices` begin with the time of day, others with the seconds of what is played.
    """

    def __init__(self, *, windows: bool, devices: bool = False) -> None:
        self._windows, self._devices = windows, devices
        self._stamp: Stamp = seconds

    def show(self, event: ViewEvent) -> None:
        """Print `event`."""
        if isinstance(event, Opened):
            if self._devices:
                self._stamp = partial(time_of_day, event)
        elif isinstance(event, Predicted):
            if self._windows:
                say(_prediction_line(event, self._stamp))
        elif has_line(event):
            say(event_line(event, self._stamp))
        elif event.kind == "live" and not event.live:
            say(f"{self._stamp(event.time)}  ---- nothing is live")


def _prediction_line(predicted: Predicted, stamp: Stamp) -> str:
    """Return a prediction as a line: time, live set, label, confidence, encoding time, and any truth."""
    prediction, example = predicted.prediction, predicted.example
    truth = (
        ""
        if example is None or not example.labels
        else "  right"
        if prediction.label in example.labels
        else f"  true: {', '.join(example.labels)}"
    )
    milliseconds = 1e3 * sum(prediction.latencies.values())
    share = f"{prediction.confidence:4.0%}" if prediction.sure else "    "  # an unsure one says it in words
    return (
        f"{stamp(predicted.time)}  {set_title(prediction.live):<30} {answer(prediction):<12} "
        f"{share}  {milliseconds:5.1f} ms{truth}"
    )
