"""Published datasets become datasets that decode to the right seconds, and that others can read."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import webdataset
from numpy.typing import NDArray
from sensemble_sensors.dataset import Example, read_dataset
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media import decode_audio, decode_video
from sensemble_train.prepare import audioset, imagenet_captions, kinetics
from sensemble_train.prepare.cut import cut
from sensemble_train.prepare.survey import Survey, files
from sensemble_train.prepare.write import Report, write

from . import published
from .published import film

Wave = NDArray[np.float32]
Looks = Callable[[Path, Path], Survey]


def prepare(survey: Survey, out: Path, *, shards: int | None = None, skip_bad: bool = False) -> Report:
    return write(survey, out, shards=shards, skip_bad=skip_bad, jobs=1, progress=lambda *_: None)


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
    assert {name: (e.split, e.labels, e.text, e.start, e.end) for name, e in got.items()} == {
        "unbalanced1_1000": ("pretrain", ("Domestic animals, pets",), "Klakson, który zwala z nóg", 0, 4),
        "two_files_1_0": ("pretrain", ("Domestic animals, pets",), None, 0, 3),
        "--4gqARaEJE_3000": ("train", ("Domestic animals, pets", "Dog"), "My dog & I", 0, 4),
        "-_wholefilm_4000": ("train", ("Speech",), "A whole film", 4, 8),
        "soundalone1_2000": ("eval", ("Speech",), None, 0, 4),
        "YfilmWithY1_0": ("eval", ("Dog",), None, 0, 4),
    }
    assert got["soundalone1_2000"].modalities == ("audio",)
    two = got["two_files_1_0"]
    assert (two.video and two.video.suffix, two.audio and two.audio.suffix) == (".mp4", ".m4a")
    linked = got["-_wholefilm_4000"].video
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
    assert len(times(tmp_path / ".parts")) == 4
    assert read_dataset(tmp_path).examples[0].video == tmp_path / "unbalanced" / "unbalanced1_1000_5000.mkv"


def test_shards_hold_the_same_seconds_and_are_what_webdataset_reads(source: Path, tmp_path: Path) -> None:
    plain, sharded = tmp_path / "plain", tmp_path / "sharded"
    survey = audioset.survey(source, tmp_path)
    prepare(survey, plain)
    assert prepare(survey, sharded, shards=1).written == {"pretrain": 2, "train": 2, "eval": 2}
    ours = read_dataset(sharded).examples
    for one, other in zip(read_dataset(plain).examples, ours, strict=True):
        assert (one.id, one.split, one.labels, one.text) == (other.id, other.split, other.labels, other.text)
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
        assert (fields["id"], fields["labels"], fields.get("text")) == (
            example.id,
            list(example.labels),
            example.text,
        )
        for kind in ("video", "audio"):
            path = getattr(example, kind)
            assert (kind in fields) == (path is not None)
            if path is not None:
                shard, _, place = str(path).partition("#")
                offset, size = map(int, place.split("+"))
                assert sample[fields[kind]] == Path(shard).read_bytes()[offset : offset + size]


def sound(example: Example) -> Wave:
    assert example.audio is not None
    assert example.start is not None
    assert example.end is not None
    return decode_audio(example.audio, 8000, example.start, example.end - example.start - 0.1)


def pictures(example: Example) -> Wave:
    if example.video is None:
        return np.zeros(0, np.float32)
    frames = decode_video(example.video, 5, 20, (8, 8), example.start or 0.0, end=example.end)
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
    assert (first.modalities, first.text, first.labels) == (
        ("text", "video"),
        "title 0",
        ("tench, Tinca tinca",),
    )
    caption = {e.id: e.text for e in dataset.examples}["n02134084_1005"]
    assert caption == "title 5 fish lake caught last week"
    for example in dataset.examples:
        assert example.image is not None
        grey = decode_video(example.image, 1, 1, (32, 32)).mean()
        assert grey == pytest.approx(8 * (int(example.id[-4:]) - 1000), abs=2)


def bad_segments(folder: Path) -> Path:
    """AudioSet with one of each kind of bad example."""
    (folder / "class_labels_indices.csv").write_text('index,mid,display_name\n0,/m/a,"A"\n')
    lines = {
        "good_video1": "0.000, 4.000",
        "noise_video": "0.000, 4.000",
        "silentvideo": "0.000, 4.000",
        "emptyvideo1": "0.000, 4.000",
        "other_piece": "60.000, 64.000",
        "zero_length": "4.000, 4.000",
        "strangelabl": "0.000, 4.000",
    }
    text = "# YTID, start_seconds, end_seconds, positive_labels\n"
    for name, span in lines.items():
        text += f'{name}, {span}, "{"/m/zz" if name == "strangelabl" else "/m/a"}"\n'
    (folder / "eval_segments.csv").write_text(text + "half a line\n")
    film(folder / "good_video1.mp4", 4)
    (folder / "noise_video.mp4").write_bytes(b"noise" * 1000)
    film(folder / "silentvideo.mp4", 4, sound=False)
    (folder / "emptyvideo1.mp4").write_bytes(b"")
    film(folder / "other_piece.mp4", 8)
    return folder


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


def test_a_file_that_was_mended_is_looked_at_again(tmp_path: Path) -> None:
    source, out = bad_segments(tmp_path), tmp_path / "out"
    with pytest.raises(BadDataError, match=r"^7 bad examples"):
        prepare(audioset.survey(source, out), out)
    film(source / "noise_video.mp4", 4)
    with pytest.raises(BadDataError, match=r"^6 bad examples"):
        prepare(audioset.survey(source, out), out)
    report = prepare(audioset.survey(source, out), out, skip_bad=True)
    assert report.written == {"eval": 2}


def times(folder: Path) -> dict[str, int]:
    """When each file of a folder was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.parametrize("shards", [None, 1])
def test_media_that_comes_or_goes_or_is_mended_changes_its_own_part_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: int | None
) -> None:
    monkeypatch.setattr("sensemble_train.prepare.write.PART", 1)
    source, out = bad_segments(tmp_path), tmp_path / "out"
    # What was listed wrong is of no interest here.
    lists = source / "eval_segments.csv"
    lists.write_text("".join(lists.read_text().splitlines(keepends=True)[:6]))
    film(source / "noise_video.mp4", 4)

    def again(number: int) -> set[str]:
        """Prepare it, with so many examples in the end; give the parts that were done."""
        before = times(out / ".parts") if out.exists() else {}
        report = prepare(audioset.survey(source, out), out, shards=shards, skip_bad=True)
        assert report.written == {"eval": number}
        assert len(read_dataset(out).examples) == number
        assert len(list(out.glob("*.tar"))) == (number if shards else 0)
        return {name for name, time in times(out / ".parts").items() if before.get(name) != time}

    assert len(again(2)) == 6
    (source / "silentvideo.mp4").unlink()  # as bad.txt asks for
    assert again(2) == set()
    assert not (out / ".parts" / "eval-000002.json").exists()
    film(source / "emptyvideo1.mp4", 4)  # downloaded once more
    assert again(3) == {"eval-000003.json"}
    film(source / "silentvideo.mp4", 4)
    assert again(4) == {"eval-000002.json"}
    (source / "good_video1.mp4").write_bytes(b"")
    assert again(3) == {"eval-000000.json"}
    with pytest.raises(BadDataError, match=r"^2 bad examples"):
        prepare(audioset.survey(source, out), out, shards=shards)
    assert not (out / "index.jsonl").exists()
    assert again(3) == set()


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
    for survey, told in surveys:
        with pytest.raises(BadDataError, match=told):
            survey(tmp_path, tmp_path / "out")
    (tmp_path / "eval_segments.csv").write_text("")
    with pytest.raises(BadDataError, match="neither class_labels_indices"):
        audioset.survey(tmp_path, tmp_path / "out")


def test_a_killed_run_goes_on_where_it_stopped_and_gives_the_same_dataset(
    source: Path, tmp_path: Path
) -> None:
    survey = audioset.survey(source, tmp_path)
    once, killed = tmp_path / "once", tmp_path / "killed"
    prepare(survey, once, shards=1)
    program = (
        "import sys, time; from pathlib import Path\n"
        "from sensemble_train.prepare import audioset, write\n"
        "if __name__ == '__main__':\n"
        "    source, out = map(Path, sys.argv[1:])\n"
        "    write.write(audioset.survey(source, out.parent), out, shards=1, skip_bad=False, jobs=2,\n"
        "        progress=lambda done, total: (print(done, flush=True), done and time.sleep(60)))\n"
    )
    script = tmp_path / "run.py"
    script.write_text(program)
    process = subprocess.Popen(
        [sys.executable, str(script), str(source), str(killed)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    assert process.stdout.readline() == "1\n"
    os.killpg(process.pid, signal.SIGKILL)  # its workers too, which else would still write for a moment
    process.wait()
    parts = sorted((killed / ".parts").glob("*-*.json"))
    assert parts
    before = {part.name: part.stat().st_mtime_ns for part in parts}
    seen: list[int] = []
    shard = killed / f"{parts[0].stem}.tar"
    written = shard.stat().st_mtime_ns
    write(survey, killed, shards=1, skip_bad=False, jobs=1, progress=lambda done, _: seen.append(done))
    assert seen[0] >= len(before)
    assert shard.stat().st_mtime_ns == written
    for path in (path for path in once.rglob("*") if path.is_file()):
        assert (killed / path.relative_to(once)).read_bytes() == path.read_bytes()
    assert {path.name for path in killed.rglob("*")} == {path.name for path in once.rglob("*")}


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """Otherwise a killed run would leave a process for each core, waiting for ever."""
    script = tmp_path / "pool.py"
    script.write_text(
        "import multiprocessing, os, time\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from sensemble_train.prepare.write import _end_with_parent\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('spawn')\n"
        "    pool = ProcessPoolExecutor(1, mp_context=context, initializer=_end_with_parent)\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    process.kill()
    process.wait()
    for _ in range(200):
        if not alive(worker):
            break
        time.sleep(0.05)
    assert not alive(worker)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_another_dataset_in_the_folder_is_refused(source: Path, tmp_path: Path) -> None:
    survey = audioset.survey(source, tmp_path)
    out = tmp_path / "out"
    first = prepare(survey, out)
    index, parts = (out / "index.jsonl").read_bytes(), times(out / ".parts")
    assert prepare(survey, out) == first
    assert (out / "index.jsonl").read_bytes() == index
    assert times(out / ".parts") == parts  # there was nothing to do
    with pytest.raises(BadDataError, match="was prepared with other shards; choose another folder"):
        prepare(survey, out, shards=2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.jsonl").write_text("{}")
    with pytest.raises(BadDataError, match=r"holds another dataset's index\.jsonl"):
        prepare(survey, tmp_path / "mine")


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
