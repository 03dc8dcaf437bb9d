import numpy as np
import pytest
from scipy.stats import binomtest
from sensemble_runtime.adapting.pupil import HARMFUL, SCENE, UNRELATED, Lesson, Pupil, SignTest

from .world import (
    NULLS,
    Null,
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

SEEDS = range(3)
RUNS = 60


def wealth(outcomes: str) -> float:
    test = SignTest()
    for outcome in outcomes:
        test.add({"+": 1, "-": -1, "0": 0}[outcome])
    return test.wealth


def test_wealth_is_what_bets_at_even_odds_leave() -> None:
    assert wealth("+0+0+") == pytest.approx(1 * 3 / 2 * 5 / 3)
    assert wealth("---") == 1, "nothing is bet on losses"
    assert wealth("++-") == pytest.approx(1.5 * (1 - 2 / 3))


def test_at_most_a_twentieth_of_fair_coins_ever_win_twenty_times_the_stake() -> None:
    rng = np.random.default_rng(0)
    reached, runs = 0, 2000
    for _ in range(runs):
        test = SignTest()
        for outcome in rng.choice([-1, 0, 1], 100):
            test.add(outcome)
            if test.wealth >= 20:
                reached += 1
                break
    assert binomtest(reached, runs, 0.05, alternative="greater").pvalue > 0.001, reached


def test_a_teacher_is_borne_out_after_eight_wins_in_a_row_and_not_before() -> None:
    """Kills a guard that asks for a tenth of the evidence."""
    assert wealth("+" * 7) < 1 / UNRELATED <= wealth("+" * 8)
    assert wealth("+" * 5) < 1 / HARMFUL <= wealth("+" * 6)


def test_wealth_stays_finite() -> None:
    assert np.isfinite(wealth("+" * 20_000))


@pytest.mark.parametrize(
    ("helps", "borne", "used"),
    [("+" * 6, "+" * 8, True), ("+" * 6, "+" * 7, False), ("+" * 5, "+" * 8, False)],
)
def test_a_correction_is_used_once_both_tests_are_won(helps: str, borne: str, used: bool) -> None:
    world = World()
    pupil = Pupil.new(world.head)
    pupil.taught[:] = 1
    pupil.trial.scenes, pupil.trial.adapted = 10, 1.0
    pupil.trial.helps.wealth, pupil.trial.borne.wealth = wealth(helps), wealth(borne)
    pupil.learn(Lesson(world.windows(np.array([3]))[0], opinion(3)))
    assert (pupil.end_scene() is not None) == pupil.used == used


@pytest.mark.parametrize("null", NULLS, ids=str)
def test_a_teacher_that_has_nothing_to_do_with_the_sensor_is_believed_as_seldom_as_promised(
    null: Null,
) -> None:
    """Where both favour one class, 18 to 41 % of runs believed it when chance was counted as it came."""
    found = [null.pupil(seed, 150) for seed in range(RUNS)]
    borne = sum(most >= 1 / UNRELATED for _, most in found)
    assert binomtest(borne, RUNS, UNRELATED, alternative="greater").pvalue > 0.01, borne
    assert binomtest(sum(u for u, _ in found), RUNS, UNRELATED, alternative="greater").pvalue > 0.01


def test_a_head_that_is_right_already_is_corrected_as_seldom_as_promised() -> None:
    used = 0
    for seed in range(30):
        world = World(seed)
        world.means, world.offset = world.head.weight.astype(float), np.zeros(len(world.offset))
        pupil = Pupil.new(world.head)
        used += bool(world.teach(pupil, honest, 100))
    assert binomtest(used, 30, HARMFUL, alternative="greater").pvalue > 0.01, used


@pytest.mark.parametrize("seed", SEEDS)
def test_an_honest_teacher_teaches(seed: int) -> None:
    world = World(seed)
    pupil = Pupil.new(world.head)
    (change,) = world.teach(pupil, honest, 400)
    assert change.reason == ""
    assert change.agreement[1] > change.agreement[0]
    shipped, used = world.accuracy(pupil)
    assert used > shipped + 0.1


@pytest.mark.parametrize("teacher", [frozen, flickering, elsewhere, permuted])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_teacher_that_nothing_bears_out_is_never_believed(teacher: Teacher, seed: int) -> None:
    world = World(seed)
    pupil = Pupil.new(world.head)
    assert world.teach(pupil, teacher, 400) == []
    assert not pupil.used


def test_a_frozen_teacher_teaches_one_scene() -> None:
    world = World()
    pupil = Pupil.new(world.head)
    world.teach(pupil, frozen, 300)
    pupil.end_scene()
    assert pupil.windows == SCENE


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("teacher", [permuted, elsewhere, drifting])
def test_a_teacher_that_becomes_wrong_is_dropped_and_what_it_taught_forgotten(
    teacher: Teacher, seed: int
) -> None:
    world = World(seed)
    pupil = Pupil.new(world.head)
    world.teach(pupil, honest, 400)
    assert pupil.used
    changes = world.teach(pupil, teacher, 800)
    assert "the bundle's own head" in changes[0].reason
    world.teach(pupil, permuted, 250)
    assert not pupil.used


@pytest.mark.parametrize("seed", SEEDS)
def test_a_teacher_that_takes_two_classes_for_each_other_does_no_harm(seed: int) -> None:
    world = World(seed)
    pupil = Pupil.new(world.head)
    world.teach(pupil, swapping, 500)
    shipped, used = world.accuracy(pupil)
    assert used > shipped - 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_a_correction_that_helps_stays_in_use(seed: int) -> None:
    world = World(seed)
    pupil = Pupil.new(world.head)
    changes = world.teach(pupil, honest, 1500)
    assert [change.reason for change in changes] == [""]


def test_lessons_about_few_classes_are_not_used() -> None:
    world = World()
    pupil = Pupil.new(world.head)
    truth = world.rng.integers(0, 3, 400)
    for x, answer in zip(world.windows(truth), truth, strict=True):
        pupil.learn(Lesson(x, opinion(int(answer))))
    assert pupil.trial.helps.wealth >= 1 / HARMFUL
    assert not pupil.used


def test_the_windows_of_a_scene_are_judged_before_they_are_learned() -> None:
    world = World()
    pupil = Pupil.new(world.head)
    world.teach(pupil, honest, 100)
    pupil.end_scene()
    before, scenes = pupil.correction, pupil.trial.scenes
    for window in world.windows(np.full(50, 4)):
        pupil.learn(Lesson(window, opinion(4)))
    assert pupil.correction is before
    windows = pupil.windows
    pupil.end_scene()
    assert (pupil.windows - windows, pupil.trial.scenes - scenes) == (SCENE, 1)
