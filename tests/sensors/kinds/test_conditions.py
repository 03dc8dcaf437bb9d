"""Each condition does what its table states, on any stream, and the same again."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal
from sensemble_sensors.codecs.framing import fit
from sensemble_sensors.degraded import Degraded, begin, captured, degraded_window
from sensemble_sensors.kinds.conditions.condition import GAP, SCENES, SEVERITIES, Applied, Condition
from sensemble_sensors.kinds.registry import KINDS, condition_of, kind_of
from sensemble_sensors.sensor import Media, Sample
from sensemble_sensors.spec import InputSpec

from tests.sensors.made_up import MadeUp

RATE = 8000
BLOCK = 400  # 0.05 s
AUDIO = InputSpec("audio", "float32", (1, RATE), RATE, 1.0, 0.5, 2.0)
VIDEO = InputSpec("video", "uint8", (1, 4, 120, 150, 3), 8, 0.5, 0.5, 2.0)
TEXT = InputSpec("text", "int64", (1, 16), 0, 0.0, 0.0, 5.0)
SPECS = {spec.modality: spec for spec in (AUDIO, VIDEO, TEXT)}


def heard(name: str, severity: int, wave: NDArray[np.float32], *chunks: int) -> NDArray[np.float32]:
    """Return a wave under a condition, in chunks of these sizes; the last chunk takes the rest."""
    degrade = begin([Applied("audio", condition_of("audio", name), severity)], AUDIO)
    pieces = np.split(wave, np.cumsum(chunks))
    given = [degrade(Sample("audio", piece, 0.0, cut=i == 0)) for i, piece in enumerate(pieces)]
    return np.concatenate([np.asarray(sample.data, np.float32) for sample in given])


def speech(seconds: float, level: float = 0.1) -> NDArray[np.float32]:
    """Return noise that swells and fades like syllables."""
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(3).standard_normal(len(time))
    return (level * noise * np.sin(np.pi * 2 * time) ** 2).astype(np.float32)


def seen(name: str, severity: int, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    degrade = condition_of("video", name).begin(severity, VIDEO)
    given = [degrade(Sample("video", p, i / 8, cut=i == 0)) for i, p in enumerate(pictures)]
    return np.stack([np.asarray(sample.data, np.uint8) for sample in given])


def read(name: str, severity: int, captions: list[str]) -> list[Sample]:
    degrade = begin([Applied("text", condition_of("text", name), severity)], TEXT)
    return [degrade(Sample("text", caption, float(i))) for i, caption in enumerate(captions)]


def decibels(wave: NDArray[np.floating]) -> float:
    return float(10 * np.log10(np.mean(np.square(wave, dtype=np.float64))))


EVERY = [(m, c, s) for m, spec in SPECS.items() for c in kind_of(spec).conditions for s in SEVERITIES]


def test_every_kind_has_conditions_and_states_their_amounts() -> None:
    for kind in KINDS.values():
        assert len({c.name for c in kind.conditions}) == len(kind.conditions) >= 3
        for one in kind.conditions:
            assert len(one.amounts) == len(SEVERITIES) == 5
            steps = np.diff(one.amounts)
            assert (steps > 0).all() or (steps < 0).all(), "each severity is worse than the one before"
            assert f"{one.amounts[2]:g}" in one.described(3)
            assert one.phrase.format("sensor") != one.phrase


@pytest.mark.parametrize(("modality", "one", "severity"), EVERY, ids=lambda v: getattr(v, "name", str(v)))
def test_a_degraded_sample_has_the_form_of_the_sample_and_is_the_same_again(
    modality: str, one: Condition, severity: int
) -> None:
    spec, rng = SPECS[modality], np.random.default_rng(0)
    stream: list[Media | str]
    if modality == "audio":
        stream = [rng.uniform(-1, 1, n).astype(np.float32) for n in (800, 800, 0, 13, 1)]
    elif modality == "video":
        stream = [rng.integers(0, 256, VIDEO.shape[2:], dtype=np.uint8) for _ in range(3)]
    else:
        stream = ["a person says seven", "", "seven"]
    samples = [Sample(modality, data, float(i), cut=i == 0) for i, data in enumerate(stream)]
    kept = [np.array(data) for data in stream]
    first, second = (list(map(one.begin(severity, spec, seed=5), samples)) for _ in range(2))
    for before, after, again in zip(samples, first, second, strict=True):
        assert (after.modality, after.cut) == (modality, before.cut)
        assert np.array_equal(after.data, again.data)
        behind = one.amounts[severity - 1] if one.name == "clock" else 0.0
        assert after.time == again.time == before.time - behind
        if isinstance(before.data, str):
            assert isinstance(after.data, str)
            assert bool(after.data.strip()) or len(before.data) < 8
            continue
        assert isinstance(after.data, np.ndarray)
        assert (after.data.dtype, after.data.shape) == (before.data.dtype, before.data.shape)
        if modality == "audio":
            assert np.abs(after.data).max(initial=0) <= 1
    assert all(np.array_equal(a, b) for a, b in zip(kept, stream, strict=True)), "the sensor's own stays"


@pytest.mark.parametrize("one", kind_of(AUDIO).conditions, ids=lambda c: c.name)
@given(sizes=st.lists(st.integers(0, 900), max_size=12), severity=st.sampled_from(SEVERITIES))
@settings(max_examples=15)
def test_sound_is_degraded_alike_however_it_is_cut_into_samples(
    one: Condition, sizes: list[int], severity: int
) -> None:
    wave = speech(1.5)
    sizes = [size for i, size in enumerate(sizes) if sum(sizes[: i + 1]) < len(wave)]
    whole, cut = heard(one.name, severity, wave), heard(one.name, severity, wave, *sizes)
    np.testing.assert_allclose(cut, whole, atol=2e-6)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_sound_is_as_quiet_and_as_loud_as_stated(severity: int) -> None:
    wave = speech(2, level=0.001)
    louder = decibels(heard("loud", severity, wave)) - decibels(wave)
    assert louder == pytest.approx(condition_of("audio", "loud").amounts[severity - 1], abs=0.01)
    floor = heard("quiet", severity, 0 * wave)
    assert decibels(floor) == pytest.approx(-70, abs=0.1)
    tone = np.float32(0.1 * np.sqrt(2)) * np.sin(np.arange(2 * RATE)).astype(np.float32)  # -20 dB
    quieter = condition_of("audio", "quiet").amounts[severity - 1]
    signal = heard("quiet", severity, tone) - floor
    assert decibels(signal) - decibels(tone) == pytest.approx(-quieter, abs=0.01)
    assert decibels(signal) - decibels(floor) == pytest.approx(50 - quieter, abs=0.2), "the SNR"
    assert np.abs(heard("loud", severity, speech(2, level=0.9))).max() == 1, "cut off at full scale"


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", ["noise", "babble"])
def test_noise_has_the_snr_stated_of_the_loudest_block(name: str, severity: int) -> None:
    wave = speech(24, level=0.05)
    added = heard(name, severity, wave) - wave
    loudest = max(decibels(block) for block in wave.reshape(-1, BLOCK))
    if name == "noise":
        found = decibels(added[BLOCK * 20 :])
    else:  # voices swell and fade too: their level is that of their loudest block
        found = max(decibels(block) for block in added[15 * RATE :].reshape(-1, BLOCK))
    assert loudest - found == pytest.approx(condition_of("audio", name).amounts[severity - 1], abs=1)


def test_noise_follows_the_level_of_the_sound_and_silence_has_none() -> None:
    assert not heard("noise", 5, np.zeros(RATE, np.float32)).any()
    quiet, loud = (heard("noise", 3, speech(2, level)) - speech(2, level) for level in (0.01, 0.1))
    assert decibels(loud) - decibels(quiet) == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize("level", [0.003, 0.3])
def test_sound_of_any_level_clips_more_with_each_severity(level: float) -> None:
    waves = [heard("clipping", severity, speech(3, level))[RATE:] for severity in SEVERITIES]
    shares = [float(np.mean(np.abs(wave) >= 1)) for wave in waves]
    assert shares == sorted(shares)
    assert shares[0] < 0.05
    assert shares[-1] > 0.3


@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_room_echoes_for_as_long_as_stated(severity: int) -> None:
    seconds = condition_of("audio", "reverb").amounts[severity - 1]
    wave = np.zeros(3 * RATE, np.float32)
    wave[0] = 1
    response = heard("reverb", severity, wave).astype(np.float64)
    assert np.sum(response**2) == pytest.approx(1, abs=1e-3), "as loud as without the room"
    # Schroeder's backward integration, ISO 3382: the slope from -5 to -25 dB, times three.
    left = np.cumsum(response[1:][::-1] ** 2)[::-1]
    fall = 10 * np.log10(left / left[0])
    time = 3 * (np.argmax(fall < -25) - np.argmax(fall < -5)) / RATE
    assert time == pytest.approx(seconds, rel=0.15)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_telephone_leaves_its_band_alone(severity: int) -> None:
    high = condition_of("audio", "phone").amounts[severity - 1]
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 4 * RATE).astype(np.float32)
    hertz, before = signal.welch(wave, RATE, nperseg=1024)
    _, after = signal.welch(heard("phone", severity, wave), RATE, nperseg=1024)
    change = 10 * np.log10(after / before)
    assert np.abs(change[(hertz > 500) & (hertz < min(high - 200, 3800))]).max() < 1
    assert change[hertz < 100].max() < -15
    if high < 3600:
        assert change[hertz > high + 300].max() < -20


@pytest.mark.parametrize("severity", SEVERITIES)
def test_as_much_sound_is_lost_in_gaps_as_stated_and_the_rest_is_whole(severity: int) -> None:
    wave = np.ones(600 * RATE, np.float32)
    lost = heard("gaps", severity, wave) == 0
    stated, gaps = condition_of("audio", "gaps").amounts[severity - 1] / 100, np.diff(lost).sum() / 2
    assert lost.mean() == pytest.approx(stated, rel=4 / np.sqrt(gaps))
    assert lost.sum() / gaps / RATE == pytest.approx(GAP, rel=4 / np.sqrt(gaps)), "in runs"


@pytest.fixture(scope="module")
def pictures() -> NDArray[np.uint8]:
    rng = np.random.default_rng(1)
    small = rng.integers(40, 90, (8, 8, 10, 3), dtype=np.uint8)
    return np.stack([cv2.resize(p, (150, 120), interpolation=cv2.INTER_NEAREST) for p in small])


@pytest.mark.parametrize("severity", SEVERITIES)
def test_pictures_are_degraded_by_what_is_stated(pictures: NDArray[np.uint8], severity: int) -> None:
    def amount(name: str) -> float:
        return condition_of("video", name).amounts[severity - 1]

    expected = np.clip(np.rint(pictures * np.float32(amount("bright"))), 0, 255)
    np.testing.assert_array_equal(seen("bright", severity, pictures), expected)
    white = seen("dark", severity, np.full_like(pictures, 255)) / 255
    if severity < 4:  # the noise of a darker picture is cut off at black
        assert white.mean() == pytest.approx(0.5 ** amount("dark"), abs=0.001)
        assert white.std() == pytest.approx(np.hypot(0.01, 12**-0.5 / 255), rel=0.02), "and eight bits"
    flat = seen("contrast", severity, pictures).astype(float)
    spread = flat.std(axis=(1, 2)) / pictures.std(axis=(1, 2))
    np.testing.assert_allclose(spread, amount("contrast") / 100, atol=0.02)
    np.testing.assert_allclose(flat.mean(axis=(1, 2)), pictures.mean(axis=(1, 2)), atol=0.5)
    noise = seen("noise", severity, np.full_like(pictures, 128)) / 255 - 128 / 255
    clipped = np.std(np.clip(np.random.default_rng(0).normal(0, amount("noise") / 100, 10**6), -0.5, 0.5))
    assert noise.std() == pytest.approx(clipped, rel=0.02)
    covered = (seen("occlusion", severity, pictures) == 128).all(axis=-1)
    assert covered.mean() == pytest.approx(amount("occlusion") / 100, abs=0.01)
    assert (covered == covered[0]).all(), "dirt stays where it is"
    _, packed = cv2.imencode(".jpg", pictures[0][..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(amount("jpeg"))])
    decoded = cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(seen("jpeg", severity, pictures)[0], decoded)
    square = np.zeros((1, 120, 150, 3), np.uint8)
    square[0, 45:75, 60:90] = 255
    spread_of_it = seen("blur", severity, square)[0, :, :, 0].astype(float)
    radius = np.hypot(*(np.indices((120, 150)) - np.array([59.5, 74.5])[:, None, None]))
    variance = (spread_of_it * radius**2).sum() / spread_of_it.sum() / 2 - (30**2 - 1) / 12
    assert np.sqrt(variance) == pytest.approx(1.2 * amount("blur"), rel=0.05), "of 120 pixels"


def test_a_lost_picture_is_replaced_by_the_one_before() -> None:
    pictures = np.arange(2000, dtype=np.uint16).view(np.uint8).reshape(2000, 1, 2, 1).repeat(3, axis=3)
    numbers = [seen("gaps", s, pictures)[:, 0, :, 0].copy().view(np.uint16).ravel() for s in SEVERITIES]
    for severity, shown in zip(SEVERITIES, numbers, strict=True):
        kept = shown == np.arange(2000)
        stated = condition_of("video", "gaps").amounts[severity - 1] / 100
        assert 1 - kept.mean() == pytest.approx(stated, abs=0.08)
        np.testing.assert_array_equal(shown, np.maximum.accumulate(np.where(kept, np.arange(2000), 0)))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_captions_are_degraded_by_what_is_stated(severity: int) -> None:
    def share(name: str) -> float:
        return condition_of("text", name).amounts[severity - 1] / 100

    words = [f"w{i}" for i in range(2000)]
    (left,) = read("dropped", severity, [" ".join(words)])
    kept = str(left.data).split()
    assert [word for word in words if word in set(kept)] == kept, "the rest is in order"
    assert 1 - len(kept) / len(words) == pytest.approx(share("dropped"), abs=0.04)
    assert all(sample.data for sample in read("dropped", severity, ["one two"] * 50)), "a word is left"
    shown = [str(sample.data) for sample in read("gaps", severity, words)]
    late = [caption != word for caption, word in zip(shown, words, strict=True)]
    assert np.mean(late) == pytest.approx(share("gaps"), abs=0.04)
    assert [s for s, is_late in zip(shown, late, strict=True) if is_late] == [
        w for w, is_late in zip(words, late[1:], strict=False) if is_late
    ], "the caption before"
    letters = "a" * 4000
    (typed,) = read("misspelt", severity, [letters])
    wrong = sum(letter != "a" for letter in str(typed.data))
    assert wrong / len(letters) == pytest.approx(share("misspelt") / 3 * 25 / 26, abs=0.02)


@pytest.mark.parametrize("severity", [0, 6, -1])
def test_a_severity_that_does_not_exist_is_refused(severity: int) -> None:
    with pytest.raises(ValueError, match=rf"^quiet:{severity}: .*1 to 5"):
        Applied("audio", condition_of("audio", "quiet"), severity)


def test_conditions_of_one_sensor_add_up_in_their_order() -> None:
    wave, applied = (
        speech(1),
        [Applied("audio", condition_of("audio", n), s) for n, s in (("loud", 5), ("quiet", 5))],
    )
    both = begin([*applied, Applied("video", condition_of("video", "dark"), 1)], AUDIO)
    first, second = (one.condition.begin(5, AUDIO) for one in applied)
    sample = Sample("audio", wave, 1.0)
    np.testing.assert_array_equal(both(sample).data, second(first(sample)).data)
    assert begin([], AUDIO)(sample) is sample


def test_a_picture_is_degraded_as_a_camera_captures_it_before_it_is_resized() -> None:
    window = InputSpec("video", "uint8", (1, 4, 32, 40, 3), 8, 0.5, 0.5, 2.0)
    noise = Applied("video", condition_of("video", "noise"), 1)
    form = captured([noise], window)
    assert form.shape == (1, 4, 120, 150, 3)
    assert captured([noise], VIDEO) == VIDEO, "a window that is as large is degraded as it is"
    assert captured([Applied("audio", condition_of("audio", "noise"), 1)], window) == window
    grey = np.full((120, 150, 3), 128, np.uint8)
    for camera in (grey, grey[:32, :40], np.full((480, 640, 3), 128, np.uint8)):
        shown = np.asarray(begin([noise], window)(Sample("video", camera, 0.0)).data)
        at_camera = noise.condition.begin(1, form)(Sample("video", grey, 0.0)).data
        np.testing.assert_array_equal(shown, fit(np.asarray(at_camera, np.uint8), (32, 40)))
        # A pixel of the window is the mean of 3.75 x 3.75 of the camera's.
        assert shown.std() / 255 == pytest.approx(noise.condition.amounts[0] / 100 / 3.75, rel=0.1)


@pytest.mark.parametrize(("modality", "share"), [(m, s) for m in SPECS for s in (3, 5)])
def test_a_lying_sensor_gives_a_whole_scene_of_before(modality: str, share: int) -> None:
    spec = InputSpec("video", "uint8", (1, 4, 8, 8, 3), 8, 0.5, 0.5, 2.0)
    spec = spec if modality == "video" else SPECS[modality]
    rng = np.random.default_rng(0)
    degrade = begin([Applied(modality, condition_of(modality, "swapped"), share)], spec)
    shown, windows = [], []
    for i in range(200):
        if modality == "text":
            stream = [Sample("text", f"caption {i}", float(i), cut=True)]
        elif modality == "audio":
            wave = rng.uniform(-1, 1, (10, RATE // 10)).astype(np.float32)
            stream = [Sample("audio", w, i + n / 10, cut=n == 0) for n, w in enumerate(wave)]
        else:
            pictures = (
                np.full((4, *spec.shape[2:]), i, np.uint8) + np.arange(4, dtype=np.uint8)[:, None, None, None]
            )
            stream = [Sample("video", p, i + n / 8, cut=n == 0) for n, p in enumerate(pictures)]
        windows.append(degraded_window(stream, spec, lambda sample: sample))
        shown.append(degraded_window(stream, spec, degrade))
    of = [next(j for j in range(i, -1, -1) if np.array_equal(shown[i], windows[j])) for i in range(200)]
    lies = [i - j for i, j in enumerate(of) if i != j]
    assert max(lies) <= SCENES, "a window of before, and all of it"
    amount = condition_of(modality, "swapped").amounts[share - 1] / 100
    assert len(lies) / 199 == pytest.approx(amount, abs=3 * np.sqrt(amount * (1 - amount) / 199))
    assert spec.kind in KINDS


# A live sensor under conditions.

SMALL = InputSpec("video", "uint8", (1, 8, 32, 32, 3), 8, 1.0, 0.5, 2.0)


def test_a_picture_that_is_shown_again_is_the_one_of_before() -> None:
    buffer = np.random.default_rng(0).integers(0, 100, (120, 120, 3), dtype=np.uint8)

    def brighter(now: float, _: int) -> Sample:
        """Fill the same array again."""
        np.add(buffer, 1, out=buffer)
        return Sample("video", buffer, now)

    gaps = Applied("video", condition_of("video", "gaps"), 5)
    sensor = Degraded(MadeUp("video", brighter), [gaps])
    sensor.open(SMALL)
    shown = [np.asarray(sample.data).sum() for _ in range(50) if (sample := sensor.read(1)) is not None]
    assert len(shown) == 50
    assert len(set(shown)) < 45, "of a line that loses half"


def test_a_camera_is_degraded_at_its_own_size_and_gives_the_windows() -> None:
    picture = np.random.default_rng(0).integers(0, 100, (120, 120, 3), dtype=np.uint8)
    camera = MadeUp("video", lambda now, _: Sample("video", picture, now))
    dark = Applied("video", condition_of("video", "dark"), 1)
    sensor = Degraded(camera, [dark])
    sensor.open(SMALL)
    assert camera.spec.shape[2:] == (120, 120, 3)
    sample = sensor.read(1)
    assert sample is not None
    expected = begin([dark], SMALL)(Sample("video", picture, 0.0))
    np.testing.assert_array_equal(sample.data, expected.data)
    assert np.shape(sample.data) == (32, 32, 3)
    Degraded(camera, [Applied("audio", condition_of("audio", "quiet"), 1)]).open(SMALL)
    assert camera.spec.shape[2:] == (32, 32, 3), "nothing degrades it"
