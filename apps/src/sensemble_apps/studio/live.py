"""The live page of a run's model: a session that the studio's sensors go on in."""

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from threading import Thread

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import SessionError
from sensemble_runtime.session.session import Session
from sensemble_sensors.errors import SensorLostError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sample_queue import SampleQueue
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.types import Receive, Scope, Send

from sensemble_apps.console.kinds import kind_of as words_of
from sensemble_apps.console.output import remark
from sensemble_apps.serve.api import Api
from sensemble_apps.serve.board import Board
from sensemble_apps.serve.controls import Controls
from sensemble_apps.studio.bench import Bench
from sensemble_apps.web.switchboard import Switchboard

_WAITING = 64  # samples that wait for the session


class Follower:
    """Hands the studio's samples of one modality to a session, as a replay of a take would.

    So the live model sees and hears what it was trained on: samples of the recording's form, converted alike.

    Args:
        modality: of the samples.
        specs: the form of the studio's samples, by modality.
    """

    live = True

    def __init__(self, modality: str, specs: Mapping[str, InputSpec]) -> None:
        self.modality = modality
        self.name = f"{words_of(modality).sensor} of the studio"
        self._form = kind_of(modality).form(specs[modality])
        self._queue: SampleQueue | None = None  # None while closed
        self._ready: deque[Sample] = deque()  # converted, and not read yet

    def open(self, spec: InputSpec) -> None:
        """Follow from now on."""
        self._converter = kind_of(self.modality).converter(spec)
        self._ready.clear()
        self._queue = SampleQueue(_WAITING)

    def read(self, timeout: float) -> Sample | None:
        """Return the next sample; see `Sensor`."""
        if self._queue is None:
            raise SensorLostError(f"{self.name}: is closed")
        if not self._ready and (sample := self._queue.get(timeout)) is not None:
            self._ready.extend(self._converter.convert(sample, self._form))
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        """Follow no more."""
        self._queue = None

    def take(self, sample: Sample) -> None:
        """Take a sample of the studio; it is dropped while nobody reads."""
        queue = self._queue
        if queue is not None:
            queue.put(sample)


class LiveSession:
    """A session of a bundle on what the studio's sensors give; its page is an application.

    Args:
        bundle: an open bundle.
        bench: the studio's sensors.
        recordings: where the page's button records.

    Attributes:
        app: the live page.
    """

    def __init__(self, bundle: Bundle, bench: Bench, recordings: Path) -> None:
        self._session = Session(bundle, lasting=True)
        switchboard = Switchboard(self._session, bundle.specs)
        self._switchboard = switchboard
        self._board = Board(bundle, switchboard)
        controls = Controls(self._board, switchboard, recordings)
        self.app = Starlette(routes=Api(self._board, controls, home="../").routes)
        shared = [modality for modality in bundle.specs if modality in bench.specs]
        self._followers = {modality: Follower(modality, bench.specs) for modality in shared}
        self._thread = Thread(target=self._follow, name="sensemble live page", daemon=True)
        self._thread.start()
        for follower in self._followers.values():
            switchboard.add(follower)

    def take(self, sample: Sample) -> None:
        """Take a sample of the studio's sensors; never waits."""
        follower = self._followers.get(sample.modality)
        if follower is not None:
            follower.take(sample)

    def close(self) -> None:
        """End the session."""
        try:
            self._switchboard.stop_recording()
            self._session.close()
        except SessionError as error:  # a sensor that does not stop changes nothing about how it ended
            remark(f"sensemble: {error}")
        self._thread.join()

    def _follow(self) -> None:
        for item in self._session.stream():
            self._board.add(item)


class LivePage:
    """The place of the live page at the studio's address: of the session that is open, or the way back."""

    def __init__(self) -> None:
        self.session: LiveSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; without a session, lead to the studio."""
        session = self.session
        if session is not None:
            await session.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1013, "reason": "no model is live"})
        else:
            await RedirectResponse("/", 303)(scope, receive, send)
