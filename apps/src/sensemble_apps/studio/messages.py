"""The messages to a viewer of the studio."""

from dataclasses import asdict
from typing import Any

from sensemble_apps.running.takes import SHORTEST, TakeProgress
from sensemble_apps.studio.project import CLASSES
from sensemble_apps.studio.project import LONGEST as LONGEST_NAME
from sensemble_apps.studio.studio import IN_A_ROW, LONGEST, SPECS, Studio
from sensemble_apps.web.clients import describe_modalities
from sensemble_apps.web.viewers import EVERY


class StudioMessages:
    """See `Messages`; the project's summary is sent when it has changed."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._known: dict[str, int] = {}  # previews that it has
        self._summary = -1

    def hello(self) -> dict[str, Any]:
        """Return the modalities, and the bounds of what a client may ask for."""
        return {
            "type": "hello",
            "folder": self._studio.project.folder.resolve().name,
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

    def next(self) -> dict[str, Any]:
        """Return the newest state, with the newest previews."""
        return {**self.state(), "previews": self._studio.sensors.previews(self._known)}

    def state(self) -> dict[str, Any]:
        """Return the newest state."""
        studio, job = self._studio, self._studio.job
        # First: a change from here on is in the next state, or the page would show it with an older training.
        version, project = studio.version, studio.summary
        state = {
            "type": "state",
            "sensors": studio.sensors.describe(),
            "take": _take(studio.recorder.progress),
            "failure": studio.failure,
            "training": None if job is None else job.snapshot(),
            "answer": None if (session := studio.live.session) is None else session.answer(),
        }
        if self._summary != version:
            self._summary = version
            state["project"] = project
        return state


def _take(progress: TakeProgress | None) -> dict[str, Any] | None:
    if progress is None:
        return None
    fields = asdict(progress) | {"left": round(progress.left, 2)}
    del fields["until"]
    return fields
