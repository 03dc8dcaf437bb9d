"""A process that fits the instant head and is killed: it is started again, and the page says so."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sensemble_apps.studio import instant_head
from sensemble_apps.studio.project import ProjectRun

from tests.waiting import PATIENCE

from .studying import Steady, Studying, studying

pytestmark = pytest.mark.real


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studying]:
    """A studio of one take of a class, whose process answers at once."""
    monkeypatch.setattr(instant_head, "FITTING", "tests.apps.studio.fitter")
    with studying(tmp_path / "project", Steady("video"), options=("--encoder", "video=any")) as served:
        served.act("add_classes", names="clap")
        served.take("clap")
        answered(served)
        yield served


def answered(served: Studying, *, other_than: int = 0) -> int:
    """Wait for the answer of a process without trouble; give its id."""

    def fine(state: dict[str, Any]) -> bool:
        found, right = state["project"]["instant"], state["project"]["classes"][0]["right"]
        return not found["fitting"] and not found["trouble"] and right and right[1] != other_than

    return int(served.wait(fine)["project"]["classes"][0]["right"][1])


def test_nothing_is_said_before_it_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A studio that is told of a change while it makes its `InstantHead` has none yet."""
    monkeypatch.setattr(instant_head, "FITTING", "tests.apps.studio.no_such_module")
    told, before = Event(), threading.active_count()
    fitted = instant_head.InstantHead(ProjectRun(0, tmp_path), tmp_path, (), lambda **_: told.set())
    assert threading.active_count() == before, "no thread that could say anything"
    try:
        fitted.start()
        assert told.wait(PATIENCE)
    finally:
        fitted.close()


def test_it_is_started_again_and_takes_go_on(served: Studying) -> None:
    first, number = answered(served), signal.SIGSEGV
    os.kill(first, number)
    served.wait(lambda state: number.name in state["project"]["instant"]["trouble"])
    taken = served.take("clap")
    assert served.state()["failure"] == ""
    second = answered(served, other_than=first)
    os.kill(second, number)
    assert served.act("rename_class", name="clap", new="snap") == ""
    assert served.act("delete_take", number=taken) == ""
    assert len(served.state()["project"]["takes"]) == 1
    answered(served, other_than=second)


def test_one_that_dies_of_each_take_rests_until_the_next(served: Studying, tmp_path: Path) -> None:
    first, deadly = answered(served), tmp_path / "project" / "deadly"
    deadly.touch()
    taken = served.take("clap")
    given_up = served.wait(
        lambda state: "next change" in state["project"]["instant"]["trouble"] and state["project"]["instant"]
    )
    assert not given_up["project"]["instant"]["fitting"]
    deadly.unlink()
    assert served.act("delete_take", number=taken) == ""
    answered(served, other_than=first)


def test_one_that_is_stopped_does_not_keep_the_studio_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instant_head, "FITTING", "tests.apps.studio.fitter")
    monkeypatch.setattr(instant_head, "_PATIENCE", 0.2)
    with studying(tmp_path / "project", Steady("video"), options=("--encoder", "video=any")) as served:
        served.act("add_classes", names="clap")
        served.take("clap")
        stopped = answered(served)
        os.kill(stopped, signal.SIGSTOP)
    with pytest.raises(ProcessLookupError):
        os.kill(stopped, 0)
