from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime.auditing.comparison import compared
from sensemble_runtime.auditing.gate import Criterion, GateError, judge, parse
from sensemble_runtime.auditing.measures import Measures
from sensemble_runtime.scores import ConditionScore, Estimate, SubsetScore
from sensemble_runtime.subsets import name, subsets

from .test_comparison import answered

MODALITIES = ("audio", "text", "video")
SENSORS = {"microphone": "audio", "captions": "text", "camera": "video"}
PHONE = {"phone": ("audio", "text")}
shares = st.floats(0, 1)


@st.composite
def ranges(draw: st.DrawFn, least: float = 0.0) -> Estimate:
    low, value, high = sorted(draw(st.floats(least, 1)) for _ in range(3))
    return Estimate(value, low, high)


@st.composite
def audits(draw: st.DrawFn) -> Measures:
    found = {name(subset): draw(ranges()) for subset in subsets(MODALITIES)}
    return Measures(
        {key: SubsetScore(one.value, 40, one.low, one.high) for key, one in found.items()},
        mean=draw(ranges()),
        least=draw(ranges()),
        drops={m: draw(ranges(-1.0)) for m in MODALITIES},
        gains={},
        chance=dict.fromkeys(found, 0.1),
        unscored=(),
    )


def test_what_it_reads() -> None:
    assert parse("audio>=0.6, camera+microphone >= .7,P>=0.8,R>=5e-1", MODALITIES, SENSORS) == [
        Criterion("audio>=0.6", "score", ("audio",), 0.6),
        Criterion("camera+microphone >= .7", "score", ("audio", "video"), 0.7),
        Criterion("P>=0.8", "P", (), 0.8),
        Criterion("R>=5e-1", "R", (), 0.5),
    ]
    assert parse(
        "all>=0.9,drop.microphone<=0.1,gain.audio>=-0.02,drop.phone<=0.2", MODALITIES, SENSORS, PHONE
    ) == [
        Criterion("all>=0.9", "score", (), 0.9),
        Criterion("drop.microphone<=0.1", "drop", ("audio",), 0.1),
        Criterion("gain.audio>=-0.02", "gain", ("audio",), -0.02),
        Criterion("drop.phone<=0.2", "drop", ("phone",), 0.2),
    ]
    assert parse(
        "wrong<=0.05,unsure.audio+video<=0.3,under.camera.dark:3>=0.6,under.phone.dead>=0.5",
        MODALITIES,
        SENSORS,
        PHONE,
    ) == [
        Criterion("wrong<=0.05", "wrong", (), 0.05),
        Criterion("unsure.audio+video<=0.3", "unsure", ("audio", "video"), 0.3),
        Criterion("under.camera.dark:3>=0.6", "under", ("video",), 0.6, "dark:3"),
        Criterion("under.phone.dead>=0.5", "under", ("audio", "text"), 0.5, "dead"),
    ]
    names = ("watch.acc", "watch.gyr")
    assert parse("watch.acc.B-A>=-0.01,all.B-A>=-0.01,wrong.watch.gyr.B-A<=0,drop.B-A<=0.01", names) == [
        Criterion("watch.acc.B-A>=-0.01", "score", ("watch.acc",), -0.01, change=True),
        Criterion("all.B-A>=-0.01", "score", (), -0.01, change=True),
        Criterion("wrong.watch.gyr.B-A<=0", "wrong", ("watch.gyr",), 0.0, change=True),
        Criterion("drop.B-A<=0.01", "drop", (), 0.01, change=True),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty criterion: not a criterion; write criteria as audio+video>=0.7,P>=0.8,"),
        ("audio", "audio: not a criterion"),
        ("audio>=", "audio>=: no limit is no share from 0 to 1; write audio>=0.6"),
        ("audio>=60", "audio>=60: 60 is no share from 0 to 1; write audio>=0.6"),
        ("audio>=-0.1", "audio>=-0.1: -0.1 is no share from 0 to 1"),
        ("audio<=0.6", "audio<=0.6: a score has a least value; write audio>=0.6"),
        ("P=0.6", "P=0.6: a score has a least value; write P>=0.6"),
        ("drop.audio>=0.1", "drop.audio>=0.1: drop has a largest value; write drop.audio<=0.1"),
        ("wrong<=2", "wrong<=2: 2 is no share from 0 to 1"),
        ("gain.audio>=-2", "gain.audio>=-2: -2 is no difference from -1 to 1"),
        ("P.B-A>=0", "P.B-A>=0: compare a set, all, drop, wrong or unsure"),
        ("drop.audio.B-A<=0", "drop.audio.B-A<=0: compare a set, all, drop, wrong or unsure"),
        ("under.camera>=0.5", "under.camera>=0.5: write under.SENSOR.CONDITION>=0.6; the sensors are audio,"),
        ("drop.audio+video<=0.1", "drop.audio+video<=0.1: a drop is of one sensor; write drop.audio"),
        ("drop.<=0.1", "drop.<=0.1: it names no sensor; there are audio, text, video, microphone, captions,"),
        ("imu>=0.1", "imu>=0.1: no sensor is called 'imu'; there are audio, text, video, microphone,"),
        ("acc>0.9", "acc>0.9: no sensor is called 'acc'; there are audio, text, video, microphone,"),
        ("drop.P<=0.1", "drop.P<=0.1: no sensor is called 'P'"),
        ("audio+microphone>=0.1", "audio+microphone>=0.1: names audio twice; name each sensor once"),
        ("audio>=0.1,microphone>=0.2", "microphone>=0.2: audio>=0.1 is about the same; keep one of them"),
    ],
)
def test_what_it_cannot_read(text: str, message: str) -> None:
    with pytest.raises(GateError) as caught:
        parse(text, MODALITIES, SENSORS)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_single_sensor_has_nothing_to_drop_to() -> None:
    with pytest.raises(GateError, match="the bundle has one sensor"):
        parse("drop.microphone<=0.1", ("audio",), {"microphone": "audio"})


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(GateError):
        assert parse(text, MODALITIES, SENSORS)


@given(audits(), st.sampled_from(MODALITIES), shares)
def test_a_drop_is_judged_by_its_upper_end(audit: Measures, modality: str, limit: float) -> None:
    (found,) = judge([Criterion("", "drop", (modality,), limit)], audit)
    drop = audit.drops[modality]
    assert (found.verdict == "met") == (drop.high <= limit)
    if drop.low > limit or (drop.high > limit and not drop.too_few):
        assert found.verdict == "failed"


@given(audits(), st.sampled_from(["P", "R"]), shares, shares)
def test_a_lower_limit_is_never_harder(audit: Measures, kind: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    order = ["failed", "too few", "met"]
    easy, hard = (
        order.index(judge(parse(f"{kind}>={limit}", MODALITIES), audit)[0].verdict) for limit in (low, high)
    )
    assert easy >= hard


def scored(low: float, high: float) -> Measures:
    score = SubsetScore((low + high) / 2, 40, low, high)
    whole = Estimate(score.accuracy, low, high)
    return Measures({"audio": score}, whole, whole, {}, {}, {"audio": 0.1}, ("video", "audio+video"))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.60, 0.90, "met"),
        (0.59, 0.78, "failed"),  # the interval holds the limit, and is narrow enough to judge by
        (0.59, 0.80, "too few"),
        (0.30, 0.59, "failed"),  # wide, but below the limit for sure
    ],
)
def test_the_verdicts(low: float, high: float, verdict: str) -> None:
    (found,) = judge(parse("audio>=0.6", ("audio", "video")), scored(low, high))
    assert (found.verdict, found.n) == (verdict, 40)


def test_what_no_example_shows_is_not_met() -> None:
    required = parse("video>=0.1,P>=0.1,R>=0.1,drop.audio<=1", ("audio", "video"))
    found = judge(required, scored(0.6, 0.65))
    assert [one.verdict for one in found] == ["too few"] * 4
    assert [one.estimate is None for one in found] == [True, False, False, True]
    (failed,) = judge(parse("R>=0.9", ("audio", "video")), scored(0.6, 0.65))
    assert failed.verdict == "failed", "another set cannot make the worst better"


def test_what_is_required_of_all_sensors_is_not_met_by_some_of_them() -> None:
    answers = answered({"audio": [True] * 400})
    dark = [
        ConditionScore("audio", "quiet", 1, "", "audio", SubsetScore(0.9, 400, 0.9, 0.9), 0, 0, 0, 0),
    ]
    required = parse("all>=0.1,wrong<=1,unsure<=1,under.audio.quiet>=0.1", ("audio", "video"))
    required += parse("all.B-A>=-1,wrong.B-A<=1,unsure.B-A<=1", ("audio", "video"))
    found = judge(required, scored(0.6, 0.65), answers, dark, compared(answers, answers))
    assert [one.verdict for one in found] == ["too few"] * 7


def test_a_change_is_judged_by_a_comparison_alone() -> None:
    required = parse("audio.B-A>=-0.05,drop.B-A<=0.05,wrong.audio.B-A<=0,audio>=0.6", ("audio", "video"))
    required += parse("audio+video.B-A>=-0.05", ("audio", "video"))
    a = answered({"audio": [True] * 200 + [False] * 200})
    b = answered({"audio": [True] * 100 + [False] * 300})
    better, worse = (
        [one.verdict for one in judge(required, scored(0.6, 0.65), comparison=compared(*pair))]
        for pair in ((b, a), (a, b))
    )
    assert better == ["met", "met", "met", "met", "too few"]
    assert worse == ["failed", "failed", "failed", "met", "too few"]
    with pytest.raises(GateError, match="is of two audits"):
        judge(required, scored(0.6, 0.65))


def test_sureness_and_conditions_are_judged_as_they_were_audited() -> None:
    answers = answered({"audio": [True] * 380 + [False] * 20})
    dark = [
        ConditionScore(
            "audio", "quiet", severity, "", "audio", SubsetScore(value, 400, value, value), 0, 0, 0, 0
        )
        for severity, value in ((1, 0.7), (5, 0.4))
    ]
    text = "wrong.audio<=0.08,wrong.audio<=0.06,unsure.audio<=0.1,"
    text += "under.audio.quiet:1>=0.6,under.audio.quiet>=0.6,under.audio.cut>=0"
    alone = replace(scored(0.6, 0.65), unscored=())
    found = [judge(parse(one, ("audio",)), alone, answers, dark)[0] for one in text.split(",")]
    verdicts = ["met", "failed", "met", "met", "failed", "too few"]
    assert [one.verdict for one in found] == verdicts
    assert found[0].estimate is not None
    assert found[0].estimate.value == pytest.approx(0.05)
