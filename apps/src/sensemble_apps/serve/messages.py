"""The messages to a viewer of the live page."""

import math
from dataclasses import asdict
from time import monotonic
from typing import Any

from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.errors import printable

from sensemble_apps.serve.board import Board
from sensemble_apps.web.clients import describe_modalities
from sensemble_apps.web.viewers import EVERY

_ROUNDED = 1e-3  # seconds by which the time of an answer may be off


class LiveMessages:
    """The states of a board for one client; see `Messages`."""

    def __init__(self, board: Board, home: str | None, *, demo: bool = False) -> None:
        self._board, self._home, self._demo = board, home, demo
        # What the client has: previews, the answer, entries of the timeline, labels.
        self._known: dict[str, int] = {}
        self._answer: dict[str, Any] | None = None
        self._entries = 0
        self._labels: tuple[str, ...] = ()

    def hello(self) -> dict[str, Any]:
        """Return the first message; see `hello`."""
        self._labels = self._board.bundle.manifest.labels
        return {"type": "hello", **hello(self._board), "every": EVERY, "home": self._home, "demo": self._demo}

    def next(self) -> dict[str, Any]:
        """Return the state, with what is new to this client; `hello` again once the labels are others."""
        board = self._board
        if board.bundle.manifest.labels != self._labels:
            return self.hello()
        state = {"type": "state", **board.snapshot(), "timeline": board.timeline(self._entries)}
        if state["timeline"]:
            self._entries = state["timeline"][-1]["number"]
        self._answer = state["answer"]
        state["previews"] = board.sensors.previews(self._known, self._until)
        return state

    def _until(self, modality: str) -> float:
        """Return up to when samples are shown: those of the answer's window, in the pace of its last hop."""
        answer = self._answer
        if answer is None:
            return math.inf
        age, hop = answer["ages"].get(modality, answer["age"]), self._board.bundle.specs[modality].hop
        made = self._board.began + answer["time"]
        return float(made - age + min(0.0, monotonic() - made - hop) + _ROUNDED)


def hello(board: Board) -> dict[str, Any]:
    """Return the constants of a session: the bundle, its labels, modalities and subsets."""
    bundle = board.bundle
    return {
        "bundle": printable("/".join(bundle.path.resolve().parts[-2:])),
        "fingerprint": bundle.fingerprint,
        "labels": list(bundle.manifest.labels),
        "modalities": describe_modalities(bundle.specs),
        "subsets": audited(bundle),
    }


def audited(bundle: Bundle) -> list[dict[str, Any]]:
    """Return the subsets of the bundle's modalities with their audited scores, null where there is none."""
    rows = []
    for subset in subsets.measured(bundle.modalities):
        score = bundle.manifest.audited.get(subsets.name(subset))
        numbers = {"accuracy": None} if score is None else asdict(score)
        rows.append({"subset": subsets.name(subset), "modalities": list(subset), **numbers})
    return rows
