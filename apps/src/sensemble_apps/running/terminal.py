"""The view in a terminal: sensors with their states, the live set, latencies, the most probable classes."""

import math
from collections import deque
from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from threading import Lock
from typing import Self

import numpy as np
from rich import get_console
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.view import View
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.supervision.sensor_view import SensorView

from sensemble_apps.console.conditions import described
from sensemble_apps.console.kinds import display_of
from sensemble_apps.console.wording import answer, audited, sensor_title, set_title
from sensemble_apps.running.view_events import (
    Opened,
    Predicted,
    Stamp,
    ViewEvent,
    event_line,
    event_words,
    has_line,
    in_words,
    seconds,
    time_of_day,
)

_TOP = 5  # classes that are shown, at least
_MOST = 10  # if there are so many candidates
_EVENTS = 100  # kept; the newest that fit are shown
# A narrow terminal omits the last columns first.
_COLUMNS = ("alone", "level", "age", "encoded in", "dropped")
_WIDTHS = (14, 8, 6, 10, 7)
_NAMES = 34  # width of the columns for sensors and states
_REFRESH = 2.0  # pictures a second while nothing happens, so that a countdown skips no second


class TerminalOutput:
    """Redraws the screen with each prediction and event, and twice a second; a context manager.

    Lines of `devices` begin as those of `LineOutput`.
    """

    def __init__(self, bundle: Bundle, conditions: Sequence[Applied] = (), *, devices: bool = False) -> None:
        self._devices = devices
        self._stamp: Stamp = seconds
        self._conditions = [Text(f"! {described(applied)}", "yellow") for applied in conditions]
        self._labels = bundle.manifest.labels
        self._modalities, self._specs = bundle.modalities, bundle.specs
        self._events: deque[str] = deque(maxlen=_EVENTS)
        self._example: Example | None = None  # of the newest answer
        self._opened: Opened | None = None
        self._view: View | None = None  # at the newest event; None before the first
        self._lock = Lock()  # of the fields above, which the screen's thread also reads
        self._console = get_console()
        self._screen = Live(get_renderable=self._picture, refresh_per_second=_REFRESH)

    def __enter__(self) -> Self:
        self._screen.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._screen.stop()

    def show(self, event: ViewEvent) -> None:
        """Redraw the screen with `event`."""
        with self._lock:
            if isinstance(event, Opened):
                self._opened = event
                self._stamp = partial(time_of_day, event) if self._devices else seconds
            elif isinstance(event, Predicted):
                self._example = event.example
            elif has_line(event):
                self._events.append(event_line(event, self._stamp))
            if self._opened is not None:
                self._view = self._opened.view()
        self._screen.refresh()

    def _picture(self) -> RenderableType:
        with self._lock:
            if self._opened is not None and self._opened.session is not None:
                self._view = self._opened.view()  # a virtual one runs in the thread that shows its items
            return Text("waiting for a session", "dim") if self._view is None else self._drawn(self._view)

    def _drawn(self, view: View) -> RenderableType:
        console = self._console
        failures = [Text(f"! {event_words(event)}", "red") for event in view.faults if not event.modality]
        above = Group(
            self._sensors(view), *self._conditions, *failures, _answer(view), self._classes(view.prediction)
        )
        room = console.height - 1 - len(console.render_lines(above, pad=False))
        return Group(above, self._newest(max(room, 1)))

    def _newest(self, room: int) -> Text:
        console = self._console
        lines: list[Text] = []
        for event in reversed(self._events):
            lines = [*Text(event, "dim").wrap(console, console.width), *lines]
            if len(lines) >= room:
                break
        return Text("\n").join(lines[-room:])

    def _sensors(self, view: View) -> Table:
        table = Table(box=None, pad_edge=False)
        for title in ("sensor", "state", *_COLUMNS[: self._room]):
            table.add_column(title, style="default", header_style="dim", no_wrap=title in _COLUMNS)
        for m in self._modalities:
            live = m in view.live
            mark, style = ("●", "green") if live else ("○", "dim")
            own = [one for one in view.sensors if one.modality == m]
            shown = [one for one in own if one.attached] or own[-1:]
            fault = view.fault(m)
            if len(shown) <= 1:
                # The one sensor that plays a modality of a dataset needs no name.
                name = next((one.name for one in shown if one.name != f"replay {m}"), "")
                state = event_words(fault) if fault else _state(shown[0], view.time) if shown else "absent"
                table.add_row(
                    _cell(f"{mark} {sensor_title(m, name)}", style), _cell(state), *self._numbers(view, m)
                )
                continue
            # Of several sensors, the numbers belong to the modality, and each sensor has its own state.
            words = "" if fault is None else event_words(fault)
            table.add_row(_cell(f"{mark} {sensor_title(m)}", style), _cell(words), *self._numbers(view, m))
            for one in shown:
                active = live and one.active
                title = f"  {mark if active else ' '} {one.name}"
                table.add_row(_cell(title, style if active else ""), _cell(_state(one, view.time)))
        return table

    @property
    def _room(self) -> int:
        """The number of columns that fit next to sensors and states."""
        ends = accumulate(width + 1 for width in _WIDTHS)
        return sum(_NAMES + end <= self._console.width for end in ends)

    def _numbers(self, view: View, modality: str) -> tuple[str, ...]:
        prediction = view.prediction
        if prediction is None:
            return ()
        live = modality in view.live
        known = live or modality in (*prediction.unfamiliar, *(prediction.suspect or "").split("+"))
        opinion = prediction.opinions.get(modality) if known else None
        numbers = (
            f"{opinion.best or ''}{'' if opinion.sure else '?'} {opinion.percent}%" if opinion else "",
            display_of(self._specs[modality]).level(prediction.levels[modality])
            if modality in prediction.levels
            else "",
            f"{prediction.ages[modality]:.1f} s" if live and modality in prediction.ages else "",
            f"{1e3 * view.latencies[modality]:.1f} ms" if live and modality in view.latencies else "",
            str(prediction.dropped.get(modality, 0)),
        )
        return numbers[: self._room]

    def _classes(self, prediction: Prediction | None) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim")
        if prediction is None:
            return table
        bar, example = min(30, self._console.width // 2), self._example
        truth = f"true: {', '.join(example.labels)}" if example and example.labels else ""
        for title in ("class", "probability", truth):
            table.add_column(title, no_wrap=True)
        candidates = () if prediction.sure else prediction.candidates
        shown = min(max(_TOP, len(candidates)), _MOST)
        for index in np.argsort(-prediction.probabilities, kind="stable")[:shown]:
            share = float(prediction.probabilities[index])
            label = self._labels[index]
            style = "bold green" if example and label in example.labels else ""
            title = f"{label}?" if label in candidates else label
            table.add_row(
                Text(title, style=style),
                ProgressBar(1.0, share, width=bar),
                f"{min(share, 1 if prediction.sure else 0.99):4.0%}",
            )
        return table


def _answer(view: View) -> Text:
    prediction = view.prediction
    if prediction is None:
        return Text("nothing is live" if view.latencies else "waiting for a first window", "dim")
    text = Text(answer(prediction), "bold green" if prediction.sure else "bold yellow")
    if prediction.audited is not None:
        of = set_title(prediction.live)
        text.append(f"  {of}: {audited(prediction.audited)}", "dim")
    return text


def _state(sensor: SensorView, now: float) -> str:
    """Return the state of a sensor, with the seconds until it is tried again if it waits for that."""
    if sensor.retry_at is None:
        return in_words(sensor.state, sensor.why)
    # The seconds first: a narrow screen cuts the end.
    wait = max(1, math.ceil(sensor.retry_at - now))
    return f"retry in {wait} s, {in_words(sensor.state, sensor.why)}"


def _cell(text: str, style: str = "") -> Text:
    """Return a cell of a line, which a narrow screen cuts: the events below have the whole text."""
    return Text(text, style, no_wrap=True, overflow="ellipsis")
