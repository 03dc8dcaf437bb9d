"""Every voice of `digits` speaks, differs from the others, and says a digit within a second."""

import numpy as np
import pytest
from sensemble_train.digits.personas import personas
from sensemble_train.digits.speech import RATE, Utterance, speak
from sensemble_train.digits.voices import ACCENTS, ENGLISH, PICO_VOICES, VARIANTS, WORDS, spelled
from sensemble_train.errors import TrainError


def test_speech_is_sound_that_depends_on_the_word_the_voice_and_the_pitch() -> None:
    asked = [
        Utterance("three", "en-us+f4", 50, 160), Utterance("seven", "en-us+f4", 50, 160),
        Utterance("three", "en+linda", 50, 160), Utterance("three", "en-us+f4", 70, 160),
        Utterance("three", "en-us+f4", 50, 200), Utterance("three", "pico-en-GB", 50, 160),
        Utterance("seven", "pico-en-GB", 50, 160), Utterance("three", "pico-en-US", 50, 160),
        Utterance("three", "pico-en-GB", 70, 160), Utterance("three", "pico-en-GB", 50, 200),
    ]  # fmt: skip
    waves = list(speak(asked))
    for wave in waves:
        assert wave.dtype == np.int16
        assert 0.1 < len(wave) / RATE < 2.0
        assert np.abs(wave.astype(int)).max() > 1000
    for wave, again in zip(waves, speak(asked), strict=True):
        assert np.array_equal(wave, again)
    assert len({wave.tobytes() for wave in waves}) == len(asked)


@pytest.mark.parametrize(("voice", "none"), [("en-us+f4", "en-gb+f4"), ("pico-en-US", "pico-en-XX")])
def test_a_voice_that_does_not_exist_is_refused(voice: str, none: str) -> None:
    with pytest.raises(TrainError, match="no such voice"):
        list(speak([Utterance("three", voice, 50, 160), Utterance("three", none, 50, 160)]))


def test_a_synthesizer_that_was_killed_between_two_words_is_named() -> None:
    waves = speak([Utterance(word, "en-us", 50, 160) for word in ("three", "seven")])
    next(waves)
    process = waves.gi_frame.f_locals["process"]
    process.kill()
    process.wait()
    with pytest.raises(TrainError, match=r"the synthesizer stopped at .*'seven'.*; reinstall the packages"):
        next(waves)


def test_every_variant_and_every_language_speaks_and_says_the_same_again() -> None:
    variants = [variant for side in VARIANTS for variant in VARIANTS[side]]
    languages = [*ENGLISH, *(language for side in ACCENTS for language in ACCENTS[side])]
    voices = [f"{languages[i % len(languages)]}+{variant}" for i, variant in enumerate(variants)]
    voices += [voice for side in PICO_VOICES for voice in PICO_VOICES[side]]
    asked = [Utterance("seven", voice, 50, 165) for voice in voices]
    waves = list(speak(asked))
    assert all(np.array_equal(wave, again) for wave, again in zip(waves, speak(asked), strict=True))
    assert len({wave.tobytes() for wave in waves}) == len(voices) > 80


def test_digits_are_spelled_for_each_language_and_spoken_within_a_second() -> None:
    for side, accents in ACCENTS.items():
        for language, text in accents.items():
            assert [spelled(digit, f"{language}+f2", side) for digit in range(10)] == text.split()
            assert len(set(text.split())) == len(WORDS)
        assert spelled(3, "en-us+f2", side) == "three"
    asked = [
        Utterance(spelled(digit, person.voice, side), person.voice, person.pitch, person.pace, person.melody)
        for side, people in personas(0).items()
        for person in people
        for digit in (0, 7)
    ]
    seconds = []
    for wave in speak(asked):
        loud = np.flatnonzero(np.abs(wave.astype(int)) > 0.01 * np.abs(wave.astype(int)).max())
        seconds.append((loud[-1] - loud[0]) / RATE)
    assert np.mean(np.array(seconds) > 0.9) < 0.01
