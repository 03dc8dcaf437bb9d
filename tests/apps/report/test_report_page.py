"""The page itself: complete, honest about what is missing, and free of everything from outside."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sensemble_apps.cli import main
from sensemble_apps.console import wording
from sensemble_apps.report import run_contents, run_page
from sensemble_apps.report.run_contents import RunContents

from tests.apps.clips import write_clip
from tests.apps.html_page import Page
from tests.apps.shipped import condition_scores, under, write_audit, write_run

MADE = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> RunContents:
    run = write_run(tmp_path_factory.mktemp("audited"))
    write_audit(run)
    return run_contents.of_run(run)


@pytest.fixture(scope="module")
def html(audited: RunContents) -> str:
    return run_page.render(audited, MADE)


def test_it_stands_alone(html: str) -> None:
    Page(html).check_standing_alone()


def test_it_shows_bad_conditions_where_they_were_audited(audited: RunContents, html: str) -> None:
    assert "bad conditions" not in html
    shown = run_page.render(under(audited, condition_scores()), MADE)
    page = Page(shown)
    page.check_standing_alone()
    assert "With a noisy microphone and no camera: right 60 % of the time, unsure 20 %." in page.text
    assert "Microphone degraded Without: alone 60 %, with all sensors 80 %." in page.text
    assert 'title="by 5: 45 % (40 to 50), unsure 28 %, sure' in shown.replace("\N{NO-BREAK SPACE}", " ")
    assert "microphone: 0 % lost 60 %, 5 % lost 58 %" in page.text
    alone = [one for one in condition_scores() if one.subset == "audio" and one.severity in (0, 3)]
    page = Page(run_page.render(under(audited, alone), MADE))
    assert "Microphone degraded Without: alone 60 %." in page.text
    assert "Condition alone 3 quiet 54 " in page.text, "no column without a number"


def test_an_audit_gives_every_number_its_interval(audited: RunContents) -> None:
    text = Page(run_page.render(audited, MADE)).text
    assert "If the camera dies, accuracy falls from 64 % to 54 %, by 6 to 14 points." in text
    assert "The camera dies 64 → 54 % 6 to 14 points lost" in text
    assert "Live float as shipped 95 % interval points lost n" in text
    assert "microphone + captions 55 54 49 to 59 0.8 400" in text
    assert "P is 60 (56 to 64), its R 54 (50 to 58)" in text
    assert "captions to microphone -5 -9 to -1" in text
    assert "Adding captions to microphone hurts: accuracy falls from 54 %" in text
    assert "too few" not in text.lower()
    assert "at chance" not in text


def test_it_says_what_confidence_is_worth(audited: RunContents) -> None:
    html = run_page.render(audited, MADE)
    page = Page(html)
    page.check_standing_alone()
    assert "Does it know when it is right?" in page.text
    assert "Promised: at most 5 % of a new person's answers are sure and wrong" in page.text
    assert "captions alone, it is too sure" in page.text
    assert page.text.count("it is too sure") == 1
    assert "it is too modest" not in page.text
    assert "captions 95 54 0 45.8 0 40.7" in page.text, "sure of everything, and wrong in nearly half of it"
    assert "camera 64 64 100 0.0 100 0.0" in page.text, "never sure, and every right answer is held back"
    assert "says 95\N{NO-BREAK SPACE}%: right 54\N{NO-BREAK SPACE}% of 400 (49 to 59)" in html
    figures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(figures) == 8, "of streams, and of each set of sensors"


def test_it_says_which_classes_it_takes_for_which(audited: RunContents) -> None:
    answered = audited.audit.answered
    every = answered.sets["audio+text+video"]
    sure = np.arange(len(every.rows)) % 2 == 0
    sets = {**answered.sets, "audio+text+video": replace(every, sure=sure)}
    half = replace(audited, audit=replace(audited.audit, answered=replace(answered, sets=sets)))
    page = Page(run_page.render(half, MADE))
    assert "It tells 2 classes apart: zero and one. With microphone, captions and camera, a" in page.text
    assert "a session is sure in 50 % of the examples" in page.text
    assert "zero is taken for one in " in page.text
    (matrix,) = (rows for name, rows in page.tables.items() if name.startswith("Shares of the examples"))
    assert matrix == [["shown", "zero", "one"], ["zero", "64", "36"]]
    several = replace(answered, truth=[("zero", "one")] * len(answered.ids))
    shown = replace(audited, audit=replace(audited.audit, answered=several))
    assert "is taken for" not in Page(run_page.render(shown, MADE)).text


def test_the_surest_mistakes_are_named_and_shown_only_with_their_data(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    write_audit(write_run(run))
    surely = np.array([0.02, 0.98], "<f4").tobytes()
    with closing(sqlite3.connect(run / "audit.sqlite")) as db, db:
        db.execute(
            "UPDATE answers SET label = 'one', probabilities = ?, doubt = NULL "
            "WHERE subset = ? AND example = ?",
            (surely, "audio+text+video", "eval-7"),
        )
    page = Page(run_page.render(run_contents.of_run(run), MADE))
    page.check_standing_alone()
    assert "Answered wrongly: 144 zero eval-7 taken for one 98 % zero" in page.text
    write_clip(tmp_path / "0.mkv", (220, 40, 40), 300.0, np.random.default_rng(0))
    line = {"id": "eval-7", "split": "eval", "labels": ["zero"], "video": "0.mkv", "text": "a <red> one"}
    (tmp_path / "index.jsonl").write_text(json.dumps(line), encoding="utf-8")
    assert main(["report", str(run), "--data", str(tmp_path)]) == 0
    page = Page((run / "report.html").read_text(encoding="utf-8"))
    assert [tag for tag, _ in page.tags if tag in ("img", "audio")] == ["img"]
    assert "a <red> one" in page.text


def test_a_bundle_that_never_answers_says_so_first(html: str) -> None:
    assert "<h1>It never answers: with microphone, captions and camera, every answer is unsure.</h1>" in html


def test_six_sensors_of_two_devices_are_read_by_device() -> None:
    six = [f"{device}.{what}" for device in ("phone", "watch") for what in ("acc", "gyr", "mag")]
    assert wording.set_title(six) == "phone acc, gyr, mag + watch acc, gyr, mag"
    assert wording.set_title(("audio", "watch.acc")) == "microphone + watch acc"
    words = wording.sensor_words(("audio", *six[:2], six[3]))
    assert words == "microphone, phone (accelerometer, gyroscope) and watch accelerometer"


def test_it_shows_the_encoders_and_where_the_numbers_come_from(html: str) -> None:
    text = Page(html).text
    for number in ("0.50 MB", "2.00 MB", "0.25", "4.2 ms", "9.5 ms", "41 MB", "0.9987", "64"):
        assert number in text
    assert "int8-static" in text
    assert "colours <&>" in text
    assert "Seed 7" in text
    assert "Pretrain steps 100" in text
    assert "/home/me" not in text


def test_a_run_of_one_sensor_still_makes_a_page(audited: RunContents) -> None:
    of_all = audited.audit
    audit = replace(of_all, subsets={"audio": of_all.subsets["audio"]}, drops={}, gains={})
    alone = replace(audited, matrices={"finetune": {"audio": {"audio": 0.6}}}, audit=audit)
    assert "With microphone, accuracy is 54.2 %." in Page(run_page.render(alone, MADE)).text
