"""Captions from real files, pipes and a real standard input, and subtitles that play in time."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread, active_count
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_sensors.clock import VirtualClock
from sensemble_sensors.codecs.subtitles import Cue, read_subtitles
from sensemble_sensors.devices import captions, polled
from sensemble_sensors.devices.captions import Captions
from sensemble_sensors.errors import (
    BadDataError,
    SensorEndedError,
    SensorLostError,
    SensorUnavailableError,
)
from sensemble_sensors.sensor import Sample

from tests.sensors.reading import read_all
from tests.sensors.studio import Specs

pytestmark = pytest.mark.real


def test_a_text_file_gives_all_its_lines_and_ends(tmp_path: Path, specs: Specs) -> None:
    path = tmp_path / "lines.txt"
    lines = ["a dog", "ein Hündchen", *(f"caption {i}" for i in range(5000)), "no end \ufffd"]
    path.write_bytes("\r\n\n  \n ".join(lines[:-1]).encode() + b" \nno end \xff")
    captions = Captions(path)
    for _ in range(2):  # a closed sensor may be opened again
        captions.open(specs["text"])
        taken = read_all(captions)
        assert [sample.data for sample in taken] == lines
        assert [sample.cut for sample in taken] == [True] + [False] * 5002
        assert not any(sample.lost for sample in taken)
        assert [sample.time for sample in taken] == sorted(sample.time for sample in taken)
        captions.close()
        captions.close()
    with pytest.raises(SensorLostError, match=r"lines\.txt: is closed"):
        captions.read(0)


@pytest.fixture
def standard_input() -> Iterator[int]:
    """The end to write to of a pipe that is the standard input."""
    before = os.dup(0)
    theirs, ours = os.pipe()
    os.dup2(theirs, 0)
    os.close(theirs)
    yield ours
    os.dup2(before, 0)
    os.close(before)
    os.close(ours)


def write_on(pipe: int, data: bytes) -> None:
    """Write the same again and again, until nobody reads any more."""
    with suppress(BrokenPipeError):
        while True:
            os.write(pipe, data)


def test_blank_lines_without_end_do_not_outlast_the_timeout(
    standard_input: int, specs: Specs, monkeypatch: pytest.MonkeyPatch
) -> None:
    polls, poll = list[float](), polled.Polled._poll
    monkeypatch.setattr(polled.Polled, "_poll", lambda reader: (polls.append(monotonic()), poll(reader)))
    writer = Thread(target=write_on, args=(standard_input, b"\n" * 4096), daemon=True)
    writer.start()
    sensor = Captions("-")
    sensor.open(specs["text"])
    for _ in range(10):
        assert sensor.read(0.1) is None
    assert len(polls) <= (polls[-1] - polls[0]) / polled._PAUSE + 2, "a flood leaves time for others"
    os.close(0)
    writer.join()


def test_of_a_flood_the_newest_are_given_with_their_time_and_the_others_counted(
    standard_input: int, specs: Specs
) -> None:
    sensor = Captions("-")
    sensor.open(specs["text"])
    os.write(standard_input, b"".join(b"%d\n" % number for number in range(100)))
    taken = [sample for _ in range(16) if (sample := sensor.read(30))]
    assert [sample.data for sample in taken] == [str(number) for number in range(84, 100)]
    assert [sample.lost for sample in taken] == [84] + [0] * 15
    assert len({sample.time for sample in taken}) == 1, "when they were read, however long they waited"
    assert sensor.read(0) is None


@pytest.mark.usefixtures("standard_input")
def test_a_file_is_played_and_what_somebody_writes_is_not(tmp_path: Path) -> None:
    (tmp_path / "said.txt").write_text("a dog\n")
    os.mkfifo(tmp_path / "pipe")
    assert Captions(tmp_path / "said.txt").played
    assert not Captions(tmp_path / "pipe").played
    assert not Captions("tcp://localhost:9").played
    assert not Captions("-").played
    with (tmp_path / "said.txt").open() as file:
        os.dup2(file.fileno(), captions._STDIN)
        assert Captions("-").played


@pytest.mark.parametrize("prefix", ["", "pipe:"])
def test_a_named_pipe_outlives_its_writers(prefix: str, tmp_path: Path, specs: Specs) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    before = active_count()
    captions = Captions(f"{prefix}{path}")
    captions.open(specs["text"])
    assert captions.read(0) is None
    for line in ("first", "second"):
        with path.open("w") as pipe:
            pipe.write(f"{line}\nhalf of ")
        sample = captions.read(30)
        assert sample is not None
        assert sample.data == (line if line == "first" else f"half of {line}")
        assert captions.read(0) is None
    assert active_count() == before
    captions.close()
    with pytest.raises(OSError, match="No such device or address"):  # nobody reads it any more
        os.open(path, os.O_WRONLY | os.O_NONBLOCK)


def test_a_pipe_that_is_removed_is_lost_and_its_successor_is_read(tmp_path: Path, specs: Specs) -> None:
    path = tmp_path / "pipe"
    captions = Captions(path)
    for line in ("first", "second"):
        os.mkfifo(path)
        captions.open(specs["text"])
        with path.open("w") as pipe:
            pipe.write(f"{line}\n")
        sample = captions.read(30)
        assert sample is not None
        assert sample.data == line
        path.unlink()
        if line == "second":
            os.mkfifo(path)  # another one
        with pytest.raises(SensorLostError, match="pipe: the pipe was removed"):
            captions.read(0.01)
        captions.close()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_a_socket_is_read_until_its_other_side_hangs_up(family: int, tmp_path: Path, specs: Specs) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(family) as server:
        server.bind(("127.0.0.1", 0) if family == socket.AF_INET else path)
        server.listen()
        source = f"tcp://127.0.0.1:{server.getsockname()[1]}" if family == socket.AF_INET else path
        captions = Captions(source)
        for _ in range(2):
            captions.open(specs["text"])
            other, _ = server.accept()
            other.sendall(b"a dog\na c")
            first = captions.read(30)
            assert captions.read(0) is None
            other.sendall(b"at\n")
            second = captions.read(30)
            assert first is not None
            assert second is not None
            assert (first.data, second.data) == ("a dog", "a cat")
            other.close()
            with pytest.raises(SensorLostError, match="the other side hung up"):
                captions.read(30)
            captions.close()
    with pytest.raises(SensorUnavailableError, match=r"cannot be opened \(Connection refused\)"):
        captions.open(specs["text"])
    with pytest.raises(SensorUnavailableError, match="tcp://HOST:PORT"):
        Captions("tcp://nowhere").open(specs["text"])


def test_a_server_that_takes_no_more_is_unavailable_and_blocks_nobody(tmp_path: Path, specs: Specs) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as waiting:
        server.bind(path)
        server.listen(0)
        waiting.connect(path)
        with pytest.raises(SensorUnavailableError, match="Resource temporarily unavail"):
            Captions(path).open(specs["text"])


def test_standard_input_is_read_as_it_comes(specs: Specs) -> None:
    script = (
        "from sensemble_sensors.devices.captions import Captions\n"
        "from sensemble_sensors.errors import SensorEndedError\n"
        f"from sensemble_sensors.spec import InputSpec\nc = Captions('-')\nc.open({specs['text']!r})\n"
        "print('none' if c.read(0) is None else 'some', flush=True)\n"
        "try:\n    while True: print(c.read(60).data, flush=True)\n"
        "except SensorEndedError as error: print(error)\nc.close()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "none\n"
        for line in ("a dog\n", "a cat\n"):
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline() == line
        process.stdin.close()
        assert process.stdout.read() == "captions -: has ended\n"
    assert process.returncode == 0


def test_what_cannot_be_read_is_reported(tmp_path: Path, specs: Specs) -> None:
    with pytest.raises(SensorUnavailableError, match=r"gone\.txt: .*No such file"):
        Captions(tmp_path / "gone.txt").open(specs["text"])
    with pytest.raises(SensorUnavailableError, match="gives text, not audio"):
        Captions("-").open(specs["audio"])
    (tmp_path / "bad.vtt").touch()
    with pytest.raises(SensorUnavailableError, match=r"bad\.vtt:1: .*WEBVTT"):
        Captions(tmp_path / "bad.vtt").open(specs["text"])
    with pytest.raises(SensorUnavailableError, match=r"\(a folder; "):
        Captions(tmp_path).open(specs["text"])
    (tmp_path / "speech.wav").write_bytes(b"RIFF\0\0\n")
    sound = Captions(tmp_path / "speech.wav")
    sound.open(specs["text"])
    with pytest.raises(SensorEndedError, match=r"speech\.wav: is not text in UTF-8"):
        sound.read(30)
    (tmp_path / "endless").write_bytes(b"x" * 200_000)
    endless = Captions(tmp_path / "endless")
    endless.open(specs["text"])
    with pytest.raises(SensorEndedError, match="a line is longer than 65536 bytes"):
        endless.read(30)
    sound.close()
    endless.close()


def test_subtitles_play_at_their_times(tmp_path: Path, specs: Specs) -> None:
    path = tmp_path / "film.srt"
    path.write_text("1\n00:00:00,010 --> 00:00:00,100\na dog\n\n2\n00:00:00,150 --> 00:00:00,200\na cat\n")
    clock, taken = VirtualClock(), list[Sample]()
    captions = Captions(path, name="film", clock=clock)
    captions.open(specs["text"])
    for seconds in (0.1, 0.08):
        assert captions.read(0) is None
        clock.advance(seconds)
        taken += [sample for _ in range(2) if (sample := captions.read(0))]
    assert [sample.data for sample in taken] == ["a dog", "a cat"]
    assert taken[1].time - taken[0].time == pytest.approx(0.14)
    assert [sample.cut for sample in taken] == [True, False]
    clock.advance(0.1)
    with pytest.raises(SensorEndedError, match="all is shown"):
        captions.read(0)
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


LONG = "WEBVTT\n\n00:01.000 --> 00:02.000\n" + "&#1" * 4_000_000  # which takes long to decode
SRT = "1\n00:00:01,000 --> 00:00:02,000\na\n\n"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.srt", "", "a.srt: has no cue"),
        ("a.srt", SRT + "00:00:03,000 --> 00:00:04,000\nb", "a.srt:5: a cue begins with its number"),
        ("a.srt", SRT + "x\n00:00:03,000 --> 00:00:04,000\nb", "a.srt:5: a cue begins with its number"),
        ("a.srt", SRT + "2\n00:00:03.000 --> 00:00:04,000\nb", "a.srt:6: must be 'HH:MM:SS,mmm --> HH:M"),
        ("a.srt", SRT + "2\n00:61:03,000 --> 00:62:04,000\nb", "a.srt:6: must be"),
        ("a.srt", SRT + "2\n00:00:03,000 -> 00:00:04,000\nb", "a.srt:6: must be"),
        ("a.srt", SRT + "2\n00:00:03,000 -->\nb", "a.srt:6: must be"),
        ("a.srt", SRT + "2", "a.srt:6: must be"),
        ("a.srt", SRT + "2\n00:00:03,000 --> 00:00:03,000\nb", "a.srt:6: ends before it begins"),
        ("a.srt", SRT + "2\n00:00:00,000 --> 00:00:03,000\nb", "a.srt:5: a cue that begins before"),
        ("a.srt", SRT + "2\n00:00:03,000 --> 00:00:04,000\n<i></i>", "a.srt:6: a cue without text"),
        ("a.srt", "1\n\udcff", "a.srt: cannot be read as UTF-8 text"),
        ("a.vtt", "00:01.000 --> 00:02.000\na", "a.vtt:1: a WebVTT file begins with WEBVTT"),
        ("a.vtt", "WEBVTT\n\n1:00:01.000 --> 1:00:02.000\na", "a.vtt:3: must be '[HH:]MM:SS.mmm --> [HH"),
        pytest.param("a.vtt", LONG, "a.vtt:3: a cue longer than 65536 characters", id="long"),
    ],
)
def test_a_bad_line_is_reported_with_file_line_and_reason(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(BadDataError, match=re.escape(reason)) as error:
        read_subtitles(tmp_path / name)
    assert "\n" not in str(error.value)


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
