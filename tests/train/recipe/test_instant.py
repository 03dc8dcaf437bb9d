"""The instant head: calibrated linear classifiers on frozen encoders, and what they say of takes left out."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sensemble_runtime.subsets import subsets
from sensemble_sensors import read_dataset
from sensemble_sensors.media.decoding import window
from sensemble_train import ConfigurationError, Instant, instant
from sensemble_train.data.clips import as_input
from sensemble_train.recipe.linear import DECAY
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from tests.train.tiny import ENCODERS, Line, MeanAndDeviation, Pitch, write_clip, write_index

LEVELS, HERTZ = {"dark": 30, "bright": 200, "grey": 110}, {"dark": 300, "bright": 1800, "grey": 900}


def takes(folder: Path, counts: dict[str, int], *, deaf: bool = False) -> Path:
    """Write takes of two examples each; some lack a modality. With `deaf`, all sound alike."""
    folder.mkdir(exist_ok=True)
    lines: list[Line] = []
    rng = np.random.default_rng(0)
    for label, count in counts.items():
        for take in range(count):
            for part in range(2):
                name = f"{label}{take}{part}.mkv"
                hertz = 700 if deaf else HERTZ[label]
                write_clip(
                    folder / name,
                    LEVELS[label] + int(rng.integers(-25, 25)),
                    hertz + int(rng.integers(-80, 80)),
                )
                media: Line = {"video": name, "audio": name}
                if take == 3:
                    del media["video" if part else "audio"]
                lines.append({"split": "train", "labels": [label], "group": f"{label} {take}", **media})
    return write_index(folder, lines)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def logits(found: Instant, modalities: tuple[str, ...]) -> Tensor:
    """Return the logits of the examples with these modalities, over the temperature of such a set."""
    clips = found.examples.having(modalities)
    with torch.no_grad():
        output: Tensor = found.model(clips.inputs)
    return output * len(modalities)


def test_it_says_the_sum_of_calibrated_log_probabilities(tmp_path: Path) -> None:
    found = instant(takes(tmp_path, {"dark": 4, "bright": 4, "grey": 4}), ENCODERS)
    assert found.model.description.labels == ("bright", "dark", "grey")
    for modalities in subsets(ENCODERS):
        alone = [log_softmax(logits_of(found, m, modalities).numpy(), axis=1) for m in modalities]
        log_probabilities = log_softmax(logits(found, modalities).numpy(), axis=1)
        np.testing.assert_allclose(log_probabilities, log_softmax(sum(alone), axis=1), atol=1e-3)


def logits_of(found: Instant, modality: str, having: tuple[str, ...]) -> Tensor:
    clips = found.examples.having(having)
    with torch.no_grad():
        output: Tensor = found.model({modality: clips.inputs[modality]})
    return output


def test_each_modality_has_the_classifier_that_scikit_learn_fits(tmp_path: Path) -> None:
    found = instant(takes(tmp_path, {"dark": 3, "bright": 3, "grey": 3}), ENCODERS)
    clips = found.examples
    assert clips.targets is not None
    x = Pitch()(clips.inputs["audio"]).numpy()
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x = (x - x.mean(axis=0)) / x.std()
    oracle = LogisticRegression(C=1 / (2 * DECAY * len(x)), tol=1e-8).fit(x, clips.targets.numpy())
    ours = logits(found, ("audio",)).argmax(dim=1).numpy()
    np.testing.assert_array_equal(ours, oracle.predict(x))


def test_a_sensor_that_knows_nothing_outweighs_none_that_knows(tmp_path: Path) -> None:
    found = instant(takes(tmp_path, {"dark": 5, "bright": 5, "grey": 5}, deaf=True), ENCODERS)
    truth, there = found.examples.targets, found.examples.present
    assert truth is not None
    both = there["audio"] & there["video"]
    seen = found.left_out["video"].argmax(dim=1)
    together = sum(found.left_out.values()).argmax(dim=1)  # type: ignore[union-attr]
    assert found.left_out["audio"].softmax(dim=1).max() < 0.6
    assert (together == truth)[both].sum() >= (seen == truth)[both].sum() >= both.sum() - 2


def test_of_a_class_that_is_added_alone_the_takes_are_read(tmp_path: Path) -> None:
    sources = {"video": "tests.train.tiny:own"}
    instant(takes(tmp_path, {"dark": 3, "bright": 3}), sources)
    before = MeanAndDeviation.read
    found = instant(takes(tmp_path, {"dark": 3, "bright": 3, "grey": 3}), sources)
    assert found.model.description.labels == ("bright", "dark", "grey")
    assert MeanAndDeviation.read - before <= 2 * 6 + 4, "two views of six examples, and some test inputs"


def test_a_take_of_another_class_than_it_says_is_the_hardest(tmp_path: Path) -> None:
    index = takes(tmp_path, {"dark": 5, "bright": 5}) / "index.jsonl"
    lines = [json.loads(line) for line in index.read_text("utf-8").splitlines()]
    for line in lines:
        if line["group"] == "dark 0":
            line["labels"] = ["bright"]
    write_index(tmp_path, lines)
    found = instant(tmp_path, ENCODERS)
    hardest = found.hardest()
    name, (taken_for, share) = next(iter(hardest.items()))
    assert (name, taken_for) == ("dark 0", "dark")
    assert share < 0.5
    assert [share for _, share in hardest.values()] == sorted(share for _, share in hardest.values())


def test_a_class_of_one_take_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = instant(takes(tmp_path, {"dark": 2, "bright": 2, "grey": 1}), ENCODERS)
    assert found.model.description.labels == ("bright", "dark")
    assert caplog.messages == ["grey: has one take; record another, until then it is left out"]
    with pytest.raises(ConfigurationError, match="from: 2 of dark, 1 of grey"):
        instant(takes(tmp_path, {"dark": 2, "grey": 1}), ENCODERS)


def test_it_takes_an_encoder_of_a_modality_that_is_there(tmp_path: Path) -> None:
    folder = takes(tmp_path, {"dark": 2, "bright": 2})
    with pytest.raises(ConfigurationError, match="has audio, video; name a pretrained"):
        instant(folder, {})


def test_groups_that_show_several_classes_are_left_out_in_turn(tmp_path: Path) -> None:
    """Of three people, one shows both classes, and each of the others another one."""
    index = takes(tmp_path, {"dark": 2, "bright": 2}) / "index.jsonl"
    lines = index.read_text("utf-8").replace('"group": "dark 0"', '"group": "both"')
    index.write_text(lines.replace('"group": "bright 0"', '"group": "both"'), encoding="utf-8")
    found = instant(tmp_path, ENCODERS)
    for answers in found.left_out.values():
        assert answers.isfinite().all()
        assert answers.any()


@pytest.mark.parametrize(
    ("people", "left_out"),
    [(("zoe",), {f"take {i}" for i in range(1, 5)}), (("anna", "zoe"), {"anna", "zoe"})],
)
def test_people_are_left_out_in_turn_and_the_takes_of_one_alone(
    tmp_path: Path, people: tuple[str, ...], left_out: set[str]
) -> None:
    index = takes(tmp_path, {"dark": 2, "bright": 2}) / "index.jsonl"
    lines = [json.loads(line) for line in index.read_text("utf-8").splitlines()]
    number = {name: i for i, name in enumerate(dict.fromkeys(line["group"] for line in lines))}
    for line in lines:
        own = number[line["group"]]
        line["group"] = [f"take {own + 1}", people[own % len(people)]]
    write_index(tmp_path, lines)
    found = instant(tmp_path, ENCODERS)
    assert ({*found.groups}, {*found.people}) == (left_out, {*people})


def test_a_sensor_counts_from_two_takes_of_two_classes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A microphone with takes of one class alone has no classifier."""
    index = takes(tmp_path, {"dark": 3, "bright": 3}) / "index.jsonl"
    lines = [json.loads(line) for line in index.read_text("utf-8").splitlines()]
    for line in lines:
        if line["group"] not in {"dark 2", "bright 1", "bright 2"}:
            del line["audio"]
    write_index(tmp_path, lines)
    found = instant(tmp_path, ENCODERS)
    assert found.model.modalities == ("video",)
    assert caplog.messages == [
        "audio: fewer than two classes have two takes with it; until then, it is left out"
    ]


def test_takes_that_show_none_of_the_classes_make_their_like_unfamiliar(tmp_path: Path) -> None:
    """An empty desk was "cup 95 %" with six takes of it recorded as none of these."""
    folder = takes(tmp_path / "data", {"dark": 4, "grey": 4})
    assert instant(folder, ENCODERS).familiarity is None
    index = folder / "index.jsonl"
    lines = index.read_text().splitlines()
    for number in range(4):
        write_clip(folder / f"none{number}.mkv", LEVELS["bright"] + 4 * number, HERTZ["bright"] + 20 * number)
        media = {"video": f"none{number}.mkv", "audio": f"none{number}.mkv"}
        split = "train" if number < 3 else "eval"
        lines.append(json.dumps({"id": f"none{number}", "split": split, "background": True, **media}))
    index.write_text("\n".join(lines))
    found = instant(folder, ENCODERS)
    assert found.familiarity is not None
    assert found.limits.keys() == {"audio", "video"}
    assert found.none == (3, 3), "each of three, left out"
    (strange,) = read_dataset(folder).background("eval")
    for row, m in enumerate(found.model.modalities):
        spec, encoder = found.model.description.specs[m], found.model.encoders[m]
        known = encoder(found.examples.inputs[m][found.examples.present[m]]).detach().numpy()
        other = encoder(as_input(window(strange, spec), spec, None)).detach().numpy()
        scores = [found.familiarity.scores(row, x) for x in (known, other)]
        assert (scores[0] >= found.limits[m]).mean() > 0.9
        assert scores[1][0] < found.limits[m]


@pytest.mark.parametrize("held", [False, True])
def test_what_is_between_takes_is_none_of_the_classes_unless_it_shows_them(
    tmp_path: Path, *, held: bool
) -> None:
    """A thing held before the camera between takes unlearns no class."""
    folder = takes(tmp_path / "data", {"dark": 4, "grey": 4})
    shown = ["dark", "grey"] if held else ["bright"]
    between = takes(tmp_path / "between", dict.fromkeys(shown, 4 if held else 3))
    assert instant(folder, ENCODERS, between=tmp_path / "nothing").limits == {}
    index = between / "index.jsonl"
    lines = [json.loads(line) | {"labels": [], "background": True} for line in index.read_text().splitlines()]
    write_index(between, lines[:5])
    assert instant(folder, ENCODERS, between=between).limits == {}, "too few"
    write_index(between, lines)
    found = instant(folder, ENCODERS, between=between)
    assert found.limits.keys() == (set() if held else {"audio", "video"})
    assert found.none is None
    index.write_text("{")
    assert instant(folder, ENCODERS, between=between).limits == {}, "damaged"


def test_each_class_is_shown_to_a_head_that_never_learned_it(tmp_path: Path) -> None:
    assert instant(takes(tmp_path / "two", {"dark": 3, "bright": 3}), ENCODERS).mistaken is None
    counts = {"dark": 4, "bright": 4, "grey": 4}
    seen = instant(takes(tmp_path / "seen", counts), ENCODERS).mistaken
    assert seen is not None
    assert 8 < seen[0] <= seen[1] == 24, "the dark and the bright are beyond the grey"
    deaf = takes(tmp_path / "deaf", counts, deaf=True)
    assert instant(deaf, {"audio": ENCODERS["audio"]}).mistaken == (0, 24), "all sound alike"
