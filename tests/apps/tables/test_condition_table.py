"""Scores under conditions as tables and in sentences."""

import io

import pytest
from rich.console import Console
from sensemble_apps.tables.condition_table import phrase_of, sentences, tables
from sensemble_runtime.scores import CLEAN, ConditionScore

from tests.apps.shipped import condition_score, condition_scores

MODALITIES = ("audio", "text", "video")


@pytest.fixture
def scores() -> list[ConditionScore]:
    return condition_scores()


@pytest.mark.parametrize("width", [80, 200])
def test_a_table_shows_the_mean_and_the_worst(scores: list[ConditionScore], width: int) -> None:
    out = io.StringIO()
    for title, table in tables(scores, "accuracy"):
        assert title.endswith(" degraded: accuracy, %, mean of the severities (worst)")
        Console(file=out, width=width).print(table)
    lines = out.getvalue().splitlines()
    assert sum(line.strip().startswith("clean") for line in lines) == 3
    assert ["noise", "51", "(45)", "60", "(54)", "61", "(55)", "70", "(64)", "70", "15", "70", "70"] in [
        line.split() for line in lines
    ]
    assert max(map(len, lines)) <= width


def test_a_device_is_told_from_all_sensors_whatever_their_names() -> None:
    sets = [f"watch.acc+watch.gyr{others}" for others in ("", "+phone.acc", "+phone.acc+phone.gyr")]
    clean = [condition_score("", CLEAN, 0, one, 0.8) for one in sets]
    watch = [condition_score("watch.acc+watch.gyr", "dead", 5, one, 0.5) for one in sets]
    ((title, table),) = tables([*clean, *watch], "accuracy")
    assert title.startswith("watch degraded: ")
    assert [column.header for column in table.columns[1:3]] == ["alone", "all sensors"]


def test_sentences_say_the_worst_and_what_a_person_wants_to_know(scores: list[ConditionScore]) -> None:
    worst, *others = sentences(scores, "accuracy")
    assert worst == ("worst: a noisy microphone (by 5), live microphone: right 45 % of the time, unsure 28 %")
    assert others[:2] == [
        "with a noisy microphone: right 70 % of the time, unsure 15 %",
        "with a noisy microphone and no camera: right 60 % of the time, unsure 20 %",
    ]
    assert others[2].startswith("with captions that miss words: right ")
    assert len(others) == 6
    two = [one for one in scores if one.condition == CLEAN]
    two += [condition_score("audio+video", "swapped", 5, s, 0.4) for s in ("audio+video", "audio+text+video")]
    assert list(sentences(two, "accuracy"))[-1] == (
        "with a lying microphone and a lying camera and no captions: right 40 % of the time, unsure 30 %"
    )
    ((title, _),) = tables(two, "accuracy")
    assert title.startswith("microphone and camera degraded: ")
    assert list(sentences(scores, "mAP"))[1] == "with a noisy microphone: mAP 70 %, unsure 15 %"


def test_a_bundle_of_one_sensor_has_no_other_to_lose() -> None:
    found = [condition_score("", CLEAN, 0, "audio", 0.7), condition_score("audio", "quiet", 2, "audio", 0.5)]
    assert len(list(sentences(found, "accuracy"))) == 2
    ((_, table),) = tables(found, "accuracy")
    assert table.row_count == 2


def test_a_condition_of_a_sensor_has_its_article() -> None:
    assert phrase_of("acc", "dead") == "an accelerometer with dead channels"
    assert phrase_of("video", "occlusion").startswith("a covered camera")
