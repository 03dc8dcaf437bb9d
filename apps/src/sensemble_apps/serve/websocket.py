"""The states that a viewer of the live page is sent."""

import math
from typing import Any

from sensemble_sensors.errors import printable

from sensemble_apps.serve.board import Board
from sensemble_apps.serve.lattice import audited
from sensemble_apps.web.clients import EVERY, describe_modalities

_ROUNDED = 1e-3  # seconds by which the time of an answer may be off


class StateFeed:
    """The states of a board that one client is sent; see `Feed`."""

    def __init__(self, board: Board, home: str | None) -> None:
        self._board, self._home = board, home
        self._seen = -1
        self._known: dict[str, int] = {}  # previews that it has
        self._until = math.inf  # when the newest window of the answer that it has ended
        self._entries = 0  # of the timeline that it has

    def hello(self) -> dict[str, Any]:
        """Return the first message; see `hello`."""
        return {"type": "hello", **hello(self._board), "every": EVERY, "home": self._home}

    def has_news(self) -> bool:
        """Return whether the board has changed, or a sensor has given something since the last state."""
        previews = self._board.previews
        return self._board.version != self._seen or previews.has_news(self._known, self._until)

    def next(self) -> dict[str, Any]:
        """Return the state, with what is new to this client."""
        board = self._board
        self._seen = board.version
        state = {"type": "state", **board.snapshot(), "timeline": board.timeline(self._entries)}
        if state["timeline"]:
            self._entries = state["timeline"][-1]["number"]
        answer = state["answer"]
        self._until = board.began + answer["time"] - answer["age"] + _ROUNDED if answer else math.inf
        state["previews"] = board.previews.new(self._known, self._until)
        return state


def hello(board: Board) -> dict[str, Any]:
    """Return what does not change while a session runs: the bundle, its labels, modalities and subsets."""
    bundle = board.bundle
    return {
        "bundle": printable("/".join(bundle.path.resolve().parts[-2:])),
        "fingerprint": bundle.fingerprint,
        "labels": list(bundle.manifest.labels),
        "modalities": describe_modalities(bundle.specs),
        "subsets": audited(bundle),
    }
