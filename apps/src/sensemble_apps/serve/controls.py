"""The buttons of a served session, for the page and for programs alike."""

from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from sensemble_apps.errors import InputError
from sensemble_apps.serve.board import Board
from sensemble_apps.web.clients import Action
from sensemble_apps.web.messages import optional_text, text, truth, whole
from sensemble_apps.web.switchboard import Switchboard


class Controls:
    """Acts on a session, and records it into `folder`; safe from any thread.

    Attributes:
        actions: what a message of each type asks for; an action may wait, so call none from an event loop.
        used: set by the first of them.
    """

    def __init__(self, board: Board, switchboard: Switchboard, folder: Path) -> None:
        self._board, self._switchboard, self._folder = board, switchboard, folder
        self.used = Event()
        actions: dict[str, Action] = {
            "unplug": lambda given: switchboard.unplug(text(given, "sensor")),
            "plug": lambda given: switchboard.plug(text(given, "sensor")),
            "condition": self._degrade,
            "label": self._label,
            "record": self._record,
        }
        self.actions = {name: partial(self._use, act) for name, act in actions.items()}

    def _use(self, act: Action, given: dict[str, Any]) -> Any:  # noqa: ANN401 - what the action answers
        self.used.set()
        return act(given)

    def _degrade(self, given: dict[str, Any]) -> None:
        condition, severity = optional_text(given, "condition"), whole(given, "severity")
        self._switchboard.degrade(text(given, "sensor"), condition, severity)
        self._board.touch()

    def _label(self, given: dict[str, Any]) -> None:
        """Set the true label, by which predictions are scored; null for none."""
        label, labels = optional_text(given, "label"), self._board.bundle.manifest.labels
        if label is not None and label not in labels:
            raise InputError(f"{label}: no such label; there are {', '.join(labels)}")
        self._board.say(label)

    def _record(self, given: dict[str, Any]) -> None:
        if truth(given, "on"):
            self._switchboard.record(self._folder)
        else:
            self._switchboard.stop_recording()
        self._board.touch()
