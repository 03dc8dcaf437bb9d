"""Windows recorded between takes: a few of each pause, the newest ones, and none during a take."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from sensemble_apps.running.capture import Capture
from sensemble_apps.running.recorder import Recorder
from sensemble_apps.running.take_recorder import takes_in
from sensemble_apps.studio import between_takes
from sensemble_apps.studio.studio import SPECS

from tests.waiting import wait_until

from .studying import Steady

pytestmark = pytest.mark.real


@contextmanager
def watching(folder: Path, is_busy: Callable[[], bool], done: Callable[[], None]) -> Iterator[None]:
    with Capture(SPECS, None) as capture:
        capture.attach(Steady("video"))
        watch = between_takes.BetweenTakes(Recorder(capture, SPECS), folder, is_busy, lambda: False, done)
        watch.start()
        with closing(watch):
            yield


def test_a_pause_has_some_windows_and_the_newest_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(between_takes, "_WHEN", (0.0, 0.1))
    monkeypatch.setattr(between_takes, "KEPT", 3)
    pauses, busy, looks, seen = list[int](), list[int](), list[bool](), list[int]()

    def is_busy() -> bool:
        looks.append(bool(busy))
        return looks[-1]

    with watching(tmp_path / "between", is_busy, lambda: pauses.append(1)):
        while len(seen) < 4:  # in some windows, a machine that stands still records nothing
            busy.clear()
            wait_until(lambda: pauses)
            busy.append(1)
            wait_until(lambda: looks[-1])
            pauses.clear()
            found = takes_in(tmp_path / "between")
            new = [take.number for take in found if take.number not in seen]
            assert len(new) <= 2
            seen += new
    assert [take.number for take in found] == seen[-3:]
    assert all(take.background and take.modalities == ("video",) for take in found)


@pytest.mark.parametrize("apart", [between_takes.APART, 0.0])  # 0: as on a disk that takes that long
def test_a_window_that_a_take_follows_at_once_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apart: float
) -> None:
    monkeypatch.setattr(between_takes, "APART", apart)
    monkeypatch.setattr(between_takes, "_WHEN", (0.0,) * 100)  # a slow machine may record none at first
    folder, looks, pauses = tmp_path / "between", list[bool](), list[int]()

    def is_busy() -> bool:
        looks.append(bool(takes_in(folder)))
        return looks[-1]

    with watching(folder, is_busy, lambda: pauses.append(1)):
        wait_until(lambda: (True, False) in pairwise(looks))
    assert not pauses
