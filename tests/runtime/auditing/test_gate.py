from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime.auditing.gate import Criterion, GateError, judge, parse
from sensemble_runtime.auditing.measures import Measures
from sensemble_runtime.scores import WIDE, Estimate, SubsetScore
from sensemble_runtime.subsets import name, subsets

MODALITIES = ("audio", "text", "video")
SENSORS = {"microphone": "audio", "captions": "text", "camera": "video"}
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
    text = "audio>=0.6, camera+microphone >= .7,P>=0.8,R>=5e-1,drop.microphone<=0.1"
    assert parse(text, MODALITIES, SENSORS) == [
        Criterion("audio>=0.6", "score", ("audio",), 0.6),
        Criterion("camera+microphone >= .7", "score", ("audio", "video"), 0.7),
        Criterion("P>=0.8", "P", (), 0.8),
        Criterion("R>=5e-1", "R", (), 0.5),
        Criterion("drop.microphone<=0.1", "drop", ("audio",), 0.1),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "an empty criterion: not a criterion; write criteria as audio>=0.6,audio+video>=0.7,P>=0.8,"),
        ("audio>=0.6,,P>=0.8", "an empty criterion: not a criterion"),
        ("audio", "audio: not a criterion"),
        ("audio>=", "audio>=: no limit is no share from 0 to 1; write audio>=0.6"),
        ("audio>=60", "audio>=60: 60 is no share from 0 to 1; write audio>=0.6"),
        ("audio>=60%", "audio>=60%: 60% is no share from 0 to 1"),
        ("audio>=nan", "audio>=nan: nan is no share from 0 to 1"),
        ("audio>=-0.1", "audio>=-0.1: -0.1 is no share from 0 to 1"),
        ("audio<=0.6", "audio<=0.6: a score has a least value; write audio>=0.6"),
        ("audio>0.6", "audio>0.6: a score has a least value; write audio>=0.6"),
        ("P=0.6", "P=0.6: a score has a least value; write P>=0.6"),
        ("drop.audio>=0.1", "drop.audio>=0.1: a drop has a largest value; write drop.audio<=0.1"),
        ("drop.audio+video<=0.1", "drop.audio+video<=0.1: a drop is of one sensor; write drop.audio<=0.1"),
        ("drop.<=0.1", "drop.<=0.1: it names no sensor; there are audio, text, video, microphone, captions,"),
        (">=0.1", ">=0.1: it names no sensor"),
        ("imu>=0.1", "imu>=0.1: no sensor is called 'imu'; there are audio, text, video, microphone,"),
        ("drop.P<=0.1", "drop.P<=0.1: no sensor is called 'P'"),
        ("audio+microphone>=0.1", "audio+microphone>=0.1: names audio twice; name each sensor once"),
        ("audio>=0.1,microphone>=0.2", "microphone>=0.2: audio>=0.1 is about the same; keep one of them"),
        ("P>=0.1,P>=0.1", "P>=0.1: P>=0.1 is about the same"),
    ],
)
def test_what_it_cannot_read(text: str, says: str) -> None:
    with pytest.raises(GateError) as caught:
        parse(text, MODALITIES, SENSORS)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def test_a_single_sensor_has_nothing_to_drop_to() -> None:
    with pytest.raises(GateError, match="the bundle has one sensor"):
        parse("drop.microphone<=0.1", ("audio",), {"microphone": "audio"})


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(GateError):
        assert parse(text, MODALITIES, SENSORS)


@given(audits(), st.sampled_from([name(s) for s in subsets(MODALITIES)]), shares)
def test_a_score_is_judged_by_its_lower_end(audit: Measures, subset: str, limit: float) -> None:
    (found,) = judge([Criterion("", "score", tuple(subset.split("+")), limit)], audit)
    score = audit.subsets[subset]
    assert found.estimate == Estimate(score.accuracy, score.low, score.high)
    assert (found.verdict == "met") == (score.low >= limit)
    if score.high < limit:
        assert found.verdict == "failed"
    if found.verdict == "too few":
        assert score.low < limit <= score.high
        assert score.high - score.low > WIDE


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
