"""The messages to the viewers of a session's page."""

import math
from dataclasses import asdict
from functools import partial
from time import monotonic
from typing import Any

from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.errors import printable

from sensemble_apps.serve.board import Board
from sensemble_apps.serve.session_page import SessionPage
from sensemble_apps.web.clients import Messages, describe_modalities
from sensemble_apps.web.viewers import EVERY

_ROUNDED = 1e-3  # seconds by which the time of an answer may be off


def messages(page: SessionPage, home: str | None, *, replayed: bool, demo: bool) -> Messages:
    """Yield the messages to one client: `hello` at first and once another bundle answers, and states.

    A state has what is new to this client. `home` is the page that this one belongs to; `replayed` says that
    a replay plays, `demo` that sensors come and go by themselves until somebody presses a button.
    """
    board = page.board
    known: dict[str, int] = {}  # previews that it has
    entries = 0  # of the timeline, that it has
    greeted = ""  # the fingerprint of the bundle that it knows
    place = printable(str(page.recordings.absolute()))
    while True:
        bundle, snapshot = board.newest()
        if bundle.fingerprint != greeted:
            greeted, entries = bundle.fingerprint, 0  # the page begins its timeline again
            own = {"home": home, "replayed": replayed, "recordings": place, "examples": board.examples}
            yield {"type": "hello", **hello(bundle), "every": EVERY, **own}
            continue
        state = {"type": "state", **snapshot, "timeline": board.timeline(entries)}
        if state["timeline"]:
            entries = state["timeline"][-1]["number"]
        state["demo"] = demo and not page.used.is_set()
        state["previews"] = board.sensors.previews(known, partial(_until, board, state["answer"]))
        yield state


def _until(board: Board, answer: dict[str, Any] | None, modality: str) -> float:
    """Return up to when samples are shown: those of the answer's window, in the pace of its last hop."""
    if answer is None:
        return math.inf
    age, hop = answer["ages"].get(modality, answer["age"]), board.bundle.specs[modality].hop
    made = board.began + answer["time"]
    return float(made - age + min(0.0, monotonic() - made - hop) + _ROUNDED)


def hello(bundle: Bundle) -> dict[str, Any]:
    """Return the constants of a bundle: its name, labels, modalities and subsets."""
    return {
        "bundle": printable("/".join(bundle.path.resolve().parts[-2:])),
        "fingerprint": bundle.fingerprint,
        "labels": list(bundle.manifest.labels),
        "modalities": describe_modalities(bundle.specs),
        "subsets": audited(bundle),
        "promise": bundle.manifest.calibration.promise,
    }


def audited(bundle: Bundle) -> list[dict[str, Any]]:
    """Return the subsets of the bundle's modalities with their audited scores, null where there is none."""
    rows = []
    for subset in subsets.measured(bundle.modalities):
        score = bundle.manifest.audited.get(subsets.name(subset))
        numbers = {"accuracy": None} if score is None else asdict(score)
        rows.append({"subset": subsets.name(subset), "modalities": list(subset), **numbers})
    return rows
