"""Sensors that lie, by given samples and given times: no clock, no thread."""

import math
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sensemble_sensors.health.health import Health
from sensemble_sensors.sensor import STEP, Sample
from sensemble_sensors.spec import Channel, InputSpec
from sensemble_sensors.thresholds import DEFAULT, PLAYED, Thresholds

AUDIO = InputSpec("audio", "float32", (1, 16000), 16000, 1.0, 0.5, 2.0)
VIDEO = InputSpec("video", "uint8", (1, 8, 6, 6, 3), 8, 1.0, 0.5, 2.0)
TEXT = InputSpec("text", "int64", (1, 8), 0, 0.0, 0.0, 5.0)
LIMITS = Thresholds()
START = 100_000.0


def sound(count: int, *, level: float = 0.1, rate: float = 16000.0, late: float = 0.01) -> Iterator[Sample]:
    """Noise in chunks of 0.05 s, as a microphone of this true rate gives it."""
    rng = np.random.default_rng(0)
    for i in range(1, count + 1):
        wave = (level * rng.uniform(-1, 1, 800)).astype(np.float32)
        yield Sample("audio", wave, START + i * 800 / rate - late, cut=i == 1)


def pictures(count: int, *, rate: float = 10.0, late: float = 0.01) -> Iterator[Sample]:
    """Noisy grey pictures."""
    rng = np.random.default_rng(0)
    for i in range(1, count + 1):
        picture = rng.integers(90, 110, (6, 6, 3)).astype(np.uint8)
        yield Sample("video", picture, START + i / rate - late, cut=i == 1)


JUMPS = ("its clock jumps",)


def timed(spec: InputSpec, every: float, seconds: float) -> Iterator[tuple[float, Sample]]:
    """(when it comes, a sample captured then)."""
    rng = np.random.default_rng(0)
    for i in range(1, round(seconds / every) + 1):
        now = START + i * every
        data = {
            "audio": rng.uniform(-0.1, 0.1, round(every * 16000)).astype(np.float32),
            "video": rng.integers(90, 110, (6, 6, 3)).astype(np.uint8),
            "text": "one",
        }[spec.modality]
        yield now, Sample(spec.modality, data, now, cut=i == 1)


def findings(
    spec: InputSpec, samples: Iterator[Sample], late: float = 0.01, limits: Thresholds = LIMITS
) -> list[tuple[float, tuple[str, ...]]]:
    """(seconds since the start, what is wrong), when that changes; samples come `late` after their time."""
    health, reported = Health(spec, limits, START), [(0.0, ())]
    for sample in samples:
        now = sample.time + late
        if (wrong := health.check(sample, now)) != reported[-1][1]:
            reported.append((now - START, wrong))
    return reported[1:]


def test_what_is_suspected_counts_until_nothing_was_found_for_the_longest_threshold() -> None:
    health = Health(VIDEO, LIMITS, START, ("the picture is frozen",))
    reported = {
        i / 10: health.check(sample, sample.time) for i, sample in enumerate(pictures(80, late=0.0), 1)
    }
    assert LIMITS.longest == 6.0
    assert {wrong for at, wrong in reported.items() if at < 6.0} == {("the picture is frozen",)}
    assert {wrong for at, wrong in reported.items() if at > 6.0} == {()}
    assert not health.must_reopen


@settings(max_examples=25)
@given(
    st.floats(0.01, 0.9),
    st.floats(15900, 16100),
    st.floats(8, 60),
    st.floats(0, 0.4),
    st.sampled_from([0.0, 0.003, STEP - 0.02]),
    st.integers(0, 1 << 30),
)
def test_a_healthy_sensor_is_never_called_unhealthy(
    level: float, rate: float, frames: float, late: float, back: float, seed: int
) -> None:
    """Whatever its level, rate and delay, and by how much its clock steps back now and then."""
    jitter = np.random.default_rng(seed).uniform(0, 0.05, 1000)
    for spec, stream in ((AUDIO, sound(300, level=level, rate=rate)), (VIDEO, pictures(300, rate=frames))):
        health = Health(spec, LIMITS, START)
        for i, sample in enumerate(stream):
            now = sample.time + late + jitter[i]
            given = replace(sample, time=sample.time - back * (i % 2))
            assert health.check(given, now, partner_lag=late) == ()
            assert health.check(None, now + 0.01) == ()


def frozen(samples: Iterator[Sample], begin: float, end: float) -> Iterator[Sample]:
    last: Sample | None = None
    for sample in samples:
        if last is None or not begin <= sample.time - START < end:
            last = sample
        yield replace(sample, data=last.data)


def dead(samples: Iterator[Sample], pause: int = 0) -> Iterator[Sample]:
    """Zeros in place of all samples, or of the first ones of each 55."""
    for i, s in enumerate(samples):
        yield replace(s, data=np.zeros_like(s.data)) if not pause or i % 55 <= pause else s


def clipped(gain: float) -> Iterator[Sample]:
    for s in sound(200, level=gain):
        yield replace(s, data=np.clip(np.asarray(s.data, np.float32), -1, 1))


def begun_with_a_jerk() -> Iterator[Sample]:
    return (replace(s, time=max(s.time, START + 0.4)) for s in sound(300))


def read_slowly() -> Iterator[Sample]:
    return (replace(s, lost=2) for i, s in enumerate(pictures(300, rate=8.0)) if i % 3 == 0)


LOUD, WRONG = "the sound is clipped; turn it down", "its rate is wrong, not 16000 Hz"


@pytest.mark.parametrize(
    ("spec", "samples", "finding", "begins"),
    [
        (VIDEO, frozen(pictures(100), 3.0, 7.0), "the picture is frozen", (4.8, 5.1)),
        (VIDEO, dead(pictures(50)), "the picture is black", (1.9, 2.2)),
        (VIDEO, pictures(30, rate=3.0), "it gives fewer than 4 pictures a second", (5.9, 6.8)),
        (VIDEO, read_slowly(), "", ()),
        (AUDIO, sound(100, level=0.0), "the sound is silent", (2.9, 3.1)),
        (AUDIO, dead(sound(300), pause=50), "", ()),  # speech has pauses
        (AUDIO, clipped(3.0), LOUD, (0.05, 0.5)),
        (AUDIO, clipped(1.2), LOUD, (0.4, 2.0)),
        (AUDIO, clipped(1.05), "", ()),  # a peak now and then is no harm
        (AUDIO, begun_with_a_jerk(), "", ()),
        *(
            (AUDIO, sound(round(200 * rate / 16000), rate=rate), WRONG, (5.9, 6.3))
            for rate in (8000, 14700, 17500, 44100)
        ),
    ],
)
def test_a_fault_is_found_once_and_alone(
    spec: InputSpec, samples: Iterator[Sample], finding: str, begins: tuple[float, ...]
) -> None:
    reported = findings(spec, samples)
    assert [wrong for _, wrong in reported[:1]] == [(finding,)] * bool(finding)
    assert len(reported) <= 2 * bool(finding)
    if finding:
        assert begins[0] <= reported[0][0] <= begins[1]
    if "frozen" in finding:
        assert reported[1][1] == ()
        assert 7.8 <= reported[1][0] <= 8.2, "a second after it moved again"


@pytest.mark.parametrize(
    ("spec", "stream", "dead", "wrong", "seconds"),
    [
        (AUDIO, sound(600), np.zeros(800, np.float32), "the sound is silent", LIMITS.silent),
        (VIDEO, pictures(300), np.zeros((6, 6, 3), np.uint8), "the picture is black", LIMITS.black),
    ],
)
def test_one_sample_disproves_silence_and_blackness_that_were_found_or_suspected(
    spec: InputSpec, stream: Iterator[Sample], dead: np.ndarray, wrong: str, seconds: float
) -> None:
    health, reported = Health(spec, LIMITS, START, (wrong,)), []
    for sample in stream:
        at = sample.time - START
        given = replace(sample, data=dead) if 10 <= at < 20 else sample
        reported.append((at, health.check(given, sample.time + 0.01)))
    spell = [at for at, found in reported if found]
    assert {found for _, found in reported} == {(), (wrong,)}
    assert [spell[0], spell[-1]] == pytest.approx([10 + seconds, 20], abs=0.11)


@pytest.mark.parametrize(
    ("value", "finding"),
    [
        (math.nan, "the sound holds NaN or infinity"),
        (-math.inf, "the sound holds NaN or infinity"),
        (-1e30, "the sound exceeds 1e+06 times full scale"),
    ],
)
def test_what_is_no_sound_is_found_at_once(value: float, finding: str) -> None:
    def broken() -> Iterator[Sample]:
        for i, s in enumerate(sound(100)):
            wave = np.array(s.data, np.float32)
            wave[3] = value if i == 20 else wave[3]
            yield replace(s, data=wave)

    reported = findings(AUDIO, broken())
    assert [wrong for _, wrong in reported] == [(finding,), ()]
    assert reported[0][0] == pytest.approx(21 * 0.05, abs=0.01)


def test_a_delay_that_shrinks_is_no_wrong_rate() -> None:
    health = Health(AUDIO, LIMITS, START)
    for i, sample in enumerate(sound(400)):
        delay = max(0.6 - 0.005 * i, 0.05)  # as PulseAudio reports of a source whose buffer runs empty
        assert health.check(replace(sample, time=sample.time - delay), sample.time + 0.01) == ()


@settings(max_examples=25)
@given(st.floats(0.35, 1e6), st.booleans(), st.sampled_from([AUDIO, VIDEO, TEXT]))
def test_a_clock_that_jumps(by: float, forward: bool, spec: InputSpec) -> None:
    late = LIMITS.late if spec is not TEXT else max(LIMITS.late, spec.ttl)
    assume(abs(by - late) > 0.02)
    health, wrong = Health(spec, LIMITS, START), []
    for i, (now, sample) in enumerate(timed(spec, 0.1, 10.0), start=1):
        time = now - 0.01 + (0.0 if i < 50 else by if forward else -by)
        wrong.append(health.check(replace(sample, time=time), now))
    assert wrong[:49] == [()] * 49
    assert wrong[49] == JUMPS
    lasts = by > late
    assert bool(wrong[-1]) == (forward or lasts), "a step back by a little is over; what is late stays out"
    if forward or lasts:
        assert all(wrong[49:]), "without a gap"


@pytest.mark.parametrize("pause", [0.7, 2.0, 5.0])
def test_what_waited_for_a_busy_process_is_neither_late_nor_a_drift(pause: float) -> None:
    busy = START + 5.0
    for spec, stream in ((AUDIO, list(sound(400))), (VIDEO, list(pictures(200)))):
        for begin in (busy, START):  # in the middle, and while its encoder is loaded
            health = Health(spec, LIMITS, START)
            for sample in stream:
                waits = begin <= sample.time < begin + pause
                now = max(sample.time + 0.01, begin + pause if waits else 0.0)
                assert health.check(sample, now, partner_lag=0.01) == ()


def test_one_that_gives_nothing_is_stalled_and_captions_may_be_quiet() -> None:
    for spec, wrong in ((AUDIO, ("nothing came for 3 s",)), (TEXT, ())):
        health = Health(spec, LIMITS, START)
        for quarter in range(1, 12):
            assert health.check(None, START + quarter / 4) == ()
        assert health.check(None, START + 3.0) == wrong
    health = Health(VIDEO, LIMITS, START)
    for s in pictures(10):
        assert health.check(s, s.time) == ()
    assert not health.must_reopen
    for quarter in range(5, 16):
        assert health.check(None, START + quarter / 4) == ()
    assert health.check(None, START + 4.1) == ("nothing came for 3 s",)
    assert health.stalled
    assert health.must_reopen, "there is nothing to lose by reopening it"


def test_time_in_which_this_process_did_not_run_stalls_no_sensor() -> None:
    health = Health(AUDIO, LIMITS, START)
    for s in sound(10):
        health.check(s, s.time)
    assert health.check(None, START + 60) == (), "it was stopped for a minute"
    assert health.check(None, START + 61) == ()
    assert health.check(None, START + 62) == ("nothing came for 3 s",)


@pytest.mark.parametrize(("rate", "seconds", "floods"), [(200, 4, True), (100, 4, False), (10_000, 1, False)])
def test_a_flood_lasts_and_a_burst_does_not(rate: int, seconds: int, floods: bool) -> None:
    captions = (Sample("text", "one", START + (i + 1) / rate) for i in range(rate * seconds))
    reported = findings(TEXT, captions, late=0.0)
    assert [wrong for _, wrong in reported[:1]] == [("it floods",)] * floods
    assert all(2.7 <= begins <= 3.0 for begins, _ in reported[:1])


@pytest.mark.parametrize(("rate", "floods"), [(1600, False), (5000, True)])
def test_an_inertial_unit_may_give_its_rows_one_by_one(rate: int, *, floods: bool) -> None:
    """Each kind has its bound: 150 samples a second are a flood of captions, but not of rows."""
    channels = (Channel("ax"),)
    spec = InputSpec("imu", "float32", (1, 2 * rate, 1), rate, 2, 1, 4, "series", channels)
    rng = np.random.default_rng(0)
    rows = (
        Sample("imu", rng.normal(0, 1, (1, 1)).astype(np.float32), START + (i + 1) / rate)
        for i in range(4 * rate)
    )
    found = {finding for _, wrong in findings(spec, rows, late=0.0) for finding in wrong}
    assert found == ({"it floods"} if floods else set())


def test_one_that_stays_unhealthy_must_be_reopened_and_a_check_may_be_switched_off() -> None:
    still = list(frozen(pictures(300), 0.0, 1e9))
    health, must_reopen = Health(VIDEO, LIMITS, START), []
    for s in still:
        health.check(s, s.time)
        must_reopen.append(health.must_reopen)
    assert START + 21.5 <= still[must_reopen.index(True)].time <= START + 22.5
    assert findings(VIDEO, iter(still), limits=Thresholds(frozen=math.inf)) == []


@pytest.mark.parametrize("rate", [LIMITS.rate, math.inf])
def test_a_clock_that_stands_still_takes_no_memory(rate: float) -> None:
    wave = np.full(80, 0.1, np.float32)
    health = Health(AUDIO, replace(LIMITS, late=math.inf, rate=rate), START)
    tracemalloc.start()
    try:
        for i in range(5000):
            health.check(Sample("audio", wave, START + i * 1e-9), START + 0.005 * i)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 50_000


@pytest.mark.parametrize("limits", [DEFAULT, PLAYED], ids=["live", "played"])
@pytest.mark.parametrize("spec", [AUDIO, VIDEO, TEXT], ids=["audio", "video", "text"])
@pytest.mark.parametrize("time", [math.nan, math.inf, -math.inf, 1e300, -1e300, START + 3600])
def test_a_time_that_no_clock_shows_is_the_clock_s_fault(
    time: float, spec: InputSpec, limits: Thresholds
) -> None:
    for wrong_one in (1, 20):
        health = Health(spec, limits, START)
        reported = []
        for i, (now, sample) in enumerate(timed(spec, 0.1, 5.0), start=1):
            reported.append(health.check(replace(sample, time=time) if i == wrong_one else sample, now))
        assert reported[: wrong_one - 1] == [()] * (wrong_one - 1)
        assert reported[wrong_one - 1] == JUMPS
        assert reported[-1] == (), "and it has recovered"


@pytest.mark.parametrize("limits", [DEFAULT, PLAYED], ids=["live", "played"])
@pytest.mark.parametrize("spec", [AUDIO, VIDEO, TEXT], ids=["audio", "video", "text"])
def test_an_hour_ahead_is_unhealthy_all_the_time_and_an_hour_behind_is_reported(
    spec: InputSpec, limits: Thresholds
) -> None:
    ahead, behind = Health(spec, limits, START), Health(spec, limits, START)
    every = 4.0 if spec is TEXT else 0.1
    for i, (now, sample) in enumerate(timed(spec, every, 16.0), start=1):
        for at in (now, now + every / 2):  # nothing comes in between
            assert ahead.check(replace(sample, time=now + 3600) if at == now else None, at) == JUMPS
        wrong = behind.check(replace(sample, time=now - 3600), now)
        assert not (limits is PLAYED and wrong), "which throws nothing away"
        if i == 1 and limits is DEFAULT:
            assert wrong == JUMPS, "it was not open then"
        if i * every > 8.0:
            late = "it is more than 3 s late" if spec is not TEXT else "it is more than 5 s late"
            assert (wrong + behind.doubts) == (late,)


def delayed(delays: list[float], beside: float = 0.01, limits: Thresholds = DEFAULT) -> list[tuple[str, ...]]:
    """Return the findings for sound that comes so late, 20 times a second, next to a camera."""
    health, reported = Health(AUDIO, limits, START), []
    for (now, sample), delay in zip(timed(AUDIO, 0.05, 0.05 * len(delays)), delays, strict=True):
        reported.append(health.check(replace(sample, time=now - delay), now, beside) + health.doubts)
    return reported


def test_sound_that_is_late_from_the_beginning_or_for_a_while_drifts_from_nothing() -> None:
    busy = [0.9] * 90 + [0.05] * 100  # what a sound server on a busy machine holds back at first
    swells = [0.05] * 100 + [0.05 + 0.04 * i for i in range(20)] + [0.85] * 70 + [0.05] * 100
    steady = [0.9] * 300
    for delays in (busy, swells, steady):
        assert set(delayed(delays)) == {()}


def test_a_drift_is_found_after_five_seconds_and_may_be_only_doubted() -> None:
    delays = [0.05] * 100 + [0.05 + min(0.01 * i, 0.8) for i in range(300)]
    drifts = ("it drifts, 0.5 s behind the picture",)
    for limits in (DEFAULT, replace(DEFAULT, doubted=frozenset({"drift"}))):
        reported = delayed(delays, limits=limits)
        assert 100 + 50 + 100 <= reported.index(drifts) <= 100 + 50 + 120
        assert set(reported) == {(), drifts}
    health = Health(AUDIO, limits, START)
    for (now, sample), delay in zip(timed(AUDIO, 0.05, 40.0), [*delays, *[0.85] * 400], strict=True):
        assert health.check(replace(sample, time=now - delay), now, 0.01) == (), "it is kept"
        assert not health.must_reopen, "and not reopened"
    assert health.doubts == drifts
