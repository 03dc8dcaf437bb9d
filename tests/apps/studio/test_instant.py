"""The instant head in the studio: live after two takes of two classes, and fitted anew after each more."""

from pathlib import Path
from threading import Event

import pytest
from sensemble_apps.studio.instant import Instant
from sensemble_apps.studio.project import Run
from sensemble_runtime import Bundle

from tests.train.recipe.test_instant import ENCODERS

from .studying import Steady, studying

OPTIONS = [option for m, source in ENCODERS.items() for option in ("--encoder", f"{m}={source}")]

LOWERED = 500.0  # seconds; a busy machine is no failure


@pytest.mark.slow
@pytest.mark.timeout(3 * LOWERED)
def test_it_is_live_after_two_takes_of_two_classes_and_knows_a_third_after_two_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    camera, microphone = Steady("video"), Steady("audio")
    folder = tmp_path / "project"
    with studying(folder, camera, microphone, options=OPTIONS) as served:
        for label in ("zero", "one", "two"):
            camera.label = microphone.label = label
            served.act("add_class", name=label)
            for _ in range(2):
                served.take(label)
            if label == "one":
                state = served.wait(lambda state: state["project"]["instant"]["done"], LOWERED)
                assert {one["subset"] for one in state["project"]["instant"]["sets"]} >= {"audio", "video"}
                assert served.act("open_live", run=0) == ""
                assert served.wait(lambda state: state["project"]["live"] == 0)
                assert Bundle.open(folder / "instant/bundle").manifest.labels == ("one", "zero")
        served.wait(lambda state: not state["project"]["instant"]["fitting"], LOWERED)
        assert served.state()["project"]["instant"]["reason"] == ""
        assert served.state()["project"]["live"] == 0, "the live page goes on with the newest head"
        assert Bundle.open(folder / "instant/bundle").manifest.labels == ("one", "two", "zero")
        assert served.studio.live.session is not None
        assert served.ask("/live/")[0] == 200


def test_a_fit_that_fails_says_why_and_is_over_at_once(tmp_path: Path) -> None:
    seen, over = list[bool](), Event()

    def done() -> None:
        seen.append(instant.is_fitting)
        over.set()

    instant = Instant(Run(0, tmp_path / "instant"), tmp_path / "none", (), done)
    instant.fit()
    assert over.wait(LOWERED)
    instant.close()
    assert seen == [False], "the live page begins anew once a fit"
    assert "none" in instant.reason
    assert instant.sets is None


def test_takes_that_are_held_out_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = list[Instant]()

    def note(instant: Instant) -> None:
        fits.append(instant)

    monkeypatch.setattr(Instant, "fit", note)
    camera, microphone = Steady("video"), Steady("audio")
    with studying(tmp_path / "project", camera, microphone, options=OPTIONS) as served:
        for label in ("zero", "one"):
            served.act("add_class", name=label)
            for _ in range(2):
                served.take(label)
        assert len(fits) == 1
        served.act("hold_out")
    with studying(tmp_path / "project", camera, microphone, options=OPTIONS):
        assert len(fits) == 1, "of one take of each, it would fail"


def test_from_scratch_there_is_none(tmp_path: Path) -> None:
    with studying(tmp_path / "project") as served:
        assert served.state()["project"]["instant"] is None
