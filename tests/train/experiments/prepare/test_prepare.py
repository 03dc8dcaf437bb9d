"""Published datasets become datasets that decode to the right seconds, and that others can read."""

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import webdataset
from numpy.typing import NDArray
from sensemble_sensors.codecs.tracks import decode_audio, decode_video
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.dataset import Example, read_dataset
from sensemble_train.experiments.prepare import audioset, imagenet_captions, kinetics
from sensemble_train.experiments.prepare.cut import cut
from sensemble_train.experiments.prepare.survey import Survey, files

from tests.train import published
from tests.train.published import bad_segments, film, prepare

Wave = NDArray[np.float32]
Looks = Callable[[Path, Path], Survey]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published.audioset(tmp_path_factory.mktemp("audioset"))


def test_audioset_is_read_in_its_published_form(source: Path, tmp_path: Path) -> None:
    report = prepare(audioset.survey(source, tmp_path), tmp_path)
    assert report.lines() == [
        "pretrain: 2 of 2 (100.0%) here",
        "train: 2 of 3 (66.7%) here",
        "eval: 2 of 2 (100.0%) here",
        "pretrain: 2 written",
        "train: 2 written",
        "eval: 2 written",
        "0 bad",
    ]
    assert (tmp_path / "missing.txt").read_text() == (
        f"{source / 'balanced_train_segments.csv'}:6: gone_gone_1_30000\n"
    )
    got = {example.id: example for example in read_dataset(tmp_path).examples}
    assert {name: (e.split, e.labels, e.value("text"), e.start, e.end) for name, e in got.items()} == {
        "unbalanced1_1000": ("pretrain", ("Domestic animals, pets",), "Klakson, który zwala z nóg", 0, 4),
        "two_files_1_0": ("pretrain", ("Domestic animals, pets",), None, 0, 3),
        "--4gqARaEJE_3000": ("train", ("Domestic animals, pets", "Dog"), "My dog & I", 0, 4),
        "-_wholefilm_4000": ("train", ("Speech",), "A whole film", 4, 8),
        "soundalone1_2000": ("eval", ("Speech",), None, 0, 4),
        "YfilmWithY1_0": ("eval", ("Dog",), None, 0, 4),
    }
    assert got["soundalone1_2000"].modalities == ("audio",)
    two = got["two_files_1_0"]
    assert (Path(two.values["video"]).suffix, Path(two.values["audio"]).suffix) == (".mp4", ".m4a")
    linked = got["-_wholefilm_4000"].value("video")
    assert linked is not None
    assert linked.samefile(source / "train" / "-_wholefilm.mp4")  # a link takes no space


def test_a_source_can_be_its_own_dataset(tmp_path: Path) -> None:
    published.audioset(tmp_path)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    prepare(audioset.survey(tmp_path, tmp_path), tmp_path)
    written = {path.name for path in tmp_path.rglob("*") if path.is_file()} - {path.name for path in before}
    assert written == {"index.jsonl", "missing.txt", "bad.txt", "prepared.json", "claim.json"} | {
        f"{split}-000000.json" for split in ("pretrain", "train", "eval")
    }
    assert len(list((tmp_path / ".parts").iterdir())) == 4
    assert (
        read_dataset(tmp_path).examples[0].value("video")
        == tmp_path / "unbalanced" / "unbalanced1_1000_5000.mkv"
    )


def test_shards_hold_the_same_seconds_and_are_what_webdataset_reads(source: Path, tmp_path: Path) -> None:
    plain, sharded = tmp_path / "plain", tmp_path / "sharded"
    survey = audioset.survey(source, tmp_path)
    prepare(survey, plain)
    assert prepare(survey, sharded, shards=1).written == {"pretrain": 2, "train": 2, "eval": 2}
    ours = read_dataset(sharded).examples
    for one, other in zip(read_dataset(plain).examples, ours, strict=True):
        assert (one.id, one.split, one.labels, one.value("text")) == (
            other.id,
            other.split,
            other.labels,
            other.value("text"),
        )
        assert one.group == other.group == one.id[:11], "the video that it is cut from"
        assert_heard_at_the_same_time(sound(one), sound(other))
        np.testing.assert_allclose(pictures(one), pictures(other), atol=0.02)
    whole = (source / "train" / "-_wholefilm.mp4").stat().st_size
    cut = (sharded / "train-000001.tar").stat().st_size
    assert cut < 0.8 * whole + 10240
    urls = sorted(str(path) for path in sharded.glob("*.tar"))
    assert len(urls) == 6
    samples = {s["__key__"]: s for s in webdataset.WebDataset(urls, shardshuffle=False, empty_check=False)}
    assert set(samples) == {example.id for example in ours}
    for example in ours:
        sample = samples[example.id]
        fields = json.loads(sample["json"])
        assert (fields["id"], fields["labels"], fields.get("text"), fields["group"]) == (
            example.id,
            list(example.labels),
            example.value("text"),
            example.group,
        )
        for kind in ("video", "audio"):
            path = example.value(kind)
            assert (kind in fields) == (path is not None)
            if path is not None:
                shard, _, place = str(path).partition("#")
                offset, size = map(int, place.split("+"))
                assert sample[fields[kind]] == Path(shard).read_bytes()[offset : offset + size]


def sound(example: Example) -> Wave:
    assert example.value("audio") is not None
    assert example.start is not None
    assert example.end is not None
    return decode_audio(example.value("audio"), 8000, example.start, example.end - example.start - 0.1)


def pictures(example: Example) -> Wave:
    if example.value("video") is None:
        return np.zeros(0, np.float32)
    frames = decode_video(example.value("video"), 5, 20, (8, 8), example.start or 0.0, end=example.end)
    return frames.astype(np.float32) / 255


def assert_heard_at_the_same_time(one: Wave, other: Wave) -> None:
    """Up to a millisecond, to which Matroska rounds times: shifted by up to 8 samples of 8 kHz."""
    assert len(one) == len(other)
    middle = one[8:-8]
    errors = [np.abs(middle - other[i : i + len(middle)]).max() for i in range(17)]
    assert min(errors) < 0.04


def test_kinetics_takes_replaced_videos_and_evaluates_on_the_test_list(tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = prepare(kinetics.survey(published.kinetics(tmp_path / "k400"), out), out)
    assert report.lines()[:2] == ["train: 2 of 2 (100.0%) here", "eval: 1 of 2 (50.0%) here"]
    assert report.note == "eval is the list 'test'; left out: val"
    examples = read_dataset(out).examples
    assert [(e.id, e.split, e.labels, e.modalities) for e in examples] == [
        ("train_vid_1_1000", "train", ("abseiling",), ("audio", "video")),
        ("train_vid_2_0", "train", ("playing, badly",), ("audio", "video")),
        ("test_video1_7000", "eval", ("abseiling",), ("audio", "video")),
    ]
    (tmp_path / "k400" / "annotations" / "test.csv").write_text("youtube_id,time_start,time_end,split\n")
    fallback = kinetics.survey(tmp_path / "k400", out)
    assert [row.id for row in fallback.rows if row.split == "eval"] == ["val_video_1_0"]


def test_imagenet_captions_are_pictures_with_text_four_fifths_to_train_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = prepare(
        imagenet_captions.survey(published.imagenet_captions(tmp_path / "in", 30), out), out, shards=20
    )
    assert report.lines()[-1] == "0 bad"
    assert sum(report.here.values()) == 29
    assert 2 <= report.listed["eval"] <= 12
    dataset = read_dataset(out)
    first = dataset.examples[0]
    assert (first.modalities, first.value("text"), first.labels) == (
        ("text", "video"),
        "title 0",
        ("tench, Tinca tinca",),
    )
    caption = {e.id: e.value("text") for e in dataset.examples}["n02134084_1005"]
    assert caption == "title 5 fish lake caught last week"
    for example in dataset.examples:
        assert example.value("image") is not None
        grey = decode_video(example.value("image"), 1, 1, (32, 32)).mean()
        assert grey == pytest.approx(8 * (int(example.id[-4:]) - 1000), abs=2)


def test_every_bad_example_is_named_with_file_and_line_and_skipped_only_when_asked(tmp_path: Path) -> None:
    source, out = bad_segments(tmp_path), tmp_path / "out"
    reasons = [
        r"csv:7: lasts no time, from 4 s to 4 s",
        r"csv:8: label '/m/zz' is not in the ontology",
        r"csv:9: is not an id, a start, an end and labels in quotes",
        r"csv:3: .*noise_video\.mp4: cannot be decoded",
        r"csv:4: .*silentvideo\.mp4: is a video without an audio track",
        r"csv:5: .*emptyvideo1\.mp4: cannot be decoded",
        r"csv:6: .*other_piece\.mp4: lasts 8.* s: neither the segment from 60 s to 64 s",
    ]
    with pytest.raises(
        BadDataError, match=r"^7 bad examples, the first at .*eval_segments\.csv:7.*--skip-bad"
    ):
        prepare(audioset.survey(source, out), out)
    assert not (out / "index.jsonl").exists()
    report = prepare(audioset.survey(source, out), out, skip_bad=True)
    named = (out / "bad.txt").read_text().splitlines()
    assert list(report.bad) == named
    assert len(named) == len(reasons)
    for line, reason in zip(named, reasons, strict=True):
        assert line.startswith(str(source / "eval_segments."))
        assert re.search(reason, line)
    assert [example.id for example in read_dataset(out).examples] == ["good_video1_0"]


def spoil(path: Path, word: str) -> int:
    """Put a byte that is not UTF-8 into the line of a list that holds a word; give its number."""
    lines = path.read_bytes().splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if word.encode() in line)
    lines[number] = lines[number].replace(word.encode(), word[:-1].encode() + b"\xe9")
    path.write_bytes(b"".join(lines))
    return number + 1


def test_a_line_that_is_not_utf8_is_a_bad_one(tmp_path: Path) -> None:
    bad: list[tuple[Looks, Path, Path, str]] = [
        (audioset.survey, published.audioset(tmp_path / "as"), Path("eval_segments.csv"), "soundalone1"),
        (audioset.survey, published.audioset(tmp_path / "titled"), Path("titles.tsv"), "dog"),
        (kinetics.survey, published.kinetics(tmp_path / "k"), Path("annotations", "test.csv"), "abseiling"),
        (
            imagenet_captions.survey,
            published.imagenet_captions(tmp_path / "captions"),
            Path("LOC_synset_mapping.txt"),
            "Ursus",
        ),
    ]
    for survey, source, name, word in bad:
        before = len(survey(source, tmp_path / "out").rows)
        number = spoil(source / name, word)
        after = survey(source, tmp_path / "out")
        assert after.bad[0] == f"{source / name}:{number}: is not in UTF-8"
        lost = {"titles.tsv": 0, "LOC_synset_mapping.txt": 5}.get(name.name, 1)
        assert len(after.rows) == before - lost
    number = spoil(tmp_path / "as" / "class_labels_indices.csv", "Dog")
    with pytest.raises(BadDataError, match=rf"class_labels_indices\.csv:{number}: is not in UTF-8"):
        audioset.survey(tmp_path / "as", tmp_path / "out")


def test_links_that_lead_round_in_a_circle_are_followed_once(source: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(source)
    (tmp_path / "self").symlink_to(tmp_path)
    found = list(files(tmp_path, tmp_path / "out"))
    assert len(found) == len({path.resolve() for path in found}) == len(list(files(source, tmp_path)))


def test_a_link_out_of_a_source_that_is_its_own_dataset_is_refused(tmp_path: Path) -> None:
    source = published.kinetics(tmp_path / "k400")
    film(tmp_path / "elsewhere.mp4", 4)
    video = source / "train" / "train_vid_1_000001_000005.mp4"
    video.unlink()
    video.symlink_to(tmp_path / "elsewhere.mp4")
    with pytest.raises(BadDataError, match=r"train_vid_1_.*is a link that leaves .*k400; choose another"):
        prepare(kinetics.survey(source, source), source)
    out = tmp_path / "out"
    assert prepare(kinetics.survey(source, out), out).written == {"train": 2, "eval": 1}
    (tmp_path / "name").symlink_to(source)
    assert kinetics.survey(tmp_path / "name", out).rows == kinetics.survey(source, out).rows


def test_what_is_no_such_dataset_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    surveys: list[tuple[Looks, str]] = [
        (audioset.survey, "unbalanced_train_segments"),
        (kinetics.survey, "no CSV of training videos"),
        (imagenet_captions.survey, r"no imagenet_captions\.json"),
    ]
    for survey, reported in surveys:
        with pytest.raises(BadDataError, match=reported):
            survey(tmp_path, tmp_path / "out")
    (tmp_path / "eval_segments.csv").write_text("")
    with pytest.raises(BadDataError, match="neither class_labels_indices"):
        audioset.survey(tmp_path, tmp_path / "out")


@pytest.mark.parametrize("start", [0.0, 2.05, 4.0, 7.3])
def test_a_cut_keeps_pictures_and_sound_in_their_places(tmp_path: Path, start: float) -> None:
    whole = film(tmp_path / "whole.mp4", 12)
    content, begin = cut(whole, start, start + 3)
    piece = tmp_path / "piece.mkv"
    piece.write_bytes(content)
    one = decode_video(whole, 10, 30, (8, 8), start).astype(int)
    other = decode_video(piece, 10, 30, (8, 8), begin).astype(int)
    assert np.abs(one - other).max() <= 2
    for earlier, later in pairwise(one[:, 0, 0, 0]):
        assert later >= earlier
    heard = decode_audio(whole, 8000, start, 2.9), decode_audio(piece, 8000, begin, 2.9)
    assert_heard_at_the_same_time(*heard)


def test_a_film_whose_title_is_not_utf8_can_be_cut(tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mkv", 4)
    named = whole.read_bytes().replace(b"Lavf", b"Lav\xe9")  # the name of what wrote it
    assert named != whole.read_bytes()
    whole.write_bytes(named)
    content, begin = cut(whole, 1.0, 3.0)
    (tmp_path / "piece.mkv").write_bytes(content)
    assert len(decode_audio(tmp_path / "piece.mkv", 8000, begin, 2)) == 16000
