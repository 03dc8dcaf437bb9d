"""The states of the studio that one client is sent."""

from typing import Any

from sensemble_apps.studio.project import CLASSES
from sensemble_apps.studio.project import LONGEST as LONGEST_NAME
from sensemble_apps.studio.recorder import LONGEST, MOST, SHORTEST
from sensemble_apps.studio.studio import Studio
from sensemble_apps.web.clients import EVERY, describe_modalities


class StudioFeed:
    """See `Feed`; the project's summary is sent when it has changed.

    Args:
        studio: what is shown.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._known: dict[str, int] = {}  # previews that it has
        self._seen = (-1, -1)
        self._summary = -1

    def hello(self) -> dict[str, Any]:
        """Return what does not change: the modalities, and the bounds of what may be asked for."""
        return {
            "type": "hello",
            "folder": self._studio.project.folder.resolve().name,
            "modalities": describe_modalities(self._studio.bench.specs),
            "bounds": {
                "classes": CLASSES,
                "name": LONGEST_NAME,
                "shortest": SHORTEST,
                "longest": LONGEST,
                "row": MOST,
            },
            "every": EVERY,
        }

    def has_news(self) -> bool:
        """Return whether something has changed, or a sensor has given something."""
        now = (self._studio.version, self._studio.bench.version)
        return now != self._seen or self._studio.recorder.busy or self._studio.previews.has_news(self._known)

    def next(self) -> dict[str, Any]:
        """Return the newest state, with what the sensors gave last."""
        return {**self.state(), "previews": self._studio.previews.new(self._known)}

    def state(self) -> dict[str, Any]:
        """Return the newest state."""
        studio, job = self._studio, self._studio.job
        self._seen = (studio.version, studio.bench.version)
        with studio.bench.changed:
            taps = studio.bench.switchboard.taps
            names = {tap.name for tap in taps}
            studio.bench.states.forget(names)
            studio.previews.forget(names)
            sensors = [studio.bench.states.describe(tap) for tap in taps]
        state = {
            "type": "state",
            "sensors": sensors,
            "take": studio.recorder.snapshot(),
            "failure": studio.failure,
            "training": None if job is None else job.snapshot(),
            "answer": None if (session := studio.live.session) is None else session.answer(),
        }
        if self._summary != studio.version:
            self._summary = studio.version
            state["project"] = studio.summary
        return state
