"""The clock of rows by what a sender says and when its rows come, both made up."""

from collections.abc import Callable

import pytest
from sensemble_sensors.devices.rows import Row
from sensemble_sensors.devices.source_clock import RowClock
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.spec import Channel, InputSpec

SPEC = InputSpec("imu", "float32", (1, 100, 1), 100, 1.0, 0.5, 2.0, "series", (Channel("ax"),))


def row(time: float) -> Row:
    return Row(time, [1.0])


@pytest.mark.parametrize("block", [1, 10])
@pytest.mark.parametrize(
    ("clock", "reason"),
    [
        (lambda i: 10 * i, "milliseconds"),  # Arduino's `millis()`
        (lambda i: 1_698_501_144_401 + 10 * i, "milliseconds"),  # since 1970
        (lambda i: 10_000 * i, "microseconds"),
        (lambda i: 1_698_501_144_401_773 + 10_000 * i, "microseconds"),
        (lambda i: 1_698_501_144_401_773_000 + 10_000_000 * i, "nanoseconds"),
        (lambda i: 1_698_501_144 + i // 100, "fractions"),  # whole seconds
        (lambda i: i / 6000, " s; give seconds"),  # minutes
        (lambda i: 45_000 + i / 8_640_000, "give seconds"),  # days
        (lambda _: 5.0, "fractions"),
        (lambda _: 1e37, "fractions"),
        (lambda i: -i / 100, "fractions"),
    ],
)
def test_a_wrong_clock_is_recognized_within_seconds(
    clock: Callable[[int], float], reason: str, block: int
) -> None:
    rows, now = RowClock(SPEC), 0.0

    def give() -> None:
        nonlocal now
        for i in range(0, 400, block):
            now = i / 100
            assert len([*rows.rows([row(clock(i + k)) for k in range(block)], now)]) <= 1

    with pytest.raises(BadDataError) as caught:
        give()
    assert reason in str(caught.value)
    assert now < (0.5 if "is it in" in str(caught.value) else 4), "another unit shows at once"


def test_a_sender_that_pauses_with_its_clock_goes_on() -> None:
    rows = RowClock(SPEC)
    for begin, now in ((0.0, 100.0), (0.1, 103.0), (0.2, 106.0)):
        (sample,) = rows.rows([row(begin + i / 100) for i in range(10)], now)
        assert sample.cut
        assert sample.time == pytest.approx(now, abs=0.02)
        assert len(sample.data) >= 9


def test_one_absurd_time_is_a_lost_row() -> None:
    times = [i / 100 for i in range(40)]
    times[20] = 1e37
    (sample,) = RowClock(SPEC).rows([row(time) for time in times], 100.0)
    assert (len(sample.data), sample.lost, sample.time) == (39, 1, 100.0)
