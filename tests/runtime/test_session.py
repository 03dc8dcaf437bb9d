"""Real threads, real encoders, and sensors that behave as badly as real ones."""

import queue
import sqlite3
import threading
import time
import wave
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sensemble_runtime import reading, session
from sensemble_runtime.bundle import Bundle
from sensemble_runtime.errors import EncoderError, RecordError, SessionError
from sensemble_runtime.events import Event, HopEvent, LiveSetEvent, SensorEvent
from sensemble_runtime.history import read_predictions, read_runs
from sensemble_runtime.scheduler import Policy
from sensemble_runtime.session import QUEUE
from sensemble_sensors.dataset import Example
from sensemble_sensors.errors import SensorEndedError, SensorLostError, SensorUnavailableError
from sensemble_sensors.replay import Replay
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

Act = Sample | Exception | threading.Event
Session = partial(session.Session, health=None)  # for puppets are nothing that could be well


class Puppet:
    """A sensor that gives, raises or blocks on what the test puts into it."""

    def __init__(self, modality: str, name: str | None = None) -> None:
        self.modality = modality
        self.name = name or modality
        self.acts: queue.Queue[Act] = queue.Queue()
        self.openings: queue.Queue[Exception] = queue.Queue()
        self.opened = 0
        self.holders: set[int] = set()

    def open(self, spec: InputSpec) -> None:
        assert spec.modality == self.modality
        assert not self.holders, "one thread at a time holds a sensor"
        self.opened += 1
        if not self.openings.empty():
            raise self.openings.get()
        self.holders.add(threading.get_ident())

    def read(self, timeout: float) -> Sample | None:
        assert self.holders == {threading.get_ident()}
        try:
            act = self.acts.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(act, threading.Event):
            act.wait()
            return None
        if isinstance(act, Exception):
            raise act
        return act

    def close(self) -> None:
        self.holders.clear()

    def hear(self, *, at: float | None = None) -> None:
        """Give one audio window of noise."""
        noise = np.random.default_rng(0).uniform(-1, 1, 1600).astype(np.float32)
        self.acts.put(Sample("audio", noise, time.monotonic() if at is None else at))

    def see(self) -> None:
        """Give one video window."""
        now = time.monotonic()
        for before in (0.1, 0.0):
            self.acts.put(Sample("video", np.full((8, 8, 3), 9, np.uint8), now - before))

    def say(self, caption: str = "one") -> None:
        self.acts.put(Sample("text", caption, time.monotonic()))


class Log:
    """The events of a session, and a way to wait for them."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, name: str) -> list[str]:
        return [e.kind for e in self.events if isinstance(e, SensorEvent) and e.name == name]

    def live(self) -> list[tuple[str, ...]]:
        return [e.live for e in self.events if isinstance(e, LiveSetEvent)]


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.002)


@pytest.fixture(scope="module")
def bundle(bundle_folder: Path) -> Bundle:
    return Bundle.open(bundle_folder)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once, so that a test need not wait."""
    monkeypatch.setattr(reading, "RETRY", (0.01, 0.02))


def test_windows_that_complete_together_are_pooled_together(bundle: Bundle) -> None:
    # Both others become ready after the caption, so that the encoder stops waiting, however long it would.
    microphone, camera, captions = Puppet("audio"), Puppet("video"), Puppet("text")
    with Session(bundle, policy=Policy(align=20.0)) as running:
        for sensor in (microphone, camera, captions):
            running.attach(sensor)
        wait_for(lambda: microphone.holders and camera.holders and captions.holders)
        captions.say()
        wait_for(lambda: "text" in running._composition.ready)
        microphone.hear()
        camera.see()
        prediction = next(iter(running))
    assert prediction.live == ("audio", "text", "video")
    assert set(prediction.latencies) == {"audio", "text", "video"}


def example(folder: Path, i: int) -> Example:
    with wave.open(str(folder / f"{i}.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(np.full(1600, 1000 * i, np.int16).tobytes())
    cv2.imwrite(str(folder / f"{i}.png"), np.full((8, 8, 3), i, np.uint8))
    audio, image = folder / f"{i}.wav", folder / f"{i}.png"
    return Example(f"e{i}", "eval", ("one",), None, audio, image, "one", None, None, line=i + 1)


def test_a_replay_of_three_sensors_is_heard_and_seen_together(
    bundle: Bundle, log: Log, tmp_path: Path
) -> None:
    player = Replay([example(tmp_path, i) for i in range(5)], bundle.specs)
    with Session(bundle, policy=Policy(align=20.0), on_event=log) as running:
        for modality in bundle.modalities:
            running.attach(player.sensor(modality))
        wait_for(lambda: [e.kind for e in log.events] == ["attached"] * 3)
        with player:
            found = list(running)
    assert [p.live for p in found] == [bundle.modalities] * len(found)
    for modality in bundle.modalities:
        encoded = sum(modality in p.latencies for p in found)
        assert encoded + found[-1].dropped[modality] == 5, f"{modality}: encoded, or dropped and counted"


def test_a_sensor_is_live_from_its_first_full_window_and_gone_at_once(bundle: Bundle, log: Log) -> None:
    microphone, captions = Puppet("audio"), Puppet("text")
    with Session(bundle, on_event=log) as running:
        predictions = iter(running)
        running.attach(captions)
        captions.say()
        assert next(predictions).live == ("text",)
        name = running.attach(microphone)
        half = np.zeros(800, np.float32)
        microphone.acts.put(Sample("audio", half, time.monotonic()))
        microphone.acts.put(Sample("audio", half, time.monotonic()))
        second = next(predictions)
        assert "audio" in second.live
        assert second.latencies.keys() == {"audio"}
        assert "audio" in running.live
        running.detach(name)
        assert "audio" not in running.live
        captions.say()
        assert next(predictions).live == ("text",)
        running.detach(name)  # again is allowed
    assert log.of("audio") == ["attached", "detached"]
    assert ("audio", "text") in log.live()
    assert log.live()[-1] == ("text",)
    assert [e.time for e in log.events] == sorted(e.time for e in log.events)


def test_threads_come_and_go_with_sensors(bundle: Bundle) -> None:
    before = threading.active_count()
    with Session(bundle) as running:
        assert threading.active_count() == before + 2, "the encoder and the reporter"
        names = [running.attach(Puppet("audio", f"microphone {i}")) for i in range(3)]
        assert threading.active_count() == before + 5
        for name in names[:2]:
            running.detach(name)
        wait_for(lambda: threading.active_count() == before + 3)
    assert threading.active_count() == before


def test_a_dead_sensor_delays_nobody(bundle: Bundle) -> None:
    camera, captions, dead = Puppet("video"), Puppet("text"), threading.Event()
    try:
        with Session(bundle) as running:
            running.attach(camera)
            camera.see()
            camera.acts.put(dead)
            predictions = iter(running)
            assert next(predictions).live == ("video",)
            running.attach(captions)
            for _ in range(3):
                captions.say()
                assert "text" in next(predictions).latencies
            running.detach("video")
            assert running.live == ("text",)
            dead.set()
    finally:
        dead.set()


@pytest.mark.usefixtures("soon")
def test_a_lost_sensor_leaves_at_once_and_comes_back(bundle: Bundle, log: Log) -> None:
    microphone, captions = Puppet("audio"), Puppet("text")
    with Session(bundle, on_event=log) as running:
        predictions = iter(running)
        running.attach(microphone)
        microphone.hear()
        assert next(predictions).live == ("audio",)
        microphone.openings.put(SensorUnavailableError("no such device; plug it in"))
        microphone.openings.put(SensorUnavailableError("no such device; plug it in"))
        microphone.acts.put(SensorLostError("unplugged"))
        wait_for(lambda: "lost" in log.of("audio"))
        assert running.live == ()
        running.attach(captions)
        captions.say()
        assert next(predictions).live == ("text",)
        wait_for(lambda: microphone.opened == 4)
        microphone.hear()
        assert next(predictions).latencies.keys() == {"audio"}
    assert log.of("audio") == ["attached", "lost", "unavailable", "attached"], (
        "a retry tells only what is new"
    )
    reasons = [e.reason for e in log.events if isinstance(e, SensorEvent) and e.reason]
    assert reasons == ["unplugged", "no such device; plug it in"]


def test_retries_back_off(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    class Waits(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            return super().wait(timeout)

    monkeypatch.setattr(reading, "RETRY", (0.001, 0.004))
    waits: list[float | None] = []
    failures: list[Exception] = []
    absent = Puppet("audio")
    for _ in range(6):
        absent.openings.put(SensorUnavailableError("absent"))
    reader = reading.Reader(
        "microphone",
        absent,
        bundle.specs["audio"],
        None,
        (),
        opened=lambda _: None,
        gave=lambda _, __: None,
        felt=lambda _, __: None,
        beside=lambda _: None,
        failed=lambda _, error: failures.append(error),
    )
    reader.due = Waits()
    reader.thread.start()
    wait_for(lambda: absent.opened == 7)
    reader.stop()
    reader.thread.join()
    assert waits[:6] == [0.001, 0.002, 0.004, 0.004, 0.004, 0.004]
    assert [str(e) for e in failures] == ["absent"] * 6


def test_what_an_ending_sensor_gave_is_still_encoded_and_the_session_ends_with_the_last(
    bundle: Bundle, log: Log
) -> None:
    microphone, captions = Puppet("audio"), Puppet("text")
    with Session(bundle, on_event=log) as running:
        for sensor in (microphone, captions):
            running.attach(sensor)
        microphone.hear()
        microphone.acts.put(SensorEndedError("the file is over"))
        captions.say()
        captions.acts.put(SensorEndedError("the file is over"))
        found = list(running)
    assert {m for p in found for m in p.latencies} == {"audio", "text"}
    assert log.of("audio") == log.of("text") == ["attached", "ended"]
    assert log.live()[-1] == ("audio", "text"), "what it said last holds for its time to live"


def test_after_an_unexpected_exception_it_is_tried_again_and_the_rest_go_on(
    bundle: Bundle, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "RETRY", (0.01, 0.02))
    camera, captions = Puppet("video"), Puppet("text")
    with Session(bundle, on_event=log) as running:
        running.attach(camera)
        running.attach(captions)
        camera.acts.put(ZeroDivisionError("in the\ndriver"))
        wait_for(lambda: log.of("video") == ["attached", "lost", "attached"])
        captions.say()
        assert next(iter(running)).live == ("text",)
    (lost,) = [e for e in log.events if isinstance(e, SensorEvent) and e.kind == "lost"]
    assert lost.reason == "ZeroDivisionError: in the driver"


def test_a_lasting_session_goes_on_when_its_last_sensor_has_ended(bundle: Bundle, log: Log) -> None:
    first, second = Puppet("text", "first"), Puppet("text", "second")
    with Session(bundle, on_event=log, lasting=True) as running:
        running.attach(first)
        first.acts.put(SensorEndedError("over"))
        wait_for(lambda: "ended" in log.of("first"))
        running.attach(second)
        second.say()
        assert next(iter(running)).live == ("text",)


def test_an_encoder_stays_loaded_while_another_sensor_needs_it(bundle: Bundle) -> None:
    first, second = Puppet("text", "first"), Puppet("text", "second")
    with Session(bundle) as running:
        running.attach(first)
        running.attach(second)
        wait_for(lambda: first.holders and second.holders)
        first.say()
        second.say()
        next(iter(running))
        encoder = bundle._encoders["text"]
        running.detach("second")
        assert bundle._encoders["text"] is encoder
        running.detach("first")
        assert "text" not in bundle._encoders


def test_one_detached_while_its_encoder_loads_leaves_none(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading, go_on = threading.Event(), threading.Event()
    load = bundle.load

    def slowly(modality: str) -> object:
        loading.set()
        assert go_on.wait(20)
        return load(modality)

    monkeypatch.setattr(bundle, "load", slowly)
    camera = Puppet("video")
    with Session(bundle) as running:
        running.attach(camera)
        assert loading.wait(20)
        running.detach("video")
        go_on.set()
        wait_for(lambda: all(not reader.thread.is_alive() for reader in running._suite._running))
        assert "video" not in bundle._encoders


def test_a_window_waits_for_no_caption(bundle: Bundle) -> None:
    microphone, captions = Puppet("audio"), Puppet("text")
    with Session(bundle, policy=Policy(align=30.0)) as running:
        running.attach(captions)
        running.attach(microphone)
        wait_for(lambda: captions.holders and microphone.holders)
        microphone.hear()
        assert next(iter(running)).live == ("audio",)


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        (Sample("video", np.zeros((4, 4, 3), np.uint8), 0.0), "uint8 [4, 4, 3], not uint8 [8, 8, 3]"),
        (Sample("text", "I am no camera", 0.0), "gave a sample of text"),
    ],
)
def test_a_sample_that_no_encoder_takes_is_the_sensors_failure(
    bundle: Bundle, log: Log, sample: Sample, says: str
) -> None:
    camera = Puppet("video")
    with Session(bundle, on_event=log) as running:
        running.attach(camera)
        camera.acts.put(sample)
        assert list(running) == [], "the last sensor is gone"
    assert any(says in e.reason for e in log.events if isinstance(e, SensorEvent))


@pytest.mark.usefixtures("soon")
def test_the_newest_of_two_sensors_feeds_and_the_older_takes_over(bundle: Bundle, log: Log) -> None:
    old, new = Puppet("text", "old"), Puppet("text", "new")
    with Session(bundle, on_event=log) as running:
        predictions = iter(running)
        running.attach(old)
        old.say("one")
        first = next(predictions).pooled
        running.attach(new)
        new.say("two")
        second = next(predictions).pooled
        assert not np.array_equal(first, second)
        old.say("one")
        wait_for(old.acts.empty)
        new.say("two")
        np.testing.assert_array_equal(next(predictions).pooled, second)
        new.openings.put(SensorUnavailableError("gone"))
        new.acts.put(SensorLostError("gone"))
        wait_for(lambda: "lost" in log.of("new"))
        assert running.live == ()
        old.say("one")
        np.testing.assert_array_equal(next(predictions).pooled, first)


def test_an_embedding_leaves_the_live_set_by_age(bundle: Bundle, log: Log) -> None:
    microphone = Puppet("audio")
    with Session(bundle, on_event=log) as running:
        running.attach(microphone)
        microphone.hear(at=time.monotonic() - 0.5)
        next(iter(running))
        wait_for(lambda: () in log.live())
        assert running.live == ()
    assert log.live() == [("audio",), ()]


def test_readers_never_wait_for_the_encoder(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    go, busy, real = threading.Event(), threading.Event(), bundle.encode

    def slow(modality: str, window: np.ndarray) -> np.ndarray:
        busy.set()
        assert go.wait(20)
        return real(modality, window)

    monkeypatch.setattr(bundle, "encode", slow)
    captions = Puppet("text")
    with Session(bundle) as running:
        running.attach(captions)
        captions.say()
        assert busy.wait(20)
        for _ in range(10):
            captions.say()
        running.detach(running.attach(Puppet("video")))  # nor does who attaches and detaches
        assert running.live == ()
        wait_for(lambda: running._composition._windows["text"]._untaken == 10)
        go.set()
        predictions = iter(running)
        assert next(predictions).dropped == {"text": 0}
        assert next(predictions).dropped == {"text": 9}


def test_a_slow_consumer_gets_the_newest_and_is_told_what_it_missed(bundle: Bundle) -> None:
    captions = Puppet("text")
    with Session(bundle) as running:
        running.attach(captions)
        while running.missed < 3:
            captions.say()
            time.sleep(0.001)
    found = list(running)
    assert len(found) == QUEUE
    assert [p.time for p in found] == sorted(p.time for p in found)


def broken(*_: object) -> np.ndarray:
    raise EncoderError("the delegate failed")


def test_what_breaks_the_encoder_surfaces_to_the_consumer(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "encode", broken)
    captions = Puppet("text")
    with Session(bundle) as running:
        running.attach(captions)
        captions.say()
        with pytest.raises(EncoderError, match="the delegate failed"):
            list(running)
        with pytest.raises(SessionError, match="closed"):
            running.attach(Puppet("audio"))


def test_what_breaks_the_encoder_surfaces_on_closing_if_nobody_listened(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "encode", broken)
    captions = Puppet("text")
    running = Session(bundle)
    running.attach(captions)
    captions.say()
    wait_for(lambda: not captions.holders)
    with pytest.raises(EncoderError):
        running.close()
    running.close()


def test_every_prediction_is_recorded(bundle: Bundle, tmp_path: Path) -> None:
    path, captions = tmp_path / "record.sqlite", Puppet("text")
    with Session(bundle, record=path) as running:
        running.attach(captions)
        predictions = iter(running)
        made = []
        for caption in ("one", "two", "zero"):
            captions.say(caption)
            made.append(next(predictions))
    (run,) = read_runs(path)
    assert run.ended is not None
    recorded = read_predictions(path, run.id)
    assert [(p.time, p.live, p.ages, p.latencies) for p in recorded] == [
        (p.time, p.live, p.ages, p.latencies) for p in made
    ]
    assert [p.probabilities.tolist() for p in recorded] == [p.probabilities.tolist() for p in made]


def test_a_record_that_cannot_be_written_surfaces(bundle: Bundle, tmp_path: Path) -> None:
    path, captions = tmp_path / "record.sqlite", Puppet("text")
    with Session(bundle, record=path) as running:
        with sqlite3.connect(path) as other:
            other.execute("DROP TABLE predictions")
        other.close()
        running.attach(captions)
        captions.say()
        with pytest.raises(RecordError, match=r"record\.sqlite"):
            list(running)


def test_an_events_listener_may_close_the_session_and_its_errors_surface(bundle: Bundle) -> None:
    def close(event: Event) -> None:
        if isinstance(event, LiveSetEvent):
            running.close()

    captions = Puppet("text")
    running = Session(bundle, on_event=close)
    running.attach(captions)
    captions.say()
    assert len(list(running)) <= 1
    running.close()

    def fail(_: Event) -> None:
        raise OSError("the terminal is gone")

    with Session(bundle, on_event=fail) as running:
        running.attach(captions)
        with pytest.raises(OSError, match="the terminal is gone"):
            list(running)


def test_a_sensor_attached_again_is_held_by_one_thread_at_a_time(bundle: Bundle, log: Log) -> None:
    captions = Puppet("text")
    with Session(bundle, on_event=log) as running:
        predictions = iter(running)
        for i in range(10):
            assert running.attach(captions) == "text"
            # What came before that is lost with the reader before.
            wait_for(lambda opened=i + 1: captions.opened == opened)
            captions.say()
            assert next(predictions).live == ("text",), i
            running.detach("text")
    assert log.of("text") == ["attached", "detached"] * 10


def test_what_cannot_be_attached_or_detached_is_refused(bundle: Bundle) -> None:
    with Session(bundle) as running:
        captions = Puppet("text")
        running.attach(captions)
        with pytest.raises(SessionError, match="already attached"):
            running.attach(captions)
        with pytest.raises(SessionError, match="no encoder for 'depth'; it has audio, text, video"):
            running.attach(Puppet("depth"))
        assert not running.detach("camera")
        assert running.attach(Puppet("text")) == "text (2)"
    with pytest.raises(SessionError, match="closed"):
        running.attach(Puppet("text"))
    running.detach("text")


def test_a_sensor_that_never_returns_is_named_when_closing(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CLOSE", 0.1)
    camera, dead = Puppet("video", "camera 7"), threading.Event()
    running = Session(bundle)
    running.attach(camera)
    camera.acts.put(dead)
    wait_for(camera.acts.empty)
    with pytest.raises(SessionError, match="camera 7: did not stop"):
        running.close()
    dead.set()
    wait_for(lambda: not camera.holders)
    running.close()


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


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_attaching_and_detaching_from_many_threads_while_closing(bundle: Bundle, data: st.DataObject) -> None:
    plans = data.draw(
        st.lists(st.lists(st.sampled_from(["attach", "detach", "give"]), max_size=12), min_size=2, max_size=5)
    )
    after = data.draw(st.floats(0, 0.02))
    unexpected: list[Exception] = []

    def play(plan: list[str], modality: str) -> None:
        try:
            perform(running, plan, modality)
        except Exception as error:  # noqa: BLE001 - a thread's exception fails the test, below
            if not (isinstance(error, SessionError) and running._closed):
                unexpected.append(error)

    before = threading.active_count()
    running = Session(bundle)
    modalities = ["audio", "text", "video", "text", "audio"]
    threads = [threading.Thread(target=play, args=(p, m)) for p, m in zip(plans, modalities, strict=False)]
    threads.append(threading.Thread(target=lambda: list(running)))
    for thread in threads:
        thread.start()
    time.sleep(after)
    closers = [threading.Thread(target=running.close) for _ in range(2)]
    for thread in closers:
        thread.start()
    for thread in threads + closers:
        thread.join(20)
    assert unexpected == []
    assert running.live == ()
    assert threading.active_count() == before


def test_under_overload_the_hop_stretches_and_an_event_says_so(
    bundle: Bundle, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = bundle.encode

    def slow(modality: str, window: np.ndarray) -> np.ndarray:
        time.sleep(0.1 if modality == "audio" else 0.0)
        return real(modality, window)

    monkeypatch.setattr(bundle, "encode", slow)
    microphone, captions = Puppet("audio"), Puppet("text")
    with Session(bundle, policy=Policy(budget=0.5), on_event=log) as running:
        running.attach(microphone)
        running.attach(captions)

        def stretched() -> list[HopEvent]:
            microphone.acts.put(Sample("audio", np.zeros(800, np.float32), time.monotonic()))
            time.sleep(0.01)
            return [event for event in log.events if isinstance(event, HopEvent)]

        wait_for(stretched)
        (event, *_) = stretched()
        captions.say()
        said = next(p for p in running if "text" in p.latencies)
        assert microphone.acts.qsize() < 10, "no queue grows"
    assert event.modality == "audio"
    assert event.stretch >= 4, "0.1 s of each 0.2 s, for a hop of 0.05 s"
    assert event.hop == pytest.approx(0.05 * event.stretch)
    assert said.dropped["audio"] > 0


def test_what_ended_is_pooled_with_what_comes_after_it(bundle: Bundle, log: Log) -> None:
    microphone, camera = Puppet("audio"), Puppet("video")
    with Session(bundle, on_event=log) as running:
        running.attach(microphone)
        running.attach(camera)
        camera.see()
        camera.acts.put(SensorEndedError("the film is over"))
        wait_for(lambda: "ended" in log.of("video"))
        microphone.hear()
        microphone.acts.put(SensorEndedError("the film is over"))
        found = list(running)
    assert found[-1].live == ("audio", "video")
