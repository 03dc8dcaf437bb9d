"""Streams of `digits`: minutes in a room, in which people talk and write, and now and then show a digit.

A digit is shown to the camera while a person says it and a caption appears; the word ends as the sheet is
taken away. All else is none of the classes: sentences, music, knocks, noise, babble, a hand, letters and
empty sheets, captions of ordinary text. No digit's word is in a sentence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sensemble_train.digits.backgrounds import SOUNDS, sight
from sensemble_train.digits.captions import caption, phrase
from sensemble_train.digits.drawing import Drawing, digit_drawing
from sensemble_train.digits.filming import FPS, SIZE, render_video
from sensemble_train.digits.personas import Persona, personas
from sensemble_train.digits.plan import DigitsConfig, Plan, utterance
from sensemble_train.digits.rendering import FLOOR, RATE, room_response
from sensemble_train.digits.sentences import sentence
from sensemble_train.digits.speech import Utterance
from sensemble_train.digits.voices import SIDES, WORDS, spelled

Wave = NDArray[np.float64]
Act = Literal["digit", "talk", "babble", "sound", "pause"]

STREAM_FILES = (("audio", "mkv"), ("video", "mkv"), ("text", "srt"), ("spans", "csv"))
"""The fields of a stream, and the endings of their files."""
LONGEST = 120
"""Seconds of a stream at most; hours are many of them."""
_ACTS: dict[Act, float] = {"digit": 0.5, "talk": 0.26, "babble": 0.04, "sound": 0.12, "pause": 0.08}
_SPEECH = -34.0, -8.0  # dB, the level of a voice relative to full scale
_SHOWN = 1.2  # seconds that a sheet with a digit is shown at least
_HAND = 0.3  # of the sights that are no digit, those with a hand
_SKIN = np.array([[0.95, 0.8, 0.7], [0.35, 0.22, 0.15]])  # RGB in [0, 1], lightest and darkest


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """A stream before it is rendered.

    Attributes:
        acts: what follows each other, each with its digit, if any, the speaker, and what is said: a word,
            several sentences, or a babble of them at once.
    """

    index: int
    split: str
    seconds: int
    room: Persona
    groups: tuple[str, ...]
    acts: tuple[tuple[Act, int | None, Persona, tuple[Utterance, ...]], ...]
    pictures: tuple[NDArray[np.float64], ...]  # of the digits, in order, float64 [8, 8]


def plan_streams(config: DigitsConfig, plans: Sequence[Plan]) -> list[StreamPlan]:
    """Plan the streams of each split, which show the pictures of its examples."""
    rng = np.random.default_rng([config.seed, 6])
    people = personas(config.seed)
    found = list[StreamPlan]()
    for split, seconds in config.streams:
        pictures = [(p.digit, p.picture) for p in plans if p.split == split and p.digit is not None]
        for begin in range(0, seconds, LONGEST):
            length = min(LONGEST, seconds - begin)
            found.append(_plan(len(found), split, length, people[SIDES[split]], pictures, rng))
    return found


def _plan(
    index: int,
    split: str,
    seconds: int,
    people: Sequence[Persona],
    pictures: Sequence[tuple[int, NDArray[np.float64] | None]],
    rng: np.random.Generator,
) -> StreamPlan:
    """Plan a stream of some people, who show some of the (digit, picture) pairs."""
    room = people[int(rng.integers(len(people)))]
    side = room.side
    acts = list[tuple[Act, int | None, Persona, tuple[Utterance, ...]]]()
    shown = list[NDArray[np.float64]]()
    speakers = set[int]()
    for _ in range(seconds // 4 + 4):  # more than there is time for: rendering stops at the end
        act: Act = rng.choice(list(_ACTS), p=list(_ACTS.values()))
        who = int(rng.integers(len(people)))
        said: list[Utterance] = []
        digit = None
        if act == "digit":
            digit, picture = pictures[int(rng.integers(len(pictures)))]
            assert picture is not None  # noqa: S101 - an example of a digit has one
            shown.append(picture)
            said = [utterance(spelled(digit, people[who].voice, people[who].side), people[who], rng)]
        elif act == "talk":
            count = int(rng.integers(1, 5))
            said = [utterance(sentence(side, rng), people[who], rng) for _ in range(count)]
        elif act == "babble":
            several = rng.integers(len(people), size=3).tolist()
            said = [utterance(sentence(side, rng), people[one], rng) for one in several]
            speakers.update(several)
        speakers.add(who)
        acts.append((act, digit, people[who], tuple(said)))
    groups = tuple(f"{room.side} {who}" for who in sorted(speakers))
    return StreamPlan(index, split, seconds, room, groups, tuple(acts), tuple(shown))


@dataclass(frozen=True, slots=True)
class Scene:
    """A rendered stream: sound float32 [n], frames uint8 [m, 48, 48, 3], captions and spans in seconds."""

    sound: NDArray[np.float32]
    frames: NDArray[np.uint8]
    captions: list[tuple[float, str]]
    spans: list[tuple[float, float, str]]


@dataclass(frozen=True, slots=True)
class _Sight:
    """A drawing that is filmed from `begin` to `end`, with a hand over it or without."""

    begin: float
    end: float
    drawing: Drawing
    exposure: float | None = None
    hand: bool = False


class _Script:
    """The acts so far of a stream, up to `at`, in seconds."""

    def __init__(self, plan: StreamPlan, rng: np.random.Generator) -> None:
        self._plan, self._rng = plan, rng
        self._pictures = iter(plan.pictures)
        self._told = 0.0  # when the next caption may come
        self.at = float(rng.uniform(0.5, 2.0))
        self.sound = np.zeros(plan.seconds * RATE)
        self.sights = list[_Sight]()
        self.captions = list[tuple[float, str]]()
        self.spans = list[tuple[float, float, str]]()

    def show(self, digit: int, word: Wave) -> None:
        """Show a digit, if there is time for it: the word ends as the sheet is taken away."""
        rng, lasts = self._rng, len(word) / RATE
        begin = self.at + float(rng.uniform(0.5, 1.5))
        end = begin + max(_SHOWN, lasts + 0.3) + float(rng.uniform(0, 0.6))
        self.at = end + float(rng.uniform(0.8, 2.0))
        if end + 1 > self._plan.seconds:
            return
        self._play(word, end - lasts, float(rng.uniform(*_SPEECH)))
        self.sights.append(_Sight(begin, end, digit_drawing(digit, next(self._pictures), rng)))
        self.captions.append((begin + float(rng.uniform(0.3, 0.9)), self._caption(digit)))
        self.spans.append((begin, end, WORDS[digit]))
        self._told = end + 2

    def do(self, act: Act, waves: Sequence[Wave]) -> None:
        """Talk, babble, make sounds or pause, while something else than a digit is seen."""
        rng, begin = self._rng, self.at
        level = float(rng.uniform(*_SPEECH))
        if act == "talk":
            for wave in waves:
                self.at = self._play(wave, self.at, level) + float(rng.uniform(0.2, 1.2))
        elif act == "babble":
            self.at = max(self._play(wave, begin, level) for wave in waves)
        elif act == "sound":
            make = SOUNDS[str(rng.choice(list(SOUNDS)))]
            for _ in range(int(rng.integers(2, 9))):
                self.at = self._play(make(rng), self.at, level)
        else:
            self.at += float(rng.uniform(1, 6))
        if self.at > self._told + 3:
            self._told = self.at
            self.captions.append((float(rng.uniform(begin, self.at)), self._caption(None)))
        drawing, exposure = sight(self._plan.room.side, rng)
        self.sights.append(_Sight(begin, self.at, drawing, exposure, bool(rng.random() < _HAND)))

    def _play(self, wave: Wave, begin: float, level: float) -> float:
        """Add a sound, not silent, whose loud part has a level in dB; return its end."""
        loud = np.abs(wave) > 0.05 * np.abs(wave).max()
        first = round(begin * RATE)
        rest = self.sound[first : first + len(wave)]
        rest += 10 ** (level / 20) / np.sqrt(np.mean(wave[loud] ** 2)) * wave[: len(rest)]
        return begin + len(wave) / RATE

    def _caption(self, digit: int | None) -> str:
        side, rng = self._plan.room.side, self._rng
        is_sentence = digit is None and rng.random() < 0.5
        said = sentence(side, rng) if is_sentence else phrase(digit, side, rng)
        return caption(said, self._plan.room.opening, self._plan.room.place, rng)


def render_stream(plan: StreamPlan, spoken: Sequence[Wave], rng: np.random.Generator) -> Scene:
    """Render a stream; `spoken` has the sound of every utterance of its acts in order, at 16 kHz."""
    from scipy.signal import oaconvolve  # takes seconds to import; planning does not need it

    script, waves, count = _Script(plan, rng), iter(spoken), plan.seconds * RATE
    for act, digit, _, said in plan.acts:
        own = list(islice(waves, len(said)))
        if script.at >= plan.seconds:
            break
        if digit is None:
            script.do(act, own)
        else:
            script.show(digit, own[0])
    heard = oaconvolve(script.sound, room_response(plan.room, rng))[:count]
    tilt = np.maximum(np.fft.rfftfreq(count, 1 / RATE), 20.0) ** (-plan.room.tilt / 2)
    noise = np.fft.irfft(np.fft.rfft(rng.normal(0, 1, count)) * tilt, count)
    heard = heard + 10 ** (rng.uniform(*FLOOR) / 20) * noise / noise.std()
    return Scene(
        np.clip(heard, -1, 1).astype(np.float32),
        _film(plan, script.sights, rng),
        [(time, text) for time, text in sorted(script.captions) if time < plan.seconds - 0.1],
        script.spans,
    )


def _film(plan: StreamPlan, sights: Sequence[_Sight], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Film what is shown, each from somewhere else; an empty sheet where nothing is."""
    count = plan.seconds * FPS
    frames = np.zeros((count, SIZE, SIZE, 3), np.uint8)
    for one in (_Sight(0, plan.seconds, Drawing()), *sights):
        part = frames[round(one.begin * FPS) : min(round(one.end * FPS), count)]
        if len(part):
            part[:] = render_video(one.drawing, plan.room, rng, one.exposure, len(part))
        if one.hand:
            _lay_hand(part, rng)
    return frames


def _lay_hand(frames: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Move a hand, an ellipse the colour of skin, over frames uint8 [n, H, W, 3]."""
    skin = 255 * (_SKIN[0] + rng.random() * (_SKIN[1] - _SKIN[0]))
    y, x = np.mgrid[:SIZE, :SIZE]
    start, end = rng.uniform(0, SIZE, (2, 2))
    width, height = rng.uniform(SIZE / 8, SIZE / 3.5, 2)
    for i, frame in enumerate(frames):
        down, right = start + (end - start) * i / max(len(frames) - 1, 1)
        inside = ((y - down) / height) ** 2 + ((x - right) / width) ** 2 < 1
        frame[inside] = np.clip(skin + rng.normal(0, 8, (int(inside.sum()), 3)), 0, 255).astype(np.uint8)


def write_scene(folder: Path, name: str, scene: Scene) -> None:
    """Write `NAME.mkv` (FFV1, FLAC), `NAME.csv` and, with captions, `NAME.srt`, the same bytes each time."""
    with av.open(
        str(folder / f"{name}.mkv"), "w", format="matroska", options={"fflags": "+bitexact"}
    ) as file:
        video: VideoStream = file.add_stream("ffv1", rate=FPS)
        video.codec_context.thread_count = 1
        video.width, video.height, video.pix_fmt = SIZE, SIZE, "bgr0"
        audio: AudioStream = file.add_stream("flac", rate=RATE, layout="mono")
        pcm = (32767 * scene.sound).astype(np.int16)
        for i, image in enumerate(scene.frames):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts = i
            file.mux(video.encode(picture))
            piece = pcm[i * RATE // FPS : (i + 1) * RATE // FPS]
            sound = av.AudioFrame.from_ndarray(piece[None], format="s16", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = RATE, i * RATE // FPS, Fraction(1, RATE)
            file.mux(audio.encode(sound))
        file.mux(video.encode(None))
        file.mux(audio.encode(None))
    cues = "".join(
        f"{number}\n{_clock(time)} --> {_clock(time + 1)}\n{text}\n\n"
        for number, (time, text) in enumerate(scene.captions, start=1)
    )
    if cues:
        (folder / f"{name}.srt").write_text(cues, encoding="utf-8")
    rows = "".join(f"{begin:.3f},{end:.3f},{label}\n" for begin, end, label in scene.spans)
    (folder / f"{name}.csv").write_text(f"from,until,label\n{rows}", encoding="utf-8")


def _clock(seconds: float) -> str:
    milli = round(1000 * seconds)
    return f"{milli // 3_600_000:02}:{milli // 60_000 % 60:02}:{milli // 1000 % 60:02},{milli % 1000:03}"
