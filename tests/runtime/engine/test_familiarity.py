"""A sensor that gives what is unlike its training, and one that contradicts the rest, beside the scripts."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.belief import RARE
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.prediction import Prediction

from tests.runtime.engine.script import HEAD, LABELS, STRANGE, Scene, bundle

EVERY = ("audio", "text", "video")
POOL = Policy(unfamiliar="pool")
LIE = 1  # the others show label 0


class Show(Scene):
    """A scene that has some sensors from the beginning."""

    def __init__(
        self,
        *modalities: str,
        known: Bundle | None = None,
        policy: Policy | None = None,
        adapter: Adapter | None = None,
    ) -> None:
        super().__init__(known, policy, adapter)
        for modality in modalities:
            self.attach(modality)

    def see(self, halves: int, odd: str = "", how: int = 0) -> Prediction:
        """Let the odd modality show `how` for so many half seconds; return the last prediction."""
        self.play(halves, odd, how, 0.004, 0.003)
        return next(item for item in reversed(self.items) if isinstance(item, Prediction))

    def kinds(self, modality: str) -> list[str]:
        """Return the kinds of the events of a modality, but for those of its sensor."""
        words = ("familiar", "suspect", "agrees")
        kinds = [i.kind for i in self.items if not isinstance(i, Prediction) and i.modality == modality]
        return [kind for kind in kinds if any(word in kind for word in words)]


def test_events_do_not_flap_and_end_with_the_sensor() -> None:
    show = Show("audio", "video")
    for _ in range(3):
        show.see(3, "video", STRANGE)
        assert show.see(1).live == ("audio", "video"), "one window proves nothing"
    assert show.kinds("video") == []
    show.see(5, "video", STRANGE)
    for _ in range(3):
        show.see(3)
        assert show.see(1, "video", STRANGE).live == ("audio",)
    assert show.kinds("video") == ["unfamiliar"]
    show.ask(1, "detach")
    show.rest(1)
    assert show.kinds("video") == ["unfamiliar", "familiar again"]


def test_a_corrected_sensor_is_live_though_its_windows_stay_unfamiliar() -> None:
    """Predictions pooled it, and the live set that was reported lacked it."""
    corrects = SimpleNamespace(
        correct=lambda newest: {m: window.embedding for m, window in newest.items()},
        learn=lambda *_: None,
        pop_events=list,
    )
    show = Show("audio", "video", adapter=cast("Adapter", corrects))
    made = show.see(6, "video", STRANGE)
    assert made.live == show.engine.live(show.now) == ("audio", "video")


@given(
    st.lists(st.tuples(st.sampled_from(EVERY), st.sampled_from([0, LIE, STRANGE])), min_size=1, max_size=8)
)
def test_each_mapping_of_a_prediction_covers_the_modalities_that_it_says(
    steps: list[tuple[str, int]],
) -> None:
    """The attributes keep their word for any unfamiliar windows and any liar."""
    show = Show(*EVERY)
    for odd, how in steps:
        made = show.see(2, odd, how)
        near = {*made.live, *made.unfamiliar, *filter(None, [made.suspect])}
        assert made.ages.keys() == made.embeddings.keys() == set(made.live)
        assert made.opinions.keys() == near
        assert made.levels.keys() == near - {"text"}
        assert made.latencies.keys() <= set(EVERY)
        assert made.dropped.keys() == made.lost.keys() == set(EVERY)
        assert made.skipped == {}, "without a duty"


def test_a_policy_may_pool_what_is_unfamiliar_and_a_suspect() -> None:
    made = Show("video", policy=POOL).see(5, "video", STRANGE)
    assert made.live == made.unfamiliar == ("video",)
    assert made.doubt != "unfamiliar", "what the classifier says counts"
    made = Show(*EVERY, policy=POOL).see(8, "video", LIE)
    assert (made.suspect, made.live) == ("video", EVERY)


def test_a_bundle_without_scores_knows_nothing_unfamiliar() -> None:
    known = bundle(replace(HEAD, familiarity=None))
    made = Show("audio", "video", known=known).see(6, "video", STRANGE)
    assert (made.live, made.unfamiliar) == (("audio", "video"), ())


def test_no_label_of_a_multi_label_task_excludes_another() -> None:
    show = Show(*EVERY, known=bundle(replace(HEAD, task="multi-label")))
    show.see(20, "video", LIE)
    assert show.kinds("video") == []


def test_what_another_head_made_of_a_sensor_is_forgotten() -> None:
    known, other = bundle(), bundle()
    known.with_head = lambda _: other  # type: ignore[method-assign]
    show = Show(*EVERY, known=known)
    assert show.see(8, "video", LIE).suspect == "video"
    assert show.engine.replace_head(other, show.now)
    made = show.see(1)
    assert {*made.lies.values()} == {RARE}
    assert made.label == LABELS[0]
    assert made.lies.keys() == {*EVERY}
