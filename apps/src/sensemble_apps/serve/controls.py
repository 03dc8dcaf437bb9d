"""The buttons of a served session, for the page and for programs alike."""

from pathlib import Path

from sensemble_apps.errors import InputError
from sensemble_apps.serve.board import Board
from sensemble_apps.web.switchboard import Switchboard


class Controls:
    """Acts on a session; safe from any thread. Each method may wait, so call none from an event loop."""

    def __init__(self, board: Board, switchboard: Switchboard, folder: Path) -> None:
        self._board, self._switchboard, self._folder = board, switchboard, folder

    def unplug(self, sensor: str) -> None:
        """Detach a sensor; see `Switchboard.unplug`."""
        self._switchboard.unplug(sensor)

    def plug(self, sensor: str) -> None:
        """Attach a sensor again; see `Switchboard.plug`."""
        self._switchboard.plug(sensor)

    def degrade(self, sensor: str, condition: str | None, severity: int) -> None:
        """Degrade a sensor; see `Switchboard.degrade`."""
        self._switchboard.degrade(sensor, condition, severity)
        self._board.touch()

    def label(self, label: str | None) -> None:
        """Say which label is true from now on, so that predictions are scored; None: nobody knows."""
        labels = self._board.bundle.manifest.labels
        if label is not None and label not in labels:
            raise InputError(f"{label}: no such label; there are {', '.join(labels)}")
        self._board.say(label)

    def record(self, *, on: bool) -> None:
        """Start or end a recording of the sensors, a take of the folder of recordings.

        Raises:
            RecordingError: the folder cannot be written.
        """
        if on:
            self._switchboard.record(self._folder)
        else:
            self._switchboard.stop_recording()
        self._board.touch()
