"""Stories of sensors and encoders, told to an engine in made-up time."""

import numpy as np
import pytest
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.supervision.backoff import RETRY
from sensemble_sensors.thresholds import Thresholds

from tests.runtime.engine.bench import Bench


def test_retries_back_off_and_begin_anew_when_a_sensor_has_worked() -> None:
    bench = Bench()
    key, waits = bench.attach("text", open_now=False), []
    for _ in range(6):
        bench.fail(key, SensorUnavailableError("absent"))
        waits.append(bench.retries["text"] - bench.now)
        bench.wait(waits[-1])
    first, longest = RETRY
    assert waits == pytest.approx([min(first * 2**i, longest) for i in range(6)])
    assert bench.of("text") == [("unavailable", "absent")], "a retry reports only what is new"
    bench.open(key)
    bench.wait(20.0)
    bench.give(key)
    bench.fail(key)
    assert bench.retries["text"] - bench.now == pytest.approx(first)
    assert not bench.tell("retry", "nobody")


def test_a_sensor_whose_device_goes_while_it_opens_is_lost() -> None:
    bench = Bench()
    key = bench.attach("audio", open_now=False)
    bench.tell("lose", "audio", "was unplugged")
    bench.open(key)
    assert bench.of("audio") == [("attached", ""), ("lost", "audio: was unplugged")]


def test_a_picture_that_drifts_from_the_sound_is_kept_out() -> None:
    bench = Bench(health=Thresholds(drift=0.5, stalled=60.0, sound_rate=10.0, picture_rate=0.0, late=60.0))
    sound, camera = bench.attach("audio"), bench.attach("video", "camera")
    for i in range(240):
        bench.wait(0.05)
        bench.give(sound)
        bench.give(camera, at=bench.now - (1.0 if i > 30 else 0.0))
        bench.encode_all()
    assert bench.of("camera")[-1] == ("unhealthy", "it drifts, 0.5 s behind the sound")
    assert bench.engine.live(bench.now) == ("audio",)


@pytest.mark.parametrize("data", [np.zeros((4, 4, 3), np.uint8), "I am no camera", None])
def test_a_sample_that_no_encoder_takes_is_the_sensors_failure(data: object) -> None:
    bench = Bench()
    key = bench.attach("video")
    bench.give(key, np.zeros(3) if data is None else data)
    assert bench.kinds("video") == ["attached", "failed"]
    assert bench.readers[key] == "over"
    assert bench.engine.over


def test_an_error_in_a_sensors_own_code_ends_it_the_third_time_unless_it_worked_in_between() -> None:
    bench = Bench()
    keys = bench.attach("video", "broken"), bench.attach("text", "shaky")
    for _ in range(3):
        for key in keys:
            try:
                {}["no"]
            except KeyError as error:
                bench.fail(key, error)
        bench.wait(3.0)
        for key in keys:
            if bench.readers[key] == "opening":
                bench.open(key)
        bench.wait(3.0)
        bench.give(keys[1])
        bench.encode_all()
    assert bench.kinds("broken") == ["attached", "lost", "attached", "lost", "attached", "failed"]
    assert "failed" not in bench.kinds("shaky")


def test_every_caption_of_a_file_is_answered() -> None:
    bench = Bench()
    key = bench.attach("text", played=True)
    bench.give(key)
    bench.give(key)
    assert bench.readers[key] == "paused"
    bench.encode("text")
    assert bench.readers[key] == "reading"
    bench.encode("text")
    assert len(bench.predictions) == 2


def test_an_encoder_that_fails_leaves_is_reported_once_and_tried_again() -> None:
    bench = Bench()
    sound, caption = bench.attach("audio"), bench.attach("text")
    bench.give_window(sound)
    bench.encode("audio")
    for wait in RETRY[0], 2 * RETRY[0]:
        bench.give_window(sound)
        del bench.windows["audio"]
        bench.tell("encoder_failed", "audio", RuntimeError("out of\nmemory"))
        assert bench.live[-1] == bench.engine.live(bench.now) == ()
        bench.give_window(sound)
        bench.wait(0.9 * wait)
        assert not bench.windows, "it rests"
        bench.tell("detach", "audio")
        sound = bench.attach("audio")
        bench.wait(0.2 * wait)
    bench.give(caption)
    bench.wait(0.02)
    bench.encode("text")
    assert bench.predictions[-1].live == ("text",)
    bench.give_window(sound)
    bench.encode("audio")
    bench.give_window(sound)
    del bench.windows["audio"]
    bench.tell("encoder_failed", "audio", RuntimeError("again"))
    bench.give_window(sound)
    bench.end(sound)
    assert "ended" not in bench.kinds("audio"), "before its last window is answered"
    bench.wait(RETRY[0])
    bench.encode("audio")
    assert bench.kinds("audio")[-1] == "ended"
    failures = [event.text for event in bench.events if event.kind.startswith("encoder")]
    assert failures == ["RuntimeError: out of memory", "", "RuntimeError: again", ""]


def test_nobody_waits_for_a_window_whose_encoder_rests() -> None:
    bench = Bench()
    sound, caption = bench.attach("audio"), bench.attach("text")
    bench.give_window(sound)
    bench.wait(0.01)
    del bench.windows["audio"]
    bench.tell("encoder_failed", "audio", RuntimeError("out of memory"))
    bench.give_window(sound)
    bench.give(caption)
    bench.encode("text")
    assert [made.time for made in bench.predictions] == [bench.now]


def test_a_late_window_of_a_sensor_that_left_is_not_pooled_and_its_encoder_is_freed() -> None:
    bench = Bench()
    key = bench.attach("audio")
    bench.give_window(key)
    bench.tell("detach", "audio")
    assert bench.freed == ["audio"]
    bench.encode("audio")
    assert bench.freed == ["audio", "audio"], "which the window may have loaded again"
    assert not bench.predictions
    bench.tell("loaded", "video")
    assert bench.freed[-1] == "video", "its sensor left while it was loaded"


def test_an_encoder_stays_loaded_while_another_sensor_needs_it() -> None:
    bench = Bench()
    for name in ("first", "second"):
        bench.attach("text", name)
    bench.tell("detach", "second")
    assert not bench.freed
    bench.tell("detach", "first")
    assert bench.freed == ["text"]


def test_two_sensors_of_one_name_are_told_apart() -> None:
    bench = Bench()
    keys = [bench.attach("text", "captions") for _ in range(2)]
    assert [bench.names[key] for key in keys] == ["captions", "captions (2)"]
    bench.give(keys[1])
    assert bench.tell("detach", "captions")
    bench.encode("text")
    assert bench.predictions[-1].live == ("text",), "the one that left was not active"
    assert bench.names[bench.attach("text", "captions")] == "captions"


def test_a_sensor_whose_code_hangs_gives_way_to_its_backup_until_it_returns() -> None:
    bench = Bench()
    backup, hung = bench.attach("video", "backup"), bench.attach("video", "hung")
    for _ in range(20):
        bench.give(hung)
        bench.give(backup)
        bench.encode_all()
        bench.wait(0.1)
    for _ in range(50):
        bench.give(backup)
        bench.encode_all()
        bench.wait(0.1)
    (_, _), (kind, text) = bench.of("hung")
    assert (kind, text.split(" for ")[0]) == ("unhealthy", "its code has been reading")
    assert [one.name for one in bench.engine.sensors if one.active] == ["backup"]
    assert bench.predictions[-1].time > bench.now - 0.2
    bench.give(hung)
    assert bench.kinds("hung")[-1] == "recovered"
    assert [one.name for one in bench.engine.sensors if one.active] == ["hung"]


def test_a_sensor_that_does_not_open_or_close_is_reported() -> None:
    bench = Bench()
    key = bench.attach("video", open_now=False)
    bench.wait(20.0)
    ((kind, text),) = bench.of("video")
    assert (kind, text.split(" for ")[0]) == ("unavailable", "video: its code has been opening")
    bench.open(key)
    bench.tell("lose", "video", "was unplugged")
    bench.wait(20.0)
    assert [kind for kind, _ in bench.of("video")] == ["unavailable", "attached", "lost", "lost"]
    assert "has been closing" in bench.of("video")[-1][1]


def test_time_in_which_this_process_did_not_run_is_held_against_no_sensor_or_encoder() -> None:
    bench = Bench()
    camera = bench.attach("video")
    bench.give_window(camera)
    assert bench.windows
    bench.now += 60.0  # without a look at the clock, which the deadline asks for each second
    bench.advance()
    assert bench.kinds("video") == ["attached"]
    bench.encode_all()
    assert not [e for e in bench.events if e.kind == "encoder failed"]


def test_an_encoder_that_hangs_leaves_the_live_set_and_the_others_go_on() -> None:
    bench = Bench()
    sound, camera = bench.attach("audio"), bench.attach("video")
    for _ in range(110):
        bench.give_window(sound)
        bench.give_window(camera)
        if "audio" in bench.windows:
            bench.encode("audio")
        bench.wait(0.1)
    (failed,) = [e for e in bench.events if e.kind.startswith("encoder")]
    assert (failed.modality, failed.text.split(" for ")[0]) == ("video", "it has been encoding")
    assert bench.predictions[-1].time > bench.now - 0.2
    assert bench.predictions[-1].live == ("audio",)
    bench.encode("video")
    assert bench.events[-1].kind == "encoder works again"


def test_a_sensor_later_than_the_skew_is_doubted_beside_others_and_used_alone() -> None:
    bench = Bench(health=Thresholds(rate=60.0))
    sound, camera = bench.attach("audio"), bench.attach("video", "camera")
    for _ in range(20):
        bench.wait(0.05)
        bench.give(sound)
        bench.give(camera, at=bench.now - 2.5)
        bench.encode_all()
    assert bench.of("camera")[-1] == ("doubtful", "it is 2 s later than the others, and not pooled with them")
    assert bench.predictions[-1].live == ("audio",)
    bench.tell("detach", "audio")
    bench.wait(0.05)
    bench.give(camera, at=bench.now - 2.5)
    assert bench.kinds("camera")[-1] == "recovered"
