"""Clocks that lie, and what is found by comparing: by given samples and given times."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from sensemble_sensors.health.health import Health
from sensemble_sensors.sensor import STEP, Sample
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.thresholds import DEFAULT, PLAYED, Thresholds

AUDIO = InputSpec("audio", "float32", (1, 16000), 16000, 1.0, 0.5, 2.0)
VIDEO = InputSpec("video", "uint8", (1, 8, 6, 6, 3), 8, 1.0, 0.5, 2.0)
TEXT = InputSpec("text", "int64", (1, 8), 0, 0.0, 0.0, 5.0)
START = 100_000.0
JUMPS = ("its clock jumps",)


def given(spec: InputSpec, every: float, seconds: float) -> Iterator[tuple[float, Sample]]:
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


@pytest.mark.parametrize("limits", [DEFAULT, PLAYED], ids=["live", "played"])
@pytest.mark.parametrize("spec", [AUDIO, VIDEO, TEXT], ids=["audio", "video", "text"])
@pytest.mark.parametrize("time", [math.nan, math.inf, -math.inf, 1e300, -1e300, START + 3600])
def test_a_time_that_no_clock_shows_is_the_clock_s_fault(
    time: float, spec: InputSpec, limits: Thresholds
) -> None:
    for wrong_one in (1, 20):
        health = Health(spec, limits, START)
        reported = []
        for i, (now, sample) in enumerate(given(spec, 0.1, 5.0), start=1):
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
    for i, (now, sample) in enumerate(given(spec, every, 16.0), start=1):
        for at in (now, now + every / 2):  # nothing comes in between
            assert ahead.check(replace(sample, time=now + 3600) if at == now else None, at) == JUMPS
        wrong = behind.check(replace(sample, time=now - 3600), now)
        assert not (limits is PLAYED and wrong), "which throws nothing away"
        if i == 1 and limits is DEFAULT:
            assert wrong == JUMPS, "it was not open then"
        if i * every > 8.0:
            late = "it is more than 3 s late" if spec is not TEXT else "it is more than 5 s late"
            assert (wrong + behind.doubts) == (late,)


@pytest.mark.parametrize("by", [0.003, STEP - 0.02])
@pytest.mark.parametrize("spec", [AUDIO, VIDEO, TEXT], ids=["audio", "video", "text"])
def test_a_clock_that_jitters_is_well(spec: InputSpec, by: float) -> None:
    for limits in (DEFAULT, PLAYED):
        health = Health(spec, limits, START)
        for i, (now, sample) in enumerate(given(spec, 0.01, 3.0)):
            assert health.check(replace(sample, time=now - by * (i % 2)), now) == ()


def delayed(delays: list[float], beside: float = 0.01, limits: Thresholds = DEFAULT) -> list[tuple[str, ...]]:
    """Return the findings for sound that comes so late, 20 times a second, next to a camera."""
    health, reported = Health(AUDIO, limits, START), []
    for (now, sample), delay in zip(given(AUDIO, 0.05, 0.05 * len(delays)), delays, strict=True):
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
    for (now, sample), delay in zip(given(AUDIO, 0.05, 40.0), [*delays, *[0.85] * 400], strict=True):
        assert health.check(replace(sample, time=now - delay), now, 0.01) == (), "it is kept"
        assert not health.must_reopen, "and not reopened"
    assert health.doubts == drifts
