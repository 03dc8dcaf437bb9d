"""The live page of a run's model: a session on the studio's sensors."""

import math
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import SessionError
from sensemble_runtime.session.session import Session
from sensemble_sensors.clock import Clock
from sensemble_sensors.errors import RecordingError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sample_queue import QueuedSensor, SampleQueue
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.types import Receive, Scope, Send

from sensemble_apps.console.kinds import words_of
from sensemble_apps.console.output import remark
from sensemble_apps.console.wording import answer_as_json
from sensemble_apps.live_page.api import routes
from sensemble_apps.live_page.examples import examples_of_classes
from sensemble_apps.live_page.session_page import SessionPage
from sensemble_apps.running.capture import Capture

_WAITING = 64  # samples that wait for the session
_SILENT = 1.5  # seconds without a sample after which the studio has no such sensor
_LOOK = 0.1  # seconds between two checks for that


class Follower(QueuedSensor):
    """Hands the studio's samples of one modality to a session, converted as in training."""

    def __init__(self, modality: str, specs: Mapping[str, InputSpec], clock: Clock) -> None:
        self.modality, self._clock = modality, clock
        self.name = f"{words_of(modality).sensor} of the studio"
        self._form = kind_of(specs[modality]).form(specs[modality])
        self._ready: deque[Sample] = deque()  # converted, and not read yet
        self._last = -math.inf  # when the last sample came

    @property
    def is_fresh(self) -> bool:
        """True while samples come."""
        return self._clock.now() - self._last < _SILENT

    def open(self, spec: InputSpec) -> None:
        """Follow from now on."""
        kind = kind_of(spec)
        self._converter = kind.converter(spec)
        self._ready.clear()
        self._queue = SampleQueue(_WAITING, continuous=kind.continuous)

    def read(self, timeout: float) -> Sample | None:
        """Return the next sample; see `Sensor`."""
        if not self._ready and (sample := super().read(timeout)) is not None:
            self._ready.extend(self._converter.convert(sample, self._form))
        return self._ready.popleft() if self._ready else None

    def put(self, sample: Sample) -> None:
        """Add a sample of the studio; it is dropped while nobody reads."""
        self._last = self._clock.now()
        queue = self._queue
        if queue is not None:
            queue.put(sample)


class LiveSession:
    """A session on the studio's sensors, of a bundle learned from `data`; `app` serves its `page`."""

    def __init__(self, bundle: Bundle, capture: Capture, specs: Mapping[str, InputSpec], data: Path) -> None:
        session = Session(bundle, lasting=True, clock=capture.clock)
        self.page = SessionPage(session, data.with_name("recordings"), session.clock.now())
        self.session_state, self._data = self.page.session_state, data
        self._show_examples(bundle)
        self.app = Starlette(routes=routes(self.page, home="../"))
        shared = [modality for modality in bundle.specs if modality in specs]
        self._followers = {modality: Follower(modality, specs, capture.clock) for modality in shared}
        self._capture, self._samples = capture, capture.listen(self._follow)
        self._over = Event()
        self._threads = [Thread(target=act, daemon=True) for act in (self.page.follow, self._attend)]

    def start(self) -> None:
        """Answer from now on."""
        for thread in self._threads:
            thread.start()

    def answer(self) -> dict[str, Any] | None:
        """Return the newest answer for JSON, with the probability of every class."""
        prediction = self.page.session.view().prediction
        if prediction is None:
            return None
        probabilities = dict(zip(prediction.labels, map(float, prediction.probabilities), strict=True))
        more = {
            "live": list(prediction.live),
            "unfamiliar": list(prediction.unfamiliar),
            "probabilities": probabilities,
        }
        return {**answer_as_json(prediction), **more}

    def replace_head(self, bundle: Bundle) -> bool:
        """Go on with the head of another bundle; False if its encoders are others."""
        self._show_examples(bundle)
        replaced = self.page.session.replace_head(bundle)
        self.page.session_state.touch()
        return replaced

    def close(self) -> None:
        """End the session."""
        self._over.set()
        self._capture.unsubscribe(self._samples)
        for end in (self.page.recorder.stop, self.page.session.close):
            try:
                end()
            except (RecordingError, SessionError) as error:  # the rest is still closed
                remark(f"sensemble: {error}")
        for thread in self._threads:
            thread.join()

    def _show_examples(self, bundle: Bundle) -> None:
        self.session_state.examples = examples_of_classes(self._data, bundle.manifest.labels, bundle.specs)

    def _follow(self, _: str, sample: Sample) -> None:
        if (follower := self._followers.get(sample.modality)) is not None:
            follower.put(sample)

    def _attend(self) -> None:
        """Attach a follower while the studio's sensors give samples of its modality, and only then."""
        attached: dict[str, str] = {}  # names by modality
        while not self._over.wait(_LOOK):
            for modality, follower in self._followers.items():
                if follower.is_fresh and modality not in attached:
                    with suppress(SessionError):  # it is closed meanwhile
                        attached[modality] = self.page.sensors.add(follower)
                elif not follower.is_fresh and modality in attached:
                    self.page.sensors.remove(attached.pop(modality))


class LivePage:
    """The live page at the studio's address: that of the open session, else a redirection to the studio."""

    def __init__(self) -> None:
        self.session: LiveSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        session = self.session
        if session is not None:
            await session.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1013, "reason": "no model is live"})
        else:
            await RedirectResponse("/", 303)(scope, receive, send)
