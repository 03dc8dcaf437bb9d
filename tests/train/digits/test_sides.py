"""Training, calibration and evaluation share no person, voice, word, picture, utterance or phrase."""

from collections import Counter, defaultdict
from itertools import combinations, pairwise

import numpy as np
import pytest
from sensemble_train.digits.captions import (
    OPENINGS,
    PLACES,
    elsewhere,
    hints,
    names,
    near_phrases,
    phrase,
    vague,
)
from sensemble_train.digits.personas import PEOPLE, personas
from sensemble_train.digits.plan import DigitsConfig, Plan, plan
from sensemble_train.digits.speech import PICO
from sensemble_train.digits.voices import (
    ACCENTS,
    NEAR_WORDS,
    OTHER_WORDS,
    PICO_VOICES,
    SIDES,
    VARIANTS,
    WORDS,
    Side,
)
from sklearn.datasets import load_digits

ALL = tuple(VARIANTS)


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    return plan(DigitsConfig())


def phrases(side: Side) -> set[str]:
    each = (p for digit in range(10) for p in (*names(digit, side), *sum(hints(digit, side), ())))
    near = sum(near_phrases(side), ()) if side in NEAR_WORDS else ()
    return {*each, *vague(side), *elsewhere(side), *near, *OPENINGS[side], *PLACES[side]}


def test_each_of_scikit_learns_pictures_is_in_one_split_and_filmed_by_one_person(plans: list[Plan]) -> None:
    films: dict[bytes, set[tuple[str, tuple[str, ...]]]] = defaultdict(set)
    for each in plans:
        if each.picture is not None:
            films[each.picture.tobytes()].add((each.split, each.groups))
    assert len(films) == 1797
    assert all(len(who) == 1 for who in films.values())
    every = Counter(dict(DigitsConfig().backgrounds)) + Counter(dict(DigitsConfig().near))
    assert Counter(each.split for each in plans if each.digit is None) == every


def test_no_side_shares_anything_with_another(plans: list[Plan]) -> None:
    found: dict[str, dict[Side, set[object]]] = defaultdict(lambda: defaultdict(set))
    for each in plans:
        side = SIDES[each.split]
        found["person"][side] |= {each.persona, *each.groups}
        found["picture"][side] |= set() if each.picture is None else {each.picture.tobytes()}
        found["voice"][side] |= {u.voice.partition("+")[2] or u.voice for u in each.says}
        found["utterance"][side] |= set(each.says)
    for side in ALL:
        found["phrase"][side] |= phrases(side)
        found["words"][side] |= {*OTHER_WORDS[side], *NEAR_WORDS.get(side, ())}
        languages = {voice.removeprefix(PICO).partition("-")[0] for voice in PICO_VOICES[side]}
        found["accent"][side] |= {*ACCENTS[side], *languages}
    for name, by_side in found.items():
        for one, other in combinations(ALL, 2):
            assert by_side[one], name
            assert not by_side[one] & by_side[other], name


def test_no_writer_is_on_two_sides(plans: list[Plan]) -> None:
    """Scikit-learn's pictures are in the order of their writers; each begins with all digits three times."""
    digits = load_digits()
    rows = {picture.tobytes(): row for row, picture in enumerate(digits.images)}
    written: dict[str, list[int]] = defaultdict(list)
    sides: dict[str, set[Side]] = defaultdict(set)
    for each in plans:
        if each.picture is not None:
            writer = each.groups[1]
            written[writer].append(rows[each.picture.tobytes()])
            sides[writer].add(SIDES[each.split])
    ends = sorted((min(own), max(own)) for own in written.values())
    assert all(last < first for (_, last), (first, _) in pairwise(ends))
    text = "".join(map(str, digits.target))
    assert all(24 < text.find("0955650989", first) - first <= 30 for first, _ in ends), "what follows them"
    assert Counter(side for (side,) in sides.values()) == {"train": 7, "calibrate": 3, "eval": 4}


def test_a_lookup_of_phrases_is_no_better_than_chance() -> None:
    rng = np.random.default_rng(0)
    known: dict[str, Counter[int]] = defaultdict(Counter)
    for _ in range(6000):
        digit = int(rng.integers(10))
        known[phrase(digit, "train", rng)][digit] += 1
    asked = [(digit, phrase(digit, "eval", rng)) for digit in rng.integers(10, size=2000).tolist()]
    found = [known[text].most_common(1)[0][0] if text in known else 0 for _, text in asked]
    assert np.mean([digit == guess for (digit, _), guess in zip(asked, found, strict=True)]) < 0.13


def test_most_hints_are_made_of_frames_that_training_has_too() -> None:
    trained = {word for text in phrases("train") for word in text.split()}
    for digit in range(10):
        for side in ("calibrate", "eval"):
            *shared, own = hints(digit, side)
            assert all(set(text.split()) <= trained for text in sum(shared, ()))
            assert not any(set(text.split()) <= trained for text in own)
            assert len(shared) == 3


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize("side", ALL)
def test_a_quarter_of_the_phrases_name_the_digit_and_none_another(digit: int, side: Side) -> None:
    rng = np.random.default_rng(digit)
    word_sets = [set(phrase(digit, side, rng).split()) for _ in range(1000)]
    assert np.mean([WORDS[digit] in words for words in word_sets]) == pytest.approx(0.25, abs=0.06)
    others = set(WORDS) - {WORDS[digit]}
    assert not any(words & others for words in word_sets)
    assert not any(set(text.split()) & set(WORDS) for text in elsewhere(side))


def test_no_other_word_is_a_digit() -> None:
    lists = (*OTHER_WORDS.values(), *NEAR_WORDS.values())
    spoken = {word for words in lists for text in words for word in text.lower().split()}
    assert not spoken & {*WORDS, "won", "to", "too", "for", "fore", "ate", "sex", "nein", "oh"}


def test_people_differ_and_come_back() -> None:
    people = personas(3)
    assert people == personas(3)
    assert people != personas(4)
    for side, count in PEOPLE.items():
        assert len(people[side]) == len(set(people[side])) == count
        assert len({person.voice for person in people[side]}) > 0.8 * count
        by_pico = {person.voice for person in people[side] if person.voice.startswith(PICO)}
        assert by_pico == set(PICO_VOICES[side])
        assert {person.voice.partition("+")[2] for person in people[side]} - {""} == set(VARIANTS[side])
