"""A session with its live page, served in this process, and the clients that talk to it."""

import json
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

import numpy as np
from sensemble_apps.live_page.api import routes
from sensemble_apps.live_page.session_page import SessionPage
from sensemble_apps.live_page.session_state import SessionState
from sensemble_apps.running.outputs import Output
from sensemble_apps.running.view_events import view_event
from sensemble_apps.web.browser_sensor import HEADER
from sensemble_apps.web.clients import largest_message
from sensemble_apps.web.page_sensors import PageSensors
from sensemble_apps.web.security import Access
from sensemble_apps.web.server import listen, running_server
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.session import Session
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.recording.replay import Replay
from sensemble_sensors.sensor import Media
from sensemble_sensors.supervision.events import Event
from websockets.sync.client import ClientConnection

from tests.apps.http_client import ServedPage
from tests.waiting import PATIENCE


@dataclass(kw_only=True)
class Served(ServedPage):
    """A session's page that is served.

    Attributes:
        predictions: the times of all predictions so far.
    """

    session: Session
    page: SessionPage
    predictions: list[float] = field(default_factory=list)

    @property
    def session_state(self) -> SessionState:
        return self.page.session_state

    @property
    def sensors(self) -> PageSensors:
        return self.page.sensors

    def report(self, item: Prediction | Event) -> None:
        """Show an item to the outputs as if the session had given it."""
        self.page.outputs.show(view_event(item, self.session_state.began))

    def state(self) -> Any:  # noqa: ANN401 - JSON
        return super().state()["state"]

    @contextmanager
    def viewer(self, **options: Any) -> Iterator["Viewer"]:  # noqa: ANN401
        with self.socket(**options) as opened:
            yield Viewer(opened)


class Viewer:
    """A client of the page's WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.socket = connection
        self.hello = self.next("hello")

    def send(self, **message: object) -> None:
        self.socket.send(json.dumps(message))

    def next(self, kind: str, true: Callable[[dict[str, Any]], Any] = lambda _: True) -> dict[str, Any]:
        """Wait for a message of a kind for which something is true."""
        until = monotonic() + PATIENCE
        last = None
        while monotonic() < until:
            message: dict[str, Any] = json.loads(self.socket.recv(timeout=PATIENCE))
            if message["type"] == kind and true(message):
                return message
            last = message if message["type"] == kind else last
        raise AssertionError(last)

    def skip(self) -> None:
        """Pass over what has come: a ping behind many states is answered too late, and the server closes."""
        with suppress(TimeoutError):
            while True:
                self.socket.recv(timeout=0)

    def give(self, modality: str) -> tuple[int, str]:
        """Give a sensor, after an exchange of the clock; return its number and its name."""
        sent = monotonic()
        self.send(type="clock", sent=sent)
        clock = self.next("clock")
        self.send(type="clocked", sent=sent, answered=clock["answered"], received=monotonic())
        self.send(type="give", modality=modality)
        giving = self.next("giving")
        return giving["id"], giving["sensor"]

    def sample(self, sensor: int, number: int, data: bytes, captured: float | None = None) -> None:
        time = monotonic() if captured is None else captured
        self.socket.send(HEADER.pack(sensor, number, time) + data)


def packed(bundle: Bundle, modality: str, data: Media | str) -> bytes:
    """Return a sample as a browser sends it."""
    dtype = bundle.specs[modality].dtype
    return data.encode() if isinstance(data, str) else np.asarray(data, dtype).tobytes()


def noise(bundle: Bundle, modality: str) -> Media:
    """Return a sample of random sound, 0.1 s, or a random picture."""
    spec, rng = bundle.specs[modality], np.random.default_rng()
    if spec.dtype == "float32":
        return rng.uniform(-0.5, 0.5, round(0.1 * spec.rate)).astype(np.float32)
    return rng.integers(0, 256, spec.shape[2:]).astype(np.uint8)


@contextmanager
def serving(
    bundle: Bundle,
    examples: Sequence[Example] = (),
    *,
    access: Access | None = None,
    tls: ssl.SSLContext | None = None,
    recordings: Path = Path("recordings"),
    others: Sequence[Output] = (),
    sparing: bool = False,
) -> Iterator[Served]:
    """Serve a session on a free port of the loopback: a replay that never ends, or no sensors at first."""
    access = access or Access()
    player = Replay(examples, bundle.specs, repeated=True) if examples else None
    # The noise of the tests is unlike what any encoder was trained on, and is to be live all the same.
    with Session(bundle, policy=Policy(unfamiliar="pool", sparing=sparing), lasting=True) as session:
        page = SessionPage(session, recordings, monotonic(), others)
        served = Served(session=session, page=page, port=0, secure=access.secure)
        example_at = None if player is None else player.example_at

        def follow() -> None:
            for item in session.stream():
                page.outputs.show(view_event(item, page.session_state.began, example_at))
                if isinstance(item, Prediction):
                    served.predictions.append(item.time)

        thread = Thread(target=follow)
        thread.start()
        listening = listen("127.0.0.1", 0)
        served.port = listening.getsockname()[1]
        try:
            with running_server(listening, access, routes(page), largest_message(bundle.specs), tls):
                if player is None:
                    yield served
                    return
                for modality in player.modalities:
                    page.sensors.add(player.sensor(modality))
                with player:
                    yield served
        finally:
            page.recorder.stop()
            session.close()
            thread.join()


def raw(port: int, data: bytes) -> socket.socket:
    """Open a connection that has said no more than `data`."""
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
    connection.sendall(data)
    return connection
