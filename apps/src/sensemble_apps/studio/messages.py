"""The messages to a viewer of the studio."""

from dataclasses import asdict
from typing import Any

from sensemble_apps.running.takes import SHORTEST, TakeProgress
from sensemble_apps.studio.project import CLASSES
from sensemble_apps.studio.project import LONGEST as LONGEST_NAME
from sensemble_apps.studio.studio import IN_A_ROW, LONGEST, SPECS, Studio
from sensemble_apps.web.clients import Messages, describe_modalities
from sensemble_apps.web.viewers import EVERY


def messages(studio: Studio) -> Messages:
    """Yield the messages to one client: the modalities and the bounds of what it may ask for, then states.

    A state has the previews that are new to this client.
    """
    yield {
        "type": "hello",
        "folder": studio.project.folder.resolve().name,
        "modalities": describe_modalities(SPECS),
        "bounds": {
            "classes": CLASSES,
            "name": LONGEST_NAME,
            "shortest": SHORTEST,
            "longest": LONGEST,
            "row": IN_A_ROW,
        },
        "every": EVERY,
    }
    known: dict[str, int] = {}
    for state in states(studio):
        yield {**state, "previews": studio.sensors.previews(known)}


def states(studio: Studio) -> Messages:
    """Yield the newest state, with the project's summary when that has changed."""
    sent = -1
    while True:
        # First: a change from here on is in the next state, or the page would show it with an older training.
        version, project, job = studio.version, studio.summary, studio.job
        state = {
            "type": "state",
            "sensors": studio.sensors.describe(),
            "take": _take(studio.recorder.progress),
            "failure": studio.failure,
            "training": None if job is None else job.snapshot(),
            "answer": None if (session := studio.live.session) is None else session.answer(),
        }
        if sent != version:
            sent = version
            state["project"] = project
        yield state


def _take(progress: TakeProgress | None) -> dict[str, Any] | None:
    if progress is None:
        return None
    fields = asdict(progress) | {"left": round(progress.left, 2)}
    del fields["until"]
    return fields
