"""Encoders that are slow or fail, and what becomes of the others: real threads and real encoders."""

import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.scheduler import Policy

from tests.runtime.puppets import Log, Puppet, Session, held, slowed, watched
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def test_a_slow_encoder_holds_up_no_quick_one(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    go, busy = held(bundle, monkeypatch, "video")
    camera, captions = Puppet("video"), Puppet("text")
    with Session(bundle) as running:
        running.attach(camera)
        running.attach(captions)
        camera.see()
        assert busy.wait(20)
        predictions = iter(running)
        for _ in range(5):
            captions.say()
            prediction = next(predictions)
            assert (prediction.live, prediction.dropped["text"]) == (("text",), 0)
        go.set()
        assert next(predictions).live == ("text", "video")


def test_what_is_encoded_in_parallel_and_ends_together_is_one_prediction(
    bundle: Bundle, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowed(bundle, monkeypatch, "video", 0.1)
    microphone, camera = Puppet("audio"), Puppet("video")
    with watched(bundle, log, microphone, camera, policy=Policy(align=20.0)) as running:
        wait_until(lambda: [e.kind for e in log.events] == ["attached"] * 2)
        microphone.hear()
        camera.see()
        assert set(next(iter(running)).latencies) == {"audio", "video"}
