"""Sensors that attach and detach, from any thread, at any time: real threads and real encoders."""

import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import SessionError
from sensemble_runtime.session import session

from tests.runtime.puppets import Log, Puppet, Session, watched
from tests.waiting import PATIENCE, wait_until

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("no_thread_is_left")]


def test_a_sensor_attached_again_is_held_by_one_thread_at_a_time(bundle: Bundle, log: Log) -> None:
    captions = Puppet("text")
    with watched(bundle, log) as running:
        predictions = iter(running)
        for i in range(10):
            assert running.attach(captions) == "text"
            # What came before that is lost with the reader before.
            wait_until(lambda opened=i + 1: captions.opened == opened)
            captions.say()
            assert next(predictions).live == ("text",), i
            running.detach("text")
    assert log.of("text") == ["attached", "detached"] * 10


def test_a_session_says_what_it_runs_and_its_items_when_they_came(bundle: Bundle, log: Log) -> None:
    captions = Puppet("text")
    with watched(bundle, log) as running:
        assert repr(running).endswith("no sensor is attached\n  nothing is live>")
        began = time.time()
        running.attach(captions)
        wait_until(lambda: captions.opened == 1)
        captions.say()
        prediction = next(iter(running))
        assert began - 1 < (prediction.at or 0.0) < time.time() + 1
        running.lose("text", "it was pulled")
        first, second, last = repr(running).splitlines()
        assert first == f"<Session of {bundle.path}"
        assert second == "  text: text, lost: it was pulled"
        assert last == "  nothing is live>"


def test_what_cannot_be_attached_or_detached_is_refused(bundle: Bundle, log: Log) -> None:
    with Session(bundle) as running:
        captions = Puppet("text")
        running.attach(captions)
        with pytest.raises(SessionError, match="already attached"):
            running.attach(captions)
        with pytest.raises(SessionError, match=r"'depth'.* audio, text, video"):
            running.attach(Puppet("depth"))
        assert not running.detach("camera")
        assert running.attach(Puppet("text")) == "text (2)"
    with pytest.raises(SessionError, match="closed"):
        running.attach(Puppet("text"))
    with pytest.raises(SessionError, match="closed"):
        running.subscribe(log)
    running.detach("text")


def perform(running: session.Session, plan: list[str], modality: str) -> None:
    sensors: list[Puppet] = []
    names: list[str] = []
    for act in plan:
        if act == "attach":
            sensors.append(Puppet(modality))
            names.append(running.attach(sensors[-1]))
        elif act == "detach" and names:
            running.detach(names.pop())
        elif sensors:
            {"audio": sensors[-1].hear, "text": sensors[-1].say, "video": sensors[-1].see}[modality]()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_attaching_and_detaching_from_many_threads_while_closing(bundle: Bundle, data: st.DataObject) -> None:
    plans = data.draw(
        st.lists(st.lists(st.sampled_from(["attach", "detach", "give"]), max_size=12), min_size=2, max_size=5)
    )
    after = data.draw(st.floats(0, 0.02))
    unexpected: list[Exception] = []
    closing = threading.Event()

    def play(plan: list[str], modality: str) -> None:
        try:
            perform(running, plan, modality)
        except Exception as error:  # noqa: BLE001 - a thread's exception fails the test, below
            if not (isinstance(error, SessionError) and closing.is_set()):
                unexpected.append(error)

    before = set(threading.enumerate())
    running = Session(bundle)
    modalities = ["audio", "text", "video", "text", "audio"]
    threads = [threading.Thread(target=play, args=(p, m)) for p, m in zip(plans, modalities, strict=False)]
    threads.append(threading.Thread(target=lambda: list(running)))
    for thread in threads:
        thread.start()
    time.sleep(after)
    closing.set()
    closers = [threading.Thread(target=running.close) for _ in range(2)]
    for thread in closers:
        thread.start()
    for thread in threads + closers:
        thread.join(PATIENCE)
    assert unexpected == []
    assert running.live == ()
    assert set(threading.enumerate()) <= before
