import numpy as np
import pytest
from scipy.stats import binomtest
from sensemble_runtime.adapting.correction import (
    HARMFUL,
    SCENE,
    UNRELATED,
    Learner,
    Lesson,
    Trial,
    bet,
)

from .world import (
    NULLS,
    C,
    Null,
    Teacher,
    World,
    drifting,
    elsewhere,
    flickering,
    frozen,
    honest,
    permuted,
    swapping,
)

SEEDS = range(3)
RUNS = 60


def test_at_most_a_twentieth_of_fair_bets_ever_win_twenty_times_the_stake() -> None:
    rng = np.random.default_rng(0)
    reached, runs = 0, 2000
    for _ in range(runs):
        wealth = 1.0
        for outcome in rng.choice([-1, -0.2, 0, 0.2, 1], 100):
            wealth = bet(wealth, outcome)
            if wealth >= 20:
                reached += 1
                break
    assert binomtest(reached, runs, 0.05, alternative="greater").pvalue > 0.001, reached
    assert bet(1e9, 1) == 1e9, "it stays finite"


@pytest.mark.parametrize(
    ("helps", "related", "used"), [(10.0, 50.0, True), (10.0, 49.0, False), (9.0, 50.0, False)]
)
def test_a_correction_is_used_once_both_bets_are_won(helps: float, related: float, used: bool) -> None:
    world = World()
    learner = Learner(world.head)
    for answer in (*range(C), 0):
        learner.learn(Lesson(world.windows(np.array([answer]))[0], answer))
    learner.moments[-1, len(learner.moments) - 1] = 1.0  # too few lessons to judge the next scene
    learner.trial = Trial(scenes=10, shipped=1.0, adapted=1.0, helps=helps, related=related)
    decision = learner.learn(Lesson(world.windows(np.array([3]))[0], 3))
    assert (decision is not None) == learner.trial.used == used


@pytest.mark.parametrize("null", NULLS, ids=str)
def test_a_teacher_that_has_nothing_to_do_with_the_sensor_is_believed_as_seldom_as_promised(
    null: Null,
) -> None:
    """Where both favour one class, 18 to 41 % of runs believed it when chance was counted as it came."""
    believed = sum(won for _, won in (null.believed(seed, 150) for seed in range(RUNS)))
    assert binomtest(believed, RUNS, UNRELATED, alternative="greater").pvalue > 0.01, believed


def test_a_head_that_is_right_already_is_corrected_as_seldom_as_promised() -> None:
    used = 0
    for seed in range(30):
        world = World(seed)
        world.means, world.offset = world.head.weight.astype(float), np.zeros(len(world.offset))
        learner = Learner(world.head)
        used += bool(world.teach(learner, honest, 100))
    assert binomtest(used, 30, HARMFUL, alternative="greater").pvalue > 0.01, used


@pytest.mark.parametrize("seed", SEEDS)
def test_an_honest_teacher_teaches(seed: int) -> None:
    world = World(seed)
    learner = Learner(world.head)
    (change,) = world.teach(learner, honest, 400)
    assert change == "taught"
    shipped, adapted = learner.trial.agreement
    assert adapted > shipped
    shipped, used = world.accuracy(learner)
    assert used > shipped + 0.1


@pytest.mark.parametrize("teacher", [frozen, flickering, elsewhere, permuted])
@pytest.mark.parametrize("seed", SEEDS)
def test_an_unrelated_teacher_is_never_believed(teacher: Teacher, seed: int) -> None:
    world = World(seed)
    learner = Learner(world.head)
    assert world.teach(learner, teacher, 400) == []
    assert not learner.trial.used


def test_a_frozen_teacher_teaches_one_scene() -> None:
    world = World()
    learner = Learner(world.head)
    world.teach(learner, frozen, 300)
    learner.learn(Lesson(world.windows(np.array([3]))[0], 3))
    assert learner.trial.windows == SCENE


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("teacher", [permuted, elsewhere, drifting])
def test_a_teacher_that_becomes_wrong_is_dropped_and_what_it_taught_forgotten(
    teacher: Teacher, seed: int
) -> None:
    world = World(seed)
    learner = Learner(world.head)
    world.teach(learner, honest, 400)
    assert learner.trial.used
    changes = world.teach(learner, teacher, 800)
    assert changes[0] == "untaught"
    world.teach(learner, permuted, 250)
    assert not learner.trial.used


@pytest.mark.parametrize("seed", SEEDS)
def test_a_teacher_that_takes_two_classes_for_each_other_does_no_harm(seed: int) -> None:
    world = World(seed)
    learner = Learner(world.head)
    world.teach(learner, swapping, 500)
    shipped, used = world.accuracy(learner)
    assert used > shipped - 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_a_correction_that_helps_stays_in_use(seed: int) -> None:
    world = World(seed)
    learner = Learner(world.head)
    changes = world.teach(learner, honest, 1500)
    assert changes == ["taught"]


def test_lessons_about_few_classes_are_not_used() -> None:
    world = World()
    learner = Learner(world.head)
    truth = world.rng.integers(0, 3, 400)
    for x, answer in zip(world.windows(truth), truth, strict=True):
        learner.learn(Lesson(x, int(answer)))
    assert learner.trial.helps >= 1 / HARMFUL
    assert not learner.trial.used


def test_the_windows_of_a_scene_are_judged_before_they_are_learned() -> None:
    world = World()
    learner = Learner(world.head)
    world.teach(learner, honest, 100)
    learner.learn(Lesson(world.windows(np.array([4]))[0], 4))
    before, windows, scenes = learner.correction, learner.trial.windows, learner.trial.scenes
    for window in world.windows(np.full(50, 4)):
        learner.learn(Lesson(window, 4))
    assert learner.correction is before
    learner.learn(Lesson(world.windows(np.array([5]))[0], 5))
    assert (learner.trial.windows - windows, learner.trial.scenes - scenes) == (SCENE, 1)
