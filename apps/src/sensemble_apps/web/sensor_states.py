"""The states of a page's sensors in words, from the events of a session or a recording."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sensemble_apps.running.view_events import FAULTS, Change
from sensemble_apps.web.page_sensors import PageSensor

_GONE = ("detached", "ended", "failed")


@dataclass(frozen=True, slots=True)
class _State:
    """The state of a sensor since `time`: its last event, in words, by kind, and its reason."""

    words: str
    kind: str
    reason: str
    time: float


class SensorStates:
    """The last state of each sensor, and of each modality as a whole; for one thread at a time."""

    def __init__(self) -> None:
        self._states: dict[str, _State] = {}
        self._notes: dict[str, Change] = {}  # what is to be said of a modality as a whole
        self._active: dict[str, str] = {}

    def note(self, shown: Change) -> None:
        """Note an event."""
        if shown.active:
            self._active[shown.modality] = shown.name
        elif shown.name:
            self._states[shown.name] = _State(shown.event, shown.kind, shown.reason, shown.time)
        elif shown.over:
            self._notes.pop(shown.modality, None)
        elif shown.modality:
            self._notes[shown.modality] = shown

    def forget(self, names: Collection[str]) -> None:
        """Forget all sensors but `names`: a browser that left never comes back under its name."""
        self._states = {name: state for name, state in self._states.items() if name in names}

    def is_used(self, sensor: PageSensor) -> bool:
        """Return whether a sensor is plugged in and, of several of its modality, the active one."""
        described = self.describe(sensor)
        return bool(described["plugged"] and described["active"])

    def describe(self, sensor: PageSensor) -> dict[str, Any]:
        """Return a sensor with its state, as JSON holds it."""
        name, modality = sensor.name, sensor.modality
        state = self._states.get(name, _State("is being opened", "", "", 0.0))
        note = self._notes.get(modality)
        return {
            "name": name,
            "modality": modality,
            "kind": state.kind,
            "title": sensor.title,
            "state": state.words,
            "reason": state.reason,
            "note": "" if note is None else note.event,
            "noted": "" if note is None else note.kind,
            "since": round(state.time, 3),
            "plugged": state.kind not in _GONE,
            "fault": state.kind in FAULTS,
            "active": self._active.get(modality, name) == name,
            "condition": None if sensor.condition is None else sensor.condition.to_json(),
        }
