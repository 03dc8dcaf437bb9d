"""A dataset that is prepared again: after a kill, a repair, or more downloads, only what changed is done."""

import subprocess
import sys
from pathlib import Path

import pytest
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.dataset import read_dataset
from sensemble_train.experiments.prepare import audioset
from sensemble_train.experiments.prepare.write import write

from tests.train import published
from tests.train.published import bad_segments, film, prepare


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published.audioset(tmp_path_factory.mktemp("audioset"))


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
    """Return when each file of a folder was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.parametrize("shards", [None, 1])
def test_media_that_comes_or_goes_or_is_mended_changes_its_own_part_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: int | None
) -> None:
    monkeypatch.setattr("sensemble_train.experiments.prepare.write.PART", 1)
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


def test_a_killed_run_goes_on_where_it_stopped_and_gives_the_same_dataset(
    source: Path, tmp_path: Path
) -> None:
    survey = audioset.survey(source, tmp_path)
    once, killed = tmp_path / "once", tmp_path / "killed"
    prepare(survey, once, shards=1)
    program = (
        "import sys, time; from pathlib import Path\n"
        "from sensemble_train.experiments.prepare import audioset, write\n"
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
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    assert process.stdout.readline() == "1\n"
    process.kill()
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
