"""The parts of a session's page: sensors, a recorder, the newest state, and the buttons."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sensemble_runtime.session.session import Session
from sensemble_sensors.errors import RecordingError
from sensemble_sensors.kinds.conditions.condition import SEVERITIES
from sensemble_sensors.lines import Fields
from sensemble_sensors.supervision import events

from sensemble_apps.console.output import remark
from sensemble_apps.errors import InputError
from sensemble_apps.live_page.session_state import SessionState
from sensemble_apps.running.outputs import Output, Outputs
from sensemble_apps.running.recorder import Recorder
from sensemble_apps.running.view_events import ExampleAt, Opened, view_event
from sensemble_apps.web.clients import Action
from sensemble_apps.web.page_sensors import PageSensors


class SessionPage:
    """A session's page; its buttons are for the page and for programs alike.

    Args:
        session: an open session, whose stream `follow` shows.
        recordings: the folder that the page's button records into.
        began: the time of the session's clock from which the times of the stream count.
        others: further outputs of the session.

    Attributes:
        outputs: the others and `session_state`.
        actions: by message type; an action may wait, so call none from an event loop.
        recordings: the folder that the page's button records into.
        demo: what a demo does now, in words; empty where none plays, or a viewer has taken over.
        pressed: the time of the session's clock at which a viewer did something last.
    """

    def __init__(
        self, session: Session, recordings: Path, began: float, others: Sequence[Output] = ()
    ) -> None:
        self.session, self.recordings = session, recordings
        self.sensors = PageSensors(session, session.bundle.specs)
        self.recorder = Recorder(session, session.bundle.specs, self._recording_failed)
        self.session_state = SessionState(session, self.sensors, self.recorder, began)
        # The state last, so that whatever the page shows is also written if the process stops now.
        self.outputs = Outputs([*others, self.session_state])
        self.outputs.show(Opened(began, session.view, session))
        self.demo, self.pressed = "", -math.inf
        actions: dict[str, Action] = {
            "unplug": lambda given: self.sensors.unplug(given.string("sensor")),
            "plug": lambda given: self.sensors.plug(given.string("sensor")),
            "condition": self._degrade,
            "label": self._label,
            "record": self._record,
            "wake": lambda _: self.session.wake(),
        }
        self.actions = {name: partial(self._use, act) for name, act in actions.items()}

    def follow(self, example_at: ExampleAt | None = None) -> None:
        """Show the session's stream to the outputs until it ends, with the examples that a replay plays."""
        for item in self.session.stream():
            self.outputs.show(view_event(item, self.session_state.began, example_at))

    def press(self) -> None:
        """Note that a viewer does something: a demo gives way."""
        self.pressed = self.session.clock.now()
        self.say_demo("")

    def say_demo(self, words: str) -> None:
        """Say what a demo does now; nothing if it gives way."""
        self.demo = words
        self.session_state.touch()

    def _use(self, act: Action, given: Fields) -> Any:  # noqa: ANN401 - what the action answers
        self.press()
        return act(given)

    def _degrade(self, given: Fields) -> None:
        severity = given.integer("severity", SEVERITIES[0], SEVERITIES[-1])
        self.sensors.degrade(given.string("sensor"), given.text("condition"), severity)
        self.session_state.touch()

    def _label(self, given: Fields) -> None:
        """Set the true label, to score predictions by; null for none."""
        label, labels = given.text("label"), self.session.bundle.manifest.labels
        if label is not None and label not in labels:
            raise InputError(f"{label}: no such label; there are {', '.join(labels)}")
        self.session_state.say(label)

    def _record(self, given: Fields) -> None:
        if on := given.flag("on"):
            self.recorder.start(self.recordings)
        else:
            self.recorder.stop()
        self._report("recording began" if on else "recording ended", "")

    def _recording_failed(self, error: RecordingError) -> None:
        remark(f"sensemble: {error}")
        self._report("recording failed", str(error))

    def _report(self, kind: str, text: str) -> None:
        self.outputs.show(events.Event(self.session.clock.now() - self.session_state.began, kind, text=text))
