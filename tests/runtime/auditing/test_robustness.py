"""The paper's own numbers: Tables 9 and 10 must give Table 1; Tables 2, 8 and Figure 5's grouping follow."""

import json
import math
from dataclasses import asdict
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime.auditing.robustness import (
    added,
    missing,
    overlap,
    per_train,
    stratified,
    summary,
    transfer,
)
from sensemble_runtime.errors import MatrixError
from sensemble_runtime.subsets import name, parse, subsets

from tests.paper import (
    LETTERS,
    TABLE_1_AUDIOSET,
    TABLE_1_KINETICS,
    TABLE_9,
    TABLE_10,
    long,
    matrix,
)

TABLE_8 = {  # Missing at Test; Added at Test; Transferability
    "V": ("", "AV VT AVT", "A T AT"),
    "A": ("", "AT AV AVT", "V T VT"),
    "T": ("", "AT VT AVT", "V A AV"),
    "AV": ("A V", "AVT", "T"),
    "AT": ("A T", "AVT", "V"),
    "VT": ("V T", "AVT", "A"),
    "AVT": ("A V T AV AT VT", "", ""),
}


def figures(table: dict[str, dict[str, float]]) -> list[float | None]:
    s = summary(table)
    strata = [value for stratum in (s.missing, s.added, s.transfer) for value in (stratum.p, stratum.r)]
    return [s.p_best, s.r_best, s.p, s.r, *strata]


def as_printed(row: str) -> list[object]:
    # Half of the printed digit: the paper rounds exact halves either way.
    return [pytest.approx(float(cell), abs=0.05 + 1e-9) for cell in row.split()]


@pytest.mark.parametrize("method", TABLE_9)
def test_table_9_gives_table_1(method: str) -> None:
    assert figures(matrix(TABLE_9[method])) == as_printed(TABLE_1_AUDIOSET[method])


@pytest.mark.parametrize("method", TABLE_10)
def test_table_10_gives_table_1(method: str) -> None:
    assert figures(matrix(TABLE_10[method], "V A AV")) == as_printed(TABLE_1_KINETICS[method])


def test_table_8() -> None:
    for train, columns in TABLE_8.items():
        for stratum, sets in zip((missing, added, transfer), columns, strict=True):
            tests = {name(t) for t in subsets(LETTERS.values()) if stratum(parse(long(train)), t)}
            assert tests == {long(letters) for letters in sets.split()}


FIGURE_5 = {  # the M_E of each M_T that share no, one and two modalities with it, by hand
    "V": ("A T AT", "V AV VT AVT", ""),
    "A": ("V T VT", "A AV AT AVT", ""),
    "T": ("V A AV", "T AT VT AVT", ""),
    "AV": ("T", "A V AT VT", "AV AVT"),
    "AT": ("V", "A T AV VT", "AT AVT"),
    "VT": ("A", "V T AV AT", "VT AVT"),
    "AVT": ("", "A V T", "AV AT VT"),
}


@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("method", TABLE_9)
def test_the_grouping_of_figure_5(method: str, k: int) -> None:
    table = matrix(TABLE_9[method])
    groups = [
        [table[long(train)][long(letters)] for letters in columns[k].split()]
        for train, columns in FIGURE_5.items()
        if columns[k]
    ]
    found = overlap(table, k)
    assert found.p == pytest.approx(fmean(fmean(group) for group in groups))
    assert found.r == pytest.approx(fmean(min(group) for group in groups))


def test_one_training_set_is_enough() -> None:
    row = matrix(TABLE_9["Contr., FT"])["video"]
    found = summary({"video": row})
    assert (found.p, found.r) == (found.p_best, found.r_best) == (pytest.approx(149.3 / 7), 10.3)
    assert (found.missing.p, found.missing.r) == (None, None)
    assert found.transfer.r == 10.3
    text = json.dumps(asdict(found), allow_nan=False)
    assert set(json.loads(text)) == {"p_best", "r_best", "p", "r", "missing", "added", "transfer"}


def test_points_of_figure_6() -> None:
    points = per_train(matrix(TABLE_9["MAE, FT"]))
    assert points["audio"] == (pytest.approx((0.7 + 34.4 + 1.4 + 33.7 + 35.2 + 1.3 + 34.6) / 7), 0.7)
    assert len(points) == 7


scores = st.floats(0, 1)


@st.composite
def matrices(draw: st.DrawFn) -> dict[str, dict[str, float]]:
    modalities = draw(st.sets(st.sampled_from("abcd"), min_size=1))
    sets = [name(subset) for subset in subsets(modalities)]
    trains = draw(st.lists(st.sampled_from(sets), min_size=1, unique=True))
    return {train: {test: draw(scores) for test in sets} for train in trains}


@given(matrices())
def test_what_holds_for_every_matrix(table: dict[str, dict[str, float]]) -> None:
    found = summary(table)
    slack = 1e-12
    assert found.r <= found.p + slack
    assert found.r <= found.r_best + slack
    assert found.p <= found.p_best + slack
    for stratum in (found.missing, found.added, found.transfer):
        assert (stratum.p is None) == (stratum.r is None)
        if stratum.p is not None and stratum.r is not None:
            assert stratum.r <= stratum.p + slack
    assert stratified(table, transfer) == overlap(table, 0)
    for train, row in table.items():
        for test in row:
            kinds = [predicate(parse(train), parse(test)) for predicate in (missing, added, transfer)]
            assert sum(kinds) <= 1


@given(matrices())
def test_the_order_of_keys_and_modalities_does_not_matter(table: dict[str, dict[str, float]]) -> None:
    shuffled = {
        "+".join(reversed(train.split("+"))): dict(reversed(row.items()))
        for train, row in reversed(table.items())
    }
    assert figures(shuffled) == [value if value is None else pytest.approx(value) for value in figures(table)]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({}, "the whole is not a filled map"),
        ({"video": {}}, "row video"),
        ([1], "not a filled map"),
        ({"video": 3}, "row video"),
        ({"video": {"Video": 1}}, "'Video'"),
        ({"video": {"audio": math.nan}}, "video -> audio is nan"),
        ({"video": {"audio": "1"}}, "video -> audio is '1'"),
        ({"video": {"audio": True}}, "video -> audio is True"),
        ({"video": {"audio": 1.0}, "audio": {"video": 1.0}}, "row video has no score for video"),
        ({"video": {"audio+video": 1.0, "video+audio": 1.0}}, "audio+video occurs twice"),
    ],
)
def test_a_bad_matrix_is_named(bad: dict[str, dict[str, float]], message: str) -> None:
    with pytest.raises(MatrixError, match=message.replace("+", r"\+")) as caught:
        summary(bad)
    assert "\n" not in str(caught.value)
