"""The view in a terminal: sensors with their states, the live set, latencies, the most probable classes."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import accumulate
from threading import Lock
from time import monotonic
from typing import Self

import numpy as np
from rich import get_console
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.session.session import Session
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.supervision.events import Event

from sensemble_apps.console.conditions import described
from sensemble_apps.console.kinds import display_of
from sensemble_apps.console.wording import answer, audited, sensor_title
from sensemble_apps.running.view_events import OVER, Opened, Predicted, ViewEvent, event_line, event_words

_TOP = 5  # classes that are shown, at least
_MOST = 10  # if there are so many candidates
_EVENTS = 100  # kept; the newest that fit are shown
# A narrow terminal omits the last columns first.
_COLUMNS = ("alone", "level", "age", "encoded in", "dropped")
_WIDTHS = (14, 8, 6, 10, 7)
_NAMES = 34  # width of the columns for sensors and states
_REFRESH = 2.0  # pictures a second while nothing happens, so that a countdown skips no second


class TerminalOutput:
    """Redraws the screen with each prediction and event, and twice a second; a context manager."""

    def __init__(self, bundle: Bundle, conditions: Sequence[Applied] = ()) -> None:
        self._conditions = [Text(f"! {described(applied)}", "yellow") for applied in conditions]
        self._labels = bundle.manifest.labels
        self._modalities, self._specs = bundle.modalities, bundle.specs
        # Modality and sensor's name -> state; a whole modality's state has an empty name.
        self._states: dict[str, dict[str, Event]] = {m: {} for m in self._modalities}
        self._active: dict[str, str] = {}  # the name of the active sensor, of several, by modality
        self._latencies: dict[str, float] = {}  # the last by modality: a prediction may lack some
        self._events: deque[str] = deque(maxlen=_EVENTS)
        self._predicted: Predicted | None = None
        self._failures: list[Text] = []  # of the record, while it cannot be written
        self._live: tuple[str, ...] = ()
        self._session: Session | None = None  # None in virtual time, where no sensor is lost
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
            self._add(event)
        self._screen.refresh()

    def _add(self, event: ViewEvent) -> None:
        if isinstance(event, Opened):
            self._session = event.session
        elif isinstance(event, Predicted):
            self._predicted = event
            self._latencies |= event.prediction.latencies
            self._live = event.prediction.live
        elif event.kind == "live":
            self._live = event.live
        else:
            if event.kind == "active":
                self._active[event.modality] = event.sensor
            elif event.kind in OVER:
                self._states[event.modality].pop(event.sensor, None)
            elif event.modality:
                self._states[event.modality][event.sensor] = event
            elif event.kind in ("record failed", "recorded"):
                failed = event.kind == "record failed"
                self._failures = [Text(f"! {event_words(event)}", "red")] if failed else []
            self._events.append(event_line(event))

    def _picture(self) -> RenderableType:
        with self._lock:
            retries = self._session.retries if self._session is not None else {}
            return self._drawn({name: at - monotonic() for name, at in retries.items()})

    def _drawn(self, waits: Mapping[str, float]) -> RenderableType:
        console, notes = self._console, (*self._conditions, *self._failures)
        above = Group(self._sensors(waits), *notes, self._answer(), self._classes())
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

    def _sensors(self, waits: Mapping[str, float]) -> Table:
        table = Table(box=None, pad_edge=False)
        for title in ("sensor", "state", *_COLUMNS[: self._room]):
            table.add_column(title, style="default", header_style="dim", no_wrap=title in _COLUMNS)
        for m in self._modalities:
            live = m in self._live
            mark, style = ("●", "green") if live else ("○", "dim")
            states = {name: _state(event, waits.get(name)) for name, event in self._states[m].items()}
            if len(states) <= 1:
                ((name, state),) = states.items() or [("", "absent")]
                title = f"{mark} {sensor_title(m, name)}"
                table.add_row(_cell(title, style), _cell(state), *self._numbers(m))
                continue
            # Of several sensors, the numbers belong to the modality, and each sensor has its own state.
            table.add_row(
                _cell(f"{mark} {sensor_title(m)}", style), _cell(states.pop("", "")), *self._numbers(m)
            )
            for name, state in states.items():
                active = live and name == self._active.get(m)
                title = f"  {mark if active else ' '} {name}"
                table.add_row(_cell(title, style if active else ""), _cell(state))
        return table

    @property
    def _room(self) -> int:
        """The number of columns that fit next to sensors and states."""
        ends = accumulate(width + 1 for width in _WIDTHS)
        return sum(_NAMES + end <= self._console.width for end in ends)

    def _numbers(self, modality: str) -> tuple[str, ...]:
        if self._predicted is None:
            return ()
        prediction = self._predicted.prediction
        live = modality in self._live
        known = live or modality in (*prediction.unfamiliar, prediction.suspect)
        opinion = prediction.opinions.get(modality) if known else None
        numbers = (
            f"{opinion.best or ''}{'' if opinion.sure else '?'} {opinion.percent}%" if opinion else "",
            display_of(self._specs[modality]).level(prediction.levels[modality])
            if modality in prediction.levels
            else "",
            f"{prediction.ages[modality]:.1f} s" if live and modality in prediction.ages else "",
            f"{1e3 * self._latencies[modality]:.1f} ms" if live and modality in self._latencies else "",
            str(prediction.dropped.get(modality, 0)),
        )
        return numbers[: self._room]

    def _answer(self) -> Text:
        if self._predicted is None or not self._live:
            return Text("waiting for a first window" if self._predicted is None else "nothing is live", "dim")
        prediction = self._predicted.prediction
        text = Text(answer(prediction), "bold green" if prediction.sure else "bold yellow")
        if prediction.audited is not None:
            of = subsets.name(prediction.live)
            text.append(f"  {of}: {audited(prediction.audited)}", "dim")
        return text

    def _classes(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim")
        if self._predicted is None or not self._live:
            return table
        bar = min(30, self._console.width // 2)
        prediction, example = self._predicted.prediction, self._predicted.example
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


def _state(event: Event, wait: float | None) -> str:
    """Return the state of a sensor, with the seconds until it is tried again if it waits for that."""
    if wait is None or event.kind not in ("lost", "unavailable"):
        return event_words(event)
    # The seconds first: a narrow screen cuts the end.
    return f"retry in {max(1, math.ceil(wait))} s, {event.kind}: {event.text}"


def _cell(text: str, style: str = "") -> Text:
    """Return a cell of a line, which a narrow screen cuts: the events below have the whole text."""
    return Text(text, style, no_wrap=True, overflow="ellipsis")
