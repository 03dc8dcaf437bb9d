"""SubRip and WebVTT: what is written is read back, played in time, and a bad line is reported."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_sensors.devices.captions import Captions
from sensemble_sensors.devices.subtitles import Cue, read_subtitles
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec

Specs = Mapping[str, InputSpec]
ReadAll = Callable[[Sensor], list[Sample]]


def test_subtitles_play_at_their_times(read_all: ReadAll, tmp_path: Path, specs: Specs) -> None:
    path = tmp_path / "film.srt"
    path.write_text("1\n00:00:00,010 --> 00:00:00,100\na dog\n\n2\n00:00:00,150 --> 00:00:00,200\na cat\n")
    captions = Captions(path, name="film")
    captions.open(specs["text"])
    taken = read_all(captions)
    assert [sample.data for sample in taken] == ["a dog", "a cat"]
    assert taken[1].time - taken[0].time == pytest.approx(0.14)
    assert [sample.cut for sample in taken] == [True, False]
    captions.close()
    path.write_text("1\n01:00:00,000 --> 01:00:01,000\nin an hour\n")
    captions.open(specs["text"])
    assert captions.read(0) is None
    captions.close()


GOOD_VTT = """WEBVTT - a film

STYLE
::cue { color: red }

NOTE said twice

intro
00:01.000 --> 00:02.500 align:start
<v Anna>Hello <b>there</b></v>
Tom &amp; I

01:00:00.000 --> 01:00:01.000
<00:00.500>late
"""


def test_markup_names_notes_and_settings_are_left_out(tmp_path: Path) -> None:
    vtt = tmp_path / "a.vtt"
    vtt.write_text(GOOD_VTT, encoding="utf-8")
    assert read_subtitles(vtt) == [Cue(1, 2.5, "Hello there Tom & I"), Cue(3600, 3601, "late")]
    srt = tmp_path / "a.SRT"
    srt.write_bytes("\ufeff1\r\n00:00:01,000 --> 00:00:02,000\r\n{\\an8}<i>3 < 4</i>\r\n".encode())
    assert read_subtitles(srt) == [Cue(1, 2, "3 < 4")]


SRT = "1\n00:00:01,000 --> 00:00:02,000\na\n\n"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.srt", "", "a.srt: has no cue"),
        ("a.srt", SRT + "00:00:03,000 --> 00:00:04,000\nb", "a.srt:5: a cue begins with its number"),
        ("a.srt", SRT + "x\n00:00:03,000 --> 00:00:04,000\nb", "a.srt:5: a cue begins with its number"),
        (
            "a.srt",
            SRT + "2\n00:00:03.000 --> 00:00:04,000\nb",
            "a.srt:6: must be 'HH:MM:SS,mmm --> HH:MM:SS,mmm'",
        ),
        ("a.srt", SRT + "2\n00:61:03,000 --> 00:62:04,000\nb", "a.srt:6: must be"),
        ("a.srt", SRT + "2\n00:00:03,000 -> 00:00:04,000\nb", "a.srt:6: must be"),
        ("a.srt", SRT + "2\n00:00:03,000 -->\nb", "a.srt:6: must be"),
        ("a.srt", SRT + "2", "a.srt:6: must be"),
        ("a.srt", SRT + "2\n00:00:03,000 --> 00:00:03,000\nb", "a.srt:6: ends before it begins"),
        ("a.srt", SRT + "2\n00:00:00,000 --> 00:00:03,000\nb", "a.srt:5: a cue that begins before"),
        ("a.srt", SRT + "2\n00:00:03,000 --> 00:00:04,000\n<i></i>", "a.srt:6: a cue without text"),
        ("a.vtt", "00:01.000 --> 00:02.000\na", "a.vtt:1: a WebVTT file begins with WEBVTT"),
        (
            "a.vtt",
            "WEBVTT\n\n1:00:01.000 --> 1:00:02.000\na",
            "a.vtt:3: must be '[HH:]MM:SS.mmm --> [HH:]MM:SS.mmm'",
        ),
    ],
)
def test_a_bad_line_is_reported_with_file_line_and_reason(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadDataError, match=re.escape(reason)) as error:
        read_subtitles(tmp_path / name)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_text_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_bytes(b"1\n\xff")
    for name in ("a.srt", "gone.vtt"):
        with pytest.raises(BadDataError, match=rf"{name}: cannot be read as UTF-8 text"):
            read_subtitles(tmp_path / name)


def clock(milliseconds: int, comma: str) -> str:
    seconds, thousandths = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{comma}{thousandths:03}"


words = st.from_regex(r"[\w.,!? ']*\w", fullmatch=True)


@given(
    cues=st.lists(
        st.tuples(st.integers(0, 10**8), st.integers(1, 10**6), st.lists(words, min_size=1, max_size=3))
    ),
    kind=st.sampled_from([".srt", ".vtt"]),
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, cues: list[tuple[int, int, list[str]]], kind: str
) -> None:
    cues = sorted([*cues, (0, 1, ["first"])], key=lambda cue: cue[0])
    comma = "," if kind == ".srt" else "."
    blocks = [
        f"{i}\n{clock(start, comma)} --> {clock(start + length, comma)}\n" + "\n".join(lines)
        for i, (start, length, lines) in enumerate(cues, start=1)
    ]
    path = tmp_path_factory.mktemp("subtitles") / f"film{kind}"
    path.write_text("\n\n".join(["WEBVTT", *blocks] if kind == ".vtt" else blocks), encoding="utf-8")
    read = read_subtitles(path)
    assert [cue.text for cue in read] == [" ".join(line.strip() for line in lines) for _, _, lines in cues]
    assert [round(cue.start * 1000) for cue in read] == [start for start, _, _ in cues]
    assert [round(cue.end * 1000) for cue in read] == [start + length for start, length, _ in cues]


def test_a_cue_of_any_size_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.vtt"
    path.write_text("WEBVTT\n\n00:01.000 --> 00:02.000\n" + "&#1" * 4_000_000 + "\n")
    with pytest.raises(BadDataError, match="a cue longer than 65536 characters"):
        read_subtitles(path)
