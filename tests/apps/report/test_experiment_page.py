"""The page of the paper's own Table 9 shows what the paper prints."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from statistics import fmean, linear_regression

import pytest
from sensemble_apps.console import wording
from sensemble_apps.report import experiment, figures
from sensemble_apps.report.experiment import ExperimentContents
from sensemble_runtime.auditing.robustness import overlap, per_train

from tests.apps.html_page import Page
from tests.paper import EVALUATION, TABLE_1_AUDIOSET, TABLE_9, long, matrix

MADE = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
METHODS = {
    "LP": "linear_probe", "FT": "finetune", "WiseFT": "wiseft", "MASD": "masd",
    "MASD + WiseFT": "masd+wiseft",
}  # fmt: skip
MORE_LABELS = "FT on 2M"  # a row that we have not
DRAWN = ["finetune", "wiseft", "masd", "masd+wiseft"]
SETS = EVALUATION.split()
Matrices = dict[str, dict[str, dict[str, float]]]


def of_paper(printed: Mapping[str, str], start: str, sets: str = EVALUATION) -> Matrices:
    """The printed rows of one pretraining, such as "Contr.", as fractions."""
    return {
        METHODS[row.partition(", ")[2]]: {
            train: {test: score / 100 for test, score in scores.items()}
            for train, scores in matrix(table, sets).items()
        }
        for row, table in printed.items()
        if row.startswith(start) and MORE_LABELS not in row
    }


def shown(methods: Matrices, metric: str = "mAP") -> Page:
    return Page(
        experiment.render(ExperimentContents("AudioSet-20K", metric, methods, (("Seed", "0"),)), MADE)
    )


@pytest.fixture(scope="module")
def page() -> Page:
    return shown(of_paper(TABLE_9, "Contr."))


def test_it_stands_alone(page: Page) -> None:
    page.check_standing_alone()
    assert ("html", {"lang": "en"}) in page.tags
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    assert all(attributes["aria-labelledby"] for tag, attributes in page.tags if tag == "svg")


@pytest.mark.parametrize("start", ["Contr.", "MAE"])
def test_table_1_is_the_papers(start: str) -> None:
    rows = shown(of_paper(TABLE_9, start)).tables["Table 1: performance and robustness by method"][2:]
    found = {title: values for title, *values in rows}
    differ = []
    for row, printed in TABLE_1_AUDIOSET.items():
        if row.startswith(start) and MORE_LABELS not in row:
            ours = found.pop(wording.method_title(METHODS[row.partition(", ")[2]]))
            close = [pytest.approx(float(v), abs=0.1 + 1e-9) for v in printed.split()]
            assert [float(v) for v in ours] == close
            differ += [(row, a, b) for a, b in zip(ours, printed.split(), strict=True) if a != b]
    assert not found
    # The paper works from unrounded scores: from the printed ones, one value is a half and rounds up.
    assert differ == ([("MAE, MASD", "10.4", "10.3")] if start == "MAE" else [])


@pytest.mark.parametrize("letters", SETS)
def test_every_score_of_table_9_is_in_its_place(page: Page, letters: str) -> None:
    header, *rows = page.tables[f"trained-{letters}"]
    assert header == ["Method", *SETS, "P", "R"]
    by_method = {title: cells for title, *cells in rows}
    for row, table in TABLE_9.items():
        if row.startswith("Contr.") and MORE_LABELS not in row:
            cells = by_method.pop(wording.method_title(METHODS[row.partition(", ")[2]]))
            scores = list(matrix(table)[long(letters)].values())
            wanted = [*scores, fmean(scores), min(scores)]
            assert [float(cell) for cell in cells] == pytest.approx(wanted, abs=0.05 + 1e-9)
    assert not by_method


def test_the_headline_is_the_papers_finding(page: Page) -> None:
    assert "MASD + WiSE-FT lifts the worst case from 13.8 to 22.8 %." in page.text
    assert "averaged over 7 training sets, against plain finetuning" in page.text
    assert "from 29.9 to 33.9 %" in page.text


def test_figure_5_has_p_and_r_by_what_is_shared(page: Page) -> None:
    for name, table in {name: of_paper(TABLE_9, "Contr.")[name] for name in DRAWN}.items():
        title = re.escape(wording.method_title(name))
        described = rf"(?<!\+ ){title}: two ([\d.]+) %, one ([\d.]+) %, none ([\d.]+) %"
        shared = [overlap(table, k) for k in (2, 1, 0)]
        for wanted, values in zip(("p", "r"), re.findall(described, page.text), strict=True):
            expected = [100 * getattr(one, wanted) for one in shared]
            assert [float(value) for value in values] == pytest.approx(expected, abs=0.05 + 1e-9), name


def test_figure_6_has_each_training_set_and_the_distance_from_the_trend(page: Page) -> None:
    methods = {name: of_paper(TABLE_9, "Contr.")[name] for name in DRAWN}
    points = {name: [*per_train(table).values()] for name, table in methods.items()}
    for name, some in points.items():
        (described,) = re.findall(
            rf"(?<!\+ ){re.escape(wording.method_title(name))}: ([AVT]+ P [^;]*%)", page.text
        )
        found = [(float(p), float(r)) for p, r in re.findall(r"P ([\d.]+) % R ([\d.]+) %", described)]
        assert sorted(found) == [pytest.approx((100 * p, 100 * r), abs=0.06) for p, r in sorted(some)]
    slope, intercept = linear_regression(*zip(*points["finetune"], strict=True))
    above = {name: fmean(r - slope * p - intercept for p, r in points[name]) for name in DRAWN[1:]}
    assert figures.figures(methods, "finetune").above == pytest.approx(above)


FEW: Mapping[str, tuple[Matrices, str]] = {
    "one score": ({"finetune": {"video": {"video": 0.5}}}, "Finetune is the most robust"),
    "methods of one's own": (
        {"mine": {"audio": {"audio": 0.5, "video": 0.2}, "video": {"audio": 0.3, "video": 0.4}}},
        "mine is the most robust",
    ),
    "only probes": ({"linear_probe": {"audio": {"audio": 0.5, "video": 0.2}}}, "Linear probe is"),
    "zeros": ({"masd": {"audio": {"audio": 0.0}}}, "0.0"),
}


@pytest.mark.parametrize("case", FEW)
def test_little_still_makes_a_page(case: str) -> None:
    methods, sentence = FEW[case]
    page = shown(methods, "accuracy")
    page.check_standing_alone()
    assert sentence in page.text


def test_markup_in_names_stays_text() -> None:
    tricky = "<script>alert(1)</script>"
    methods = of_paper(TABLE_9, "MAE")
    page = Page(
        experiment.render(ExperimentContents(tricky, "mAP", methods | {tricky: methods["masd"]}), MADE)
    )
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count(tricky) >= 3
