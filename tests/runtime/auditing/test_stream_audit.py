"""The audit of streams: it hears what a session hears, and its thresholds keep what they promise."""

from collections.abc import Iterator
from dataclasses import replace

import av
import numpy as np
import pytest
from sensemble_runtime.auditing import stream_gate
from sensemble_runtime.auditing.gate import GateError
from sensemble_runtime.auditing.stream_audit import (
    Answered,
    Witness,
    answered,
    audit_streams,
    filtered,
    odds,
    score,
    states,
    told,
)
from sensemble_runtime.auditing.stream_windows import encode_stream
from sensemble_runtime.auditing.timeline_fit import fit_timeline
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.manifest import SetThreshold, TimelineCalibration, poisson_bound
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.engine.timeline import DEFAULT
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.virtual import VirtualSession
from sensemble_runtime.subsets import Subset
from sensemble_sensors import BadDataError, Span, Stream
from sensemble_sensors.supervision.events import Event

LABELS = ("one", "two")
HOP = 0.25


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Stream:
    """Two seconds of noise and of random pictures, with two captions."""
    folder, rng = tmp_path_factory.mktemp("stream"), np.random.default_rng(0)
    with av.open(str(folder / "a.mkv"), "w") as container:
        film = container.add_stream("ffv1", rate=10)
        film.width, film.height, film.pix_fmt = 8, 8, "bgra"
        sound = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        for i in range(20):
            picture = av.VideoFrame.from_ndarray(rng.integers(0, 256, (8, 8, 4), np.uint8), format="bgra")
            picture.pts = i
            container.mux(film.encode(picture))
        wave = (3000 * rng.normal(size=32000)).astype(np.int16)
        piece = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        piece.sample_rate, piece.pts = 16000, 0
        container.mux(sound.encode(piece))
        container.mux(film.encode(None))
        container.mux(sound.encode(None))
    cues = "1\n00:00:00,500 --> 00:00:01,000\na one\n\n2\n00:00:01,500 --> 00:00:02,000\nperson says two\n"
    (folder / "a.srt").write_text(cues)
    values = {"audio": folder / "a.mkv", "text": folder / "a.srt", "video": folder / "a.mkv"}
    kinds = {"audio": "waveform", "text": "text", "video": "frames"}
    return Stream("s", "eval", values, (Span(0.5, 1.0, "one"),), kinds=kinds)


def session(bundle: Bundle, stream: Stream, subset: Subset) -> Iterator[Prediction | Event]:
    """Yield what a session with these sensors says of a stream."""
    virtual = VirtualSession(bundle, Policy())
    for m in subset:
        virtual.plug(m, m, 0.0)
    for sample in stream.samples({m: bundle.specs[m] for m in subset}):
        yield from virtual.advance(sample.time)
        virtual.give(sample, sample.time)
    yield from virtual.advance(5.0)


@pytest.mark.parametrize("subset", [("audio",), ("audio", "text"), ("audio", "text", "video")])
def test_a_set_answers_and_tells_moments_as_a_session_does(
    bundle: Bundle, stream: Stream, subset: Subset
) -> None:
    calibration = replace(DEFAULT, sets={"": SetThreshold(-4.0, 1.0, 0, None)})  # that noise reaches
    bundle.classifier.timeline = calibration
    windows = encode_stream(bundle, stream)
    found = answered(bundle.classifier, bundle.specs, windows, subset, stream.spans, 1.0)
    items = list(session(bundle, stream, subset))
    predictions = [one for one in items if isinstance(one, Prediction)]
    assert len(found.times) > 15
    for time in found.times:  # a caption and a window at once are one moment; a window may wait for others
        assert any(time - 1e-6 <= one.time <= time + 2.5 * Policy().align for one in predictions)
    labels = bundle.classifier.labels
    log_odds = odds(found, filtered(found, calibration, labels), calibration, labels, {})
    every = told(found.times, log_odds, calibration.threshold(subset), labels)
    last = found.times[
        -1
    ]  # a session answers a caption and a window one after the other: the last may differ
    expected = [one for one in every if one.begin < last]
    told_live = [one for one in items if isinstance(one, Event) and one.label and one.kind == "began"]
    began = [one for one in told_live if one.time < last]
    assert [one.label for one in began] == [one.label for one in expected]
    assert len(began) > 0
    at = [one.began for one in began]
    assert at == pytest.approx([one.begin for one in expected], abs=2.5 * Policy().align)


def stretch(words: dict[int, str], length: int, rng: np.random.Generator, blurs: float = 0.0) -> Answered:
    """Return a stream of answers: `words` last six windows each; a share of the others misleads."""
    classes, known = np.full((length, 2), 0.5), rng.normal(-5, 1, length)
    for at in np.flatnonzero(rng.random(length) < blurs):
        classes[at : at + 2], known[at : at + 2] = (0.9, 0.1), 2.0
    spans = []
    for at, word in words.items():
        row = [0.95 if label == word else 0.05 for label in LABELS]
        classes[at : at + 6], known[at : at + 6] = row, rng.normal(4, 0.5, 6)
        spans.append(Span(at * HOP, (at + 5) * HOP, word))
    return Answered(HOP * np.arange(length), witnesses_of(classes, known), tuple(spans), length * HOP / 3600)


def witnesses_of(classes: np.ndarray, known: np.ndarray) -> dict[str, Witness]:
    return {"audio": witness(np.log(2 * classes) + known[:, None])}


def witness(ratios: np.ndarray, fresh: np.ndarray | None = None) -> Witness:
    """Return a sensor that is live from its first window on, by default one at each moment."""
    new = np.ones(len(ratios), bool) if fresh is None else fresh
    return Witness(ratios, new, np.ones(len(ratios), bool), np.full(len(ratios), 0.98))


WORDS = {at: LABELS[at % 2] for at in range(40, 14000, 121)}
Fit = tuple[list[Answered], TimelineCalibration]


@pytest.fixture(scope="module")
def fit() -> Fit:
    """Four hours with a word each half minute, and the timeline that is fitted to them."""
    rng = np.random.default_rng(0)
    streams = [stretch(WORDS, 14400, rng, 0.02) for _ in range(4)]
    spans = [span for one in streams for span in one.spans]
    fitted = fit_timeline({("audio",): streams}, spans, LABELS, asked=1.0)
    assert fitted is not None
    return streams, fitted


def test_the_threshold_keeps_what_was_asked_for_and_the_curve_rises(fit: Fit) -> None:
    _, fitted = fit
    own = fitted.sets["audio"]
    assert own.hours == pytest.approx(4.0)
    assert poisson_bound(own.false) / own.hours <= 1.0
    assert own.found is not None
    assert own.found > 0.9
    assert fitted.usual == pytest.approx(5 * HOP)
    fresh = score([stretch(WORDS, 14400, np.random.default_rng(5), 0.02)], fitted, LABELS, "audio")
    assert fresh.found is not None
    assert fresh.found > 0.9
    assert fresh.low <= fresh.false_per_hour <= fresh.high
    assert fresh.false_per_hour < 5
    assert fresh.delay is not None
    assert -1.5 < fresh.delay < 0.6
    found = [point.found or 0.0 for point in fresh.curve]
    assert found[-1] > found[0]
    assert (fresh.found, fresh.false_per_hour) in [(p.found, p.false_per_hour) for p in fresh.curve]
    assert [p.threshold for p in fresh.curve] == sorted((p.threshold for p in fresh.curve), reverse=True)


def test_a_gate_of_streams_judges_by_the_pessimistic_end(fit: Fit) -> None:
    streams, fitted = fit
    scores = [score(streams, fitted, LABELS, "audio")]
    criteria = stream_gate.parse("found>=0.8,false_per_hour<=2,false_per_hour.audio<=0.01", ["audio"])
    verdicts = [one.verdict for one in stream_gate.judge(criteria, scores)]
    assert verdicts[:2] == ["met", "met"]
    assert verdicts[2] in {"failed", "too few"}
    for bad in ("found<=1", "false_per_hour<=x", "false_per_hour.nose<=1", ""):
        with pytest.raises(GateError, match=r"write|called"):
            stream_gate.parse(bad, ["audio"])


def test_too_few_hours_leave_no_false_event_and_are_said() -> None:
    rng = np.random.default_rng(1)
    short = stretch({40: "one", 100: "two", 160: "one", 220: "two", 280: "one"}, 400, rng, 0.02)
    fitted = fit_timeline({("audio",): [short]}, short.spans, LABELS)
    assert fitted is not None
    assert fitted.sets["audio"].false == 0
    assert "of the 3 hours needed" in fitted.promise
    assert fit_timeline({("audio",): []}, [], LABELS) is None


def test_what_lasts_is_a_state_with_segments() -> None:
    rng = np.random.default_rng(2)
    one = stretch({}, 240, rng)
    classes, known = np.full((240, 2), 0.5), one.witnesses["audio"].ratios[:, 0].copy()
    classes[40:120], known[40:120] = (0.9, 0.1), 3.0
    classes[120:200], known[120:200] = (0.1, 0.9), 3.0
    spans = Span(10, 30, "one"), Span(30, 50, "two")
    lasting = replace(one, witnesses=witnesses_of(classes, known), spans=spans)
    assert states(spans) == {"one", "two"}
    fitted = fit_timeline({("imu",): [lasting]}, spans, LABELS)
    assert fitted is not None
    found = score([lasting], fitted, LABELS, "imu")
    assert (found.f1, found.edits, found.found) == (1.0, 1.0, 1.0)
    assert found.delay is not None
    assert 0 <= found.delay < 4, "of a state, from its beginning"


def test_states_that_are_cut_in_two_are_told_all_the_same() -> None:
    """A bound of one false event an hour left none of them: 0.3 % of what people did for 1.5 hours."""
    rng, streams = np.random.default_rng(3), list[Answered]()
    for _ in range(10):
        one = stretch({}, 240, rng)
        classes, known = np.full((240, 2), 0.5), one.witnesses["audio"].ratios[:, 0].copy()
        for label, begin in enumerate((40, 140)):
            rows = slice(begin, begin + 80)
            flips = rng.random(80) < 0.1  # the other class for a second
            shown = np.where(np.convolve(flips, np.ones(4), "same") > 0, 1 - label, label)
            classes[rows], known[rows] = np.where(shown[:, None] == [0, 1], 0.9, 0.1), 3.0
        spans = Span(10, 30, "one"), Span(35, 55, "two")
        streams.append(replace(one, witnesses=witnesses_of(classes, known), spans=spans))
    fitted = fit_timeline({("imu",): streams}, [span for one in streams for span in one.spans], LABELS)
    assert fitted is not None
    found = score(streams, fitted, LABELS, "imu")
    assert found.found is not None
    assert found.found > 0.8
    assert f"{found.false} in 0.17 hours" in fitted.promise


def test_a_sensor_that_is_fooled_for_seconds_takes_nothing_from_another() -> None:
    """A camera saw scribbles as digits: beside it a microphone found 6 instead of 68 % of the words."""
    rng, streams = np.random.default_rng(4), dict[tuple[str, ...], list[Answered]]()
    for _ in range(4):
        heard = stretch({at: LABELS[at % 2] for at in range(40, 3500, 61)}, 3600, rng)
        seen = stretch({at: LABELS[at % 2] for at in range(60, 3500, 47)}, 3600, rng)
        fooled = witness(seen.witnesses["audio"].ratios + 2)
        both = replace(heard, witnesses={**heard.witnesses, "video": fooled})
        streams.setdefault(("audio",), []).append(heard)
        streams.setdefault(("audio", "video"), []).append(both)
    spans = [span for one in streams["audio",] for span in one.spans]
    fitted = fit_timeline(streams, spans, LABELS)
    assert fitted is not None
    alone, both_found = fitted.sets["audio"].found, fitted.sets["audio+video"].found
    assert alone is not None
    assert both_found is not None
    assert both_found >= alone
    assert fitted.weights(("video", "audio"))["video"] < 1
    assert fitted.weights(("text",)) == {}


def test_a_sensor_that_says_other_things_at_other_times_takes_nothing_from_another() -> None:
    """Captions of ordinary text, heard in a microphone's silence, took 10 of 80 % of the words."""
    rng, streams = np.random.default_rng(6), dict[tuple[str, ...], list[Answered]]()
    for _ in range(2):
        heard = stretch({at: LABELS[at % 2] for at in range(40, 3500, 61)}, 3600, rng, 0.01)
        times = np.sort(np.append(heard.times, rng.uniform(0, 3600 * HOP, 400)))
        rows = np.maximum(np.searchsorted(heard.times, times, side="right") - 1, 0)
        is_caption = ~np.isin(times, heard.times)
        ratios = heard.witnesses["audio"].ratios[rows]
        text = rng.normal(-1, 2, (len(times), 2))
        witnesses = {"audio": witness(ratios, ~is_caption), "text": witness(text, is_caption)}
        streams.setdefault(("audio",), []).append(heard)
        streams.setdefault(("audio", "text"), []).append(replace(heard, times=times, witnesses=witnesses))
    spans = [span for one in streams["audio",] for span in one.spans]
    fitted = fit_timeline(streams, spans, LABELS)
    assert fitted is not None
    alone, both = fitted.sets["audio"], fitted.sets["audio+text"]
    assert alone.found is not None
    assert both.found is not None
    assert both.found >= alone.found > 0.9


def test_while_captions_are_silent_a_camera_tells_no_more_than_alone() -> None:
    """They spoke against each false word of four minutes; then a camera told 27 an hour in their silence."""
    rng, alone, both = np.random.default_rng(7), ("video",), ("text", "video")

    def streams(length: int, *, is_heard: bool) -> dict[Subset, list[Answered]]:
        words = {at: LABELS[at % 2] for at in range(40, length - 60, 61)}
        shown = stretch(words, length, rng, 0.01)
        seen = shown.witnesses["audio"]
        live = (seen.ratios.max(axis=1) > 0) & is_heard
        text = replace(witness(np.full_like(seen.ratios, -1.5)), live=live)
        witnesses = {"text": text, "video": seen}
        return {
            alone: [replace(shown, witnesses={"video": seen})],
            both: [replace(shown, witnesses=witnesses)],
        }

    short = streams(960, is_heard=True)
    fitted = fit_timeline(short, short[alone][0].spans, LABELS)
    assert fitted is not None
    hour = streams(14400, is_heard=False)
    together = score(hour[both], fitted, LABELS, "text+video")
    assert together.false <= score(hour[alone], fitted, LABELS, "video").false
    assert together.found is not None
    assert together.found > 0.9


def test_a_bundle_without_a_timeline_is_not_audited(bundle: Bundle, stream: Stream) -> None:
    with pytest.raises(BadDataError, match="no streams of the split calibrate"):
        audit_streams(bundle, [stream])
