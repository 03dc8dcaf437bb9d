"""Examples decoded one by one, by workers or without, are what decoding them all at once gives."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.dataset import Example, read_dataset
from sensemble_sensors.media.decoding import PLAIN, Sampling
from sensemble_train.data.clips import Clips, decode, joined, targets
from sensemble_train.experiments.streamed import Streamed
from sensemble_train.models.tokenizer import train_tokenizer
from sensemble_train.recipe.evaluate import embed
from sensemble_train.training.loop import Loop

from tests.train.tiny import SPECS, Line, dark_and_bright, tiny_model, write_index

LABELS = ("bright", "dark")
TOKENIZER = train_tokenizer(["a dark one", "a bright one"], 300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    return write_index(folder, dark_and_bright(folder, pretrain=2, train=12, evaluation=2))


def source(
    examples: Sequence[Example],
    sampling: Sampling = PLAIN,
    seed: int = 0,
    *,
    skip_bad: bool = False,
    labels: tuple[str, ...] = LABELS,
    multi: bool = False,
) -> Streamed:
    described = replace(tiny_model(labels=2, multi=multi).description, labels=labels)
    return Streamed(examples, described, TOKENIZER, sampling, seed, skip_bad)


def train_of(folder: Path) -> Sequence[Example]:
    return read_dataset(folder).split("train")


def assert_same(one: Clips, other: Clips) -> None:
    torch.testing.assert_close(one.inputs, other.inputs, rtol=0, atol=0)
    torch.testing.assert_close(one.present, other.present, rtol=0, atol=0)
    torch.testing.assert_close(one.targets, other.targets, rtol=0, atol=0)


def test_rows_that_fill_the_window_are_those_of_decode(folder: Path) -> None:
    # Cut to the window, so that its middle is its beginning.
    cut = [replace(example, start=0.1, end=0.2) for example in read_dataset(folder).split("train")]
    whole = decode(cut, SPECS, TOKENIZER, LABELS, "multi-class", lambda *_: None)
    rows = source(cut)
    assert_same(joined([rows.row(i) for i in range(len(rows))]), whole)
    assert not all(whole.present["audio"])


def test_what_is_drawn_hangs_on_seed_step_and_index_not_on_workers(folder: Path) -> None:
    clips, other = (source(train_of(folder), Sampling(1, (1.0, 1.4)), seed) for seed in (3, 4))
    order = [[5, 2, 7], [1, 5, 0]]
    for step, (batch, loaded) in enumerate(
        zip(order, clips.load(order, torch.device("cpu"), workers=2, step=0), strict=True)
    ):
        assert_same(joined([clips.row(index, step) for index in batch]), loaded)
    assert not torch.equal(clips.row(5, 0).inputs["audio"], clips.row(5, 1).inputs["audio"])
    assert not torch.equal(clips.row(5, 0).inputs["audio"], other.row(5, 0).inputs["audio"])


def test_a_window_does_not_depend_on_what_is_decoded_with_it(folder: Path) -> None:
    """As M_T = audio trains on what the evaluation of audio sees (App. E)."""
    examples = read_dataset(folder).split("train")[:2]
    description = replace(tiny_model(labels=2).description, labels=LABELS)
    # Half of what the encoder of sound takes lies between two frames an eighth of a second apart.
    longer = replace(SPECS["audio"], shape=(1, 4000), window=0.25), replace(SPECS["video"], window=0.25)
    description = replace(description, specs=dict(zip(("audio", "video"), longer, strict=True)))
    clips = Streamed(examples, description, TOKENIZER, Sampling(1), 0, skip_bad=False)
    for step in (None, 3):
        whole, *_ = clips.load([[0, 1]], torch.device("cpu"), 0, step)
        assert not whole.inputs["audio"][:, 2000:].any()
        for only in (("audio",), ("video",)):
            alone, *_ = clips.having(only).load([[0, 1]], torch.device("cpu"), 0, step)
            assert tuple(alone.inputs) == tuple(alone.present) == only
            torch.testing.assert_close(alone.inputs[only[0]], whole.inputs[only[0]], rtol=0, atol=0)


def test_a_bad_file_is_named_with_its_line_and_skipped_only_when_asked(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = ["good0.mkv", "noise.mkv", "good1.mkv"]
    for name, clip in zip(names, ["train0.mkv", None, "train1.mkv"], strict=True):
        (tmp_path / name).write_bytes((folder / clip).read_bytes() if clip else b"noise" * 99)
    lines: list[Line] = [{"split": "train", "labels": ["dark"], "video": name} for name in names]
    write_index(tmp_path, lines)
    strict = source(train_of(tmp_path))
    with pytest.raises(BadDataError, match=r"index\.jsonl:2 .* video: .*noise\.mkv"):
        strict.row(1)
    lenient = source(train_of(tmp_path), skip_bad=True)
    with caplog.at_level(logging.WARNING):
        assert_same(lenient.row(1, 7), lenient.row(2, 7))
        assert not any(rows.any() for rows in lenient.row(1).present.values())
    assert "skipped index.jsonl:2 ('1')" in caplog.text
    assert [lenient.row(i, 7).skipped for i in range(3)] == [0, 1, 0]
    assert joined([lenient.row(1, 7), lenient.row(1, 8)]).skipped == 2
    given = read_dataset(tmp_path).examples, SPECS, TOKENIZER, LABELS, "multi-class", lambda *_: None
    everything = partial(decode, *given)
    with pytest.raises(BadDataError, match=r"index\.jsonl:2 .* video: .*noise\.mkv"):
        everything()
    whole = everything(skip_bad=True)
    assert whole.skipped == 1
    assert whole.present["video"].tolist() == [True, False, True]
    model = tiny_model(labels=2)
    fronted = lenient.mapped(lambda clips: replace(clips, inputs=model.front(clips.inputs)))
    with caplog.at_level(logging.WARNING):
        embedded = embed(fronted, Loop(tmp_path, 0), model)[0]
    assert embedded.skipped == 1
    assert "skipped 1 of 3 examples; no score counts them" in caplog.text
    bad = write_index(tmp_path, [{"split": "train", "labels": ["dark"], "video": "noise.mkv"}])
    with pytest.raises(BadDataError, match="nor could"):
        source(train_of(bad), skip_bad=True).row(0, 0)


def test_what_is_wrong_comes_out_of_a_worker_as_the_one_line_that_it_is(tmp_path: Path) -> None:
    (tmp_path / "noise.mkv").write_bytes(b"noise" * 99)
    folder = write_index(tmp_path, [{"split": "train", "labels": ["dark"], "video": "noise.mkv"}])
    with pytest.raises(BadDataError) as caught:
        next(source(train_of(folder)).load([[0]], torch.device("cpu"), workers=1, step=0))
    text = str(caught.value)
    assert text.startswith("index.jsonl:1 ('0'): video: ")
    assert text.endswith("; repair it, or delete its line")
    assert "\n" not in text


@pytest.fixture
def threads() -> Iterator[int]:
    """OpenCV's threads in this process, after they have worked."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    cv2.GaussianBlur(np.zeros((1000, 1000, 3), np.uint8), (9, 9), 2)
    yield 3
    cv2.setNumThreads(before)


@pytest.mark.timeout(120)
def test_a_worker_has_one_thread(folder: Path, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    def seed(*_: object, **__: object) -> dict[str, object]:
        return {"audio": np.full(SPECS["audio"].shape, cv2.getNumThreads(), np.float32)}

    # Workers are forked, and inherit it.
    monkeypatch.setattr("sensemble_train.experiments.streamed.clip", seed)
    loaded = list(source(train_of(folder)).load([[0], [1]], torch.device("cpu"), workers=2))
    assert all((clips.inputs["audio"] == 1).all() for clips in loaded)
    assert cv2.getNumThreads() == threads


def test_labels_that_are_no_class_are_named_and_unlabelled_rows_have_no_targets(folder: Path) -> None:
    with pytest.raises(BadDataError, match=r"index\.jsonl:4 .* 'bright' is none of"):
        next(source(train_of(folder), labels=("dark",)).load([[0]], torch.device("cpu"), workers=0))
    unlabelled = source(read_dataset(folder).split("pretrain"))
    assert joined([unlabelled.row(0), unlabelled.row(1)]).targets is None
    several = source(train_of(folder), multi=True)
    np.testing.assert_array_equal(joined([several.row(0), several.row(1)]).targets, [[0, 1], [1, 0]])


def test_one_of_several_labels_is_not_taken_for_the_class(folder: Path) -> None:
    first, *_ = read_dataset(folder).split("train")
    both = replace(first, labels=LABELS)
    with pytest.raises(BadDataError, match=rf"index\.jsonl:{first.line}: .* only one"):
        targets([both], LABELS, "multi-class")
    assert targets([both], LABELS, "multi-label").tolist() == [[1, 1]]
