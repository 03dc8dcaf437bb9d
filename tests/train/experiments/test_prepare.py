"""Published datasets become datasets that decode to the right seconds."""

from pathlib import Path

import pytest
from sensemble_sensors.codecs.tracks import decode_audio, decode_video
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.dataset import read_dataset
from sensemble_train.experiments.prepare import LEFT_OUT, prepare

from tests.train import published
from tests.train.published import film


def made(dataset: str, folder: Path) -> list[str]:
    return prepare(dataset, folder, lambda *_: None)


def test_audioset_is_read_in_its_published_form(tmp_path: Path) -> None:
    source = published.audioset(tmp_path)
    counts = made("audioset", source)
    assert counts == ["pretrain: 2 of 2 (100.0%)", "train: 2 of 3 (66.7%)", "eval: 2 of 2 (100.0%)"]
    left_out = f"{source / 'balanced_train_segments.csv'}:6: gone_gone_1_30000: its media is not here\n"
    assert (source / LEFT_OUT).read_text() == left_out
    got = {example.id: example for example in read_dataset(source).examples}
    assert {name: (e.split, e.labels, e.value("text"), e.start, e.end) for name, e in got.items()} == {
        "unbalanced1_1000": ("pretrain", ("Domestic animals, pets",), "Klakson, który zwala z nóg", 0, 4),
        "two_files_1_0": ("pretrain", ("Domestic animals, pets",), None, 0, 3),
        "--4gqARaEJE_3000": ("train", ("Domestic animals, pets", "Dog"), "My dog & I", 0, 4),
        "-_wholefilm_4000": ("train", ("Speech",), "A whole film", 4, 8),
        "soundalone1_2000": ("eval", ("Speech",), None, 0, 4),
        "YfilmWithY1_0": ("eval", ("Dog",), None, 0, 4),
    }
    assert all(example.group == example.id[:11] for example in got.values()), "the video that it is cut from"
    assert got["soundalone1_2000"].modalities == ("audio",)
    two = got["two_files_1_0"]
    assert (Path(two.values["video"]).suffix, Path(two.values["audio"]).suffix) == (".mp4", ".m4a")
    with pytest.raises(BadDataError, match=r"index\.jsonl: exists; remove it"):
        made("audioset", source)


def test_a_segment_of_a_whole_video_is_the_same_seconds_as_the_segment_cut_out(tmp_path: Path) -> None:
    published.audioset(tmp_path)
    made("audioset", tmp_path)
    whole = next(e for e in read_dataset(tmp_path).examples if e.id == "-_wholefilm_4000")
    cut = film(tmp_path / "cut.mp4", 4, first=4)
    assert whole.start is not None
    ours = decode_video(Path(whole.values["video"]), 5, 10, (8, 8), whole.start, end=whole.end).mean()
    assert ours == pytest.approx(decode_video(cut, 5, 10, (8, 8)).mean(), abs=2)
    assert len(decode_audio(Path(whole.values["audio"]), 8000, whole.start, 3.9)) == round(3.9 * 8000)


def test_kinetics_takes_replaced_videos_and_evaluates_on_the_test_list(tmp_path: Path) -> None:
    source = published.kinetics(tmp_path / "k400")
    assert made("kinetics", source) == ["train: 2 of 2 (100.0%)", "eval: 1 of 2 (50.0%)"]
    assert [(e.id, e.split, e.labels, e.modalities) for e in read_dataset(source).examples] == [
        ("train_vid_1_1000", "train", ("abseiling",), ("audio", "video")),
        ("train_vid_2_0", "train", ("playing, badly",), ("audio", "video")),
        ("test_video1_7000", "eval", ("abseiling",), ("audio", "video")),
    ]
    (source / "annotations" / "test.csv").unlink()
    (source / "index.jsonl").unlink()
    made("kinetics", source)
    assert [e.id for e in read_dataset(source).split("eval")] == ["val_video_1_0"]


def test_imagenet_captions_are_pictures_with_text_four_fifths_to_train_on(tmp_path: Path) -> None:
    source = published.imagenet_captions(tmp_path, 30)
    made("imagenet-captions", source)
    dataset = read_dataset(source)
    assert len(dataset.examples) == 29
    assert 2 <= len(dataset.split("eval")) <= 12
    first = dataset.examples[0]
    assert (first.modalities, first.value("text"), first.labels) == (
        ("text", "video"),
        "title 0",
        ("tench, Tinca tinca",),
    )
    caption = {e.id: e.value("text") for e in dataset.examples}["n02134084_1005"]
    assert caption == "title 5 fish lake caught last week"
    for example in dataset.examples:
        grey = decode_video(Path(example.values["image"]), 1, 1, (32, 32)).mean()
        assert grey == pytest.approx(8 * (int(example.id[-4:]) - 1000), abs=2)


def segments(folder: Path, lines: str) -> Path:
    (folder / "class_labels_indices.csv").write_text('index,mid,display_name\n0,/m/a,"A"\n')
    (folder / "eval_segments.csv").write_text("# YTID, start_seconds, end_seconds, positive_labels\n" + lines)
    return folder


def test_every_clip_without_usable_media_is_left_out_with_its_reason(tmp_path: Path) -> None:
    names = ("good_video1", "noise_video", "emptyvideo1")
    lines = "".join(f'{name}, 0.000, 4.000, "/m/a"\n' for name in names)
    again = 'other_piece, 60.000, 64.000, "/m/a"\ngood_video1, 0.000, 4.000, "/m/a"\n'
    source = segments(tmp_path, lines + again)
    film(source / "good_video1.mp4", 4)
    (source / "noise_video.mp4").write_bytes(b"noise" * 1000)
    (source / "emptyvideo1.mp4").write_bytes(b"")
    film(source / "other_piece.mp4", 8)
    assert made("audioset", source) == ["eval: 1 of 5 (20.0%)"]
    reasons = (source / LEFT_OUT).read_text().splitlines()
    assert ["cannot be decoded" in reason for reason in reasons] == [True, True, False, False]
    assert "eval_segments.csv:5: other_piece_60000: " in reasons[2]
    assert "lasts 8" in reasons[2]
    assert "is listed at" in reasons[3]
    assert [example.id for example in read_dataset(source).examples] == ["good_video1_0"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('zero_length, 4.000, 4.000, "/m/a"', r"csv:2: .*lasts no time, from 4 s to 4 s"),
        ('strangelabl, 0.000, 4.000, "/m/zz"', r"csv:2: .*'/m/zz'"),
        ("half a line", r"csv:2: .*write ID, START, END"),
    ],
)
def test_a_bad_line_of_a_list_is_named(tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(BadDataError, match=reason):
        made("audioset", segments(tmp_path, line + "\n"))


def test_what_is_no_such_dataset_is_refused(tmp_path: Path) -> None:
    for dataset in ("audioset", "kinetics", "imagenet-captions"):
        with pytest.raises(BadDataError, match=f"holds none of the lists of {dataset}"):
            made(dataset, tmp_path)
    segments(tmp_path, 'gone_gone_1, 0.000, 4.000, "/m/a"\n')
    with pytest.raises(BadDataError, match=r"no media of the 1 clips; .*gone_gone_1"):
        made("audioset", tmp_path)
    assert not (tmp_path / "index.jsonl").exists()
