"""To free an encoder takes a while, for which nobody else waits."""

import threading
from pathlib import Path

import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.executors import executor

from tests.runtime.puppets import Puppet, Session
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def test_a_session_goes_on_while_an_encoder_is_freed(
    bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Bundle.open(bundle_folder)
    freeing, go = threading.Event(), threading.Event()

    def give_back_memory() -> None:
        freeing.set()
        assert go.wait(20)

    monkeypatch.setattr(executor, "give_back_memory", give_back_memory)
    microphone, captions = Puppet("audio"), Puppet("text")
    with Session(bundle) as session:
        session.attach(microphone)
        session.attach(captions)
        microphone.hear()
        next(iter(session))
        session.detach("audio")
        assert freeing.wait(20)
        captions.say()  # its prediction needs the session's lock, as all else does
        wait_until(lambda: session.live == ("text",))
        assert not go.is_set()
        go.set()
