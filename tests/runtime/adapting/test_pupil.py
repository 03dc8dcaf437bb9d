import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_runtime.adapting.correction import fit, spread
from sensemble_runtime.adapting.pupil import LABEL, SCENE, Lesson, Pupil

from .world import (
    C,
    D,
    Teacher,
    World,
    drifting,
    elsewhere,
    flickering,
    frozen,
    honest,
    opinion,
    permuted,
    swapping,
)

SEEDS = range(2)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_honest_teacher_teaches(seed: int) -> None:
    world = World(seed)
    pupil = Pupil.new(world.head)
    changes = world.teach(pupil, honest, 500)
    assert [change.state for change in changes] == ["used"]
    shipped, used = world.accuracy(pupil)
    assert used > shipped + 0.1


@pytest.mark.parametrize("teacher", [frozen, flickering, elsewhere, permuted])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_teacher_that_nothing_bears_out_is_never_believed(teacher: Teacher, seed: int) -> None:
    world = World(seed)
    pupil = Pupil.new(world.head)
    assert world.teach(pupil, teacher, 600) == []
    assert pupil.used is None


def test_a_frozen_teacher_teaches_one_scene() -> None:
    world = World()
    pupil = Pupil.new(world.head)
    world.teach(pupil, frozen, 300)
    pupil.end_scene(512)
    assert pupil.windows == SCENE


@pytest.mark.parametrize("seed", SEEDS)
def test_a_teacher_that_becomes_wrong_is_dropped_and_what_it_taught_forgotten(seed: int) -> None:
    world = World(seed)
    pupil = Pupil.new(world.head)
    world.teach(pupil, honest, 500)
    assert pupil.used is not None
    changes = world.teach(pupil, drifting, 800)
    assert "dropped" in [change.state for change in changes]
    world.teach(pupil, permuted, 200)
    assert pupil.used is None


@pytest.mark.parametrize("seed", SEEDS)
def test_a_teacher_that_takes_two_classes_for_each_other_does_no_harm(seed: int) -> None:
    world = World(seed)
    pupil = Pupil.new(world.head)
    world.teach(pupil, swapping, 600)
    shipped, used = world.accuracy(pupil)
    assert used > shipped - 0.02


def test_a_pupil_that_used_to_agree_is_not_retrained_but_reports_the_dispute() -> None:
    world = World()
    pupil = Pupil.new(world.head)
    world.teach(pupil, honest, 200, sure=True)
    assert pupil.guard.credible
    taught = pupil.windows
    changes = world.teach(pupil, permuted, 100, sure=True)
    assert [change.state for change in changes] == ["disputed"]
    assert "one of them is wrong" in changes[0].reason
    assert (pupil.used, pupil.windows) == (None, 0)
    assert taught > 150
    world.teach(pupil, honest, 100)
    assert pupil.windows == 0, "while it is disputed, nothing is learned"
    changes = world.teach(pupil, honest, 200, sure=True)
    assert changes[0].state == "learning", "once they agree again, it is"
    assert pupil.windows > 0


def test_a_credible_pupil_is_not_taught_what_it_denies() -> None:
    world = World()
    pupil = Pupil.new(world.head)
    world.teach(pupil, honest, 200, sure=True)
    before = pupil.windows
    world.teach(pupil, swapping, 300, sure=True)
    assert pupil.guard.state != "disputed", "about one window in three"
    assert pupil.windows - before < 240
    shipped, used = world.accuracy(pupil)
    assert used >= shipped


def test_a_pupil_that_is_sure_and_wrong_from_the_start_is_taught() -> None:
    world = World()
    pupil = Pupil.new(world.head)
    truth = world.truth(400)
    x = world.windows(truth)
    for window, answer in zip(x, truth, strict=True):
        sure = int(world.head.logits(window).argmax())
        pupil.learn(Lesson(window, opinion(int(answer)), sure=sure), 512)
    assert pupil.guard.state == "used"
    shipped, used = world.accuracy(pupil)
    assert used > shipped + 0.1


def test_if_a_sure_pupil_never_agrees_nobody_is_believed() -> None:
    world = World()
    pupil = Pupil.new(world.head)
    changes = world.teach(pupil, permuted, 100, sure=True)
    assert [change.state for change in changes] == ["disputed"]


def test_a_label_is_taken_from_a_person_against_a_sure_pupil_and_counts_more() -> None:
    world = World()
    pupil = Pupil.new(world.head)
    x = world.windows(np.array([3]))[0]
    lesson = Lesson(x, opinion(3, 1.0), weight=LABEL, sure=5)
    assert not lesson.disputed
    pupil.learn(lesson, 512)
    pupil.end_scene(512)
    assert pupil.sums.weight == LABEL


def test_the_windows_of_a_scene_are_judged_before_they_are_learned() -> None:
    world = World()
    pupil = Pupil.new(world.head)
    world.teach(pupil, honest, 100)
    before, weight = pupil.correction, pupil.sums.weight
    x = world.windows(np.full(50, 4))
    for window in x:
        pupil.learn(Lesson(window, opinion(4)), 512)
    assert (pupil.correction is before) == (weight == pupil.sums.weight)
    taught = pupil.windows
    pupil.end_scene(512)
    assert pupil.windows - taught <= SCENE


@settings(max_examples=25)
@given(st.integers(0, 1000), st.integers(1, 60))
def test_a_correction_is_as_loud_as_the_head_whatever_it_is_taught(seed: int, n: int) -> None:
    world = World(seed % 7)
    pupil, rng = Pupil.new(world.head), np.random.default_rng(seed)
    for x, q in zip(100 * rng.normal(0, 1, (n, D)), rng.dirichlet(np.full(C, 0.1), n), strict=True):
        pupil.sums.add(x, q)
    correction = fit(pupil.sums, world.head)
    if correction is not None:
        slopes = world.head.weight.T - world.head.weight.T.mean(1, keepdims=True)
        assert spread(pupil.sums, correction.weight.T) == pytest.approx(spread(pupil.sums, slopes), rel=1e-3)


def test_a_class_that_is_shown_more_often_does_not_become_likelier() -> None:
    world = World()
    pupil = Pupil.new(world.head)
    truth = np.where(world.rng.random(600) < 0.5, 6, world.truth(600))
    for x, answer in zip(world.windows(truth), truth, strict=True):
        pupil.learn(Lesson(x, opinion(int(answer))), 512)
    assert pupil.correction is not None
    truth = world.truth(2000)
    said = pupil.correction.logits(world.windows(truth)).argmax(1)
    assert (said == 6).mean() < 0.2
