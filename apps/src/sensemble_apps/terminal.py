"""The live picture in a terminal: sensors and their state, the live set, the top classes, latencies."""

from collections import deque
from types import TracebackType
from typing import Self

import numpy as np
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from sensemble_runtime.bundle import Bundle

from sensemble_apps.names import SENSORS
from sensemble_apps.stream import Change, LiveSet, News, Said
from sensemble_apps.views import change_line, nothing_line

_TOP = 5
_CHANGES = 5


class TerminalView:
    """Redraws itself with each prediction and change; a context manager."""

    def __init__(self, bundle: Bundle) -> None:
        self._labels = bundle.manifest.labels
        self._modalities = bundle.modalities
        self._states: dict[str, str] = {}
        self._changes: deque[str] = deque(maxlen=_CHANGES)
        self._said: Said | None = None
        self._live = LiveSet(float("-inf"), ())
        self._screen = Live(auto_refresh=False)

    def __enter__(self) -> Self:
        self._screen.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._screen.stop()

    def show(self, news: News) -> None:
        """Draw the picture anew with `news` in it."""
        if isinstance(news, Change):
            self._states[news.modality] = news.event
            self._changes.append(change_line(news))
        elif isinstance(news, LiveSet):
            self._live = news
            if not news.live:
                self._changes.append(nothing_line(news))
        else:
            self._said = news
            # Predictions and live sets come by two ways: the later one says what is live now.
            if news.time > self._live.time:
                self._live = LiveSet(news.time, news.prediction.live)
        self._screen.update(self._picture(), refresh=True)

    def _picture(self) -> RenderableType:
        changes = Text("\n".join(self._changes), style="dim")
        return Group(self._sensors(), self._classes(), changes)

    def _sensors(self) -> Table:
        said = self._said
        table = Table(box=None, pad_edge=False)
        for title in ("sensor", "state", "age", "encoded in", "dropped"):
            table.add_column(title, style="default", header_style="dim")
        for m in self._modalities:
            live = m in self._live.live
            table.add_row(
                Text(f"{'●' if live else '○'} {SENSORS[m]}", style="green" if live else "dim"),
                self._states.get(m, "absent"),
                f"{said.prediction.ages[m]:.1f} s" if said and live and m in said.prediction.ages else "",
                f"{1e3 * said.prediction.latencies[m]:.1f} ms"
                if said and m in said.prediction.latencies
                else "",
                str(said.prediction.dropped.get(m, 0)) if said else "",
            )
        return table

    def _classes(self) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False)
        if self._said is None or not self._live.live:
            nothing = "waiting for a first window" if self._said is None else "nothing is live"
            table.add_row(Text(nothing, style="dim"))
            return table
        probabilities, example = self._said.prediction.probabilities, self._said.example
        for index in np.argsort(-probabilities, kind="stable")[:_TOP]:
            share = float(probabilities[index])
            label = self._labels[index]
            style = "bold green" if example and label in example.labels else ""
            table.add_row(Text(label, style=style), ProgressBar(1.0, share, width=30), f"{share:4.0%}")
        return table
