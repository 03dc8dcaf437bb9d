"""What a viewer sees when sensors die: in a terminal, in lines and in JSON."""

import io
import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Timer

import rich
from sensemble_apps.news import Change, LiveSet, worded
from sensemble_apps.terminal import TerminalView
from sensemble_apps.views import change_line
from sensemble_runtime.bundle import Bundle

from .conftest import COMMAND


def test_when_nothing_is_live_any_more_a_script_is_told(bundle_folder: Path) -> None:
    with subprocess.Popen(
        [COMMAND, "run", bundle_folder, "--captions", "-", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        deadline = Timer(60, process.kill)
        deadline.start()
        process.stdin.write("one person\n")
        process.stdin.flush()
        said, gone = (json.loads(process.stdout.readline()) for _ in range(2))
        process.send_signal(signal.SIGINT)
        deadline.cancel()
    assert said["live"] == ["text"]
    assert gone == {"time": gone["time"], "live": []}
    assert gone["time"] > said["time"] + 1, "a caption holds for a while"


def test_a_terminal_shows_no_class_of_what_is_dead(bundle_folder: Path) -> None:
    screen, theirs = pty.openpty()
    with subprocess.Popen(
        [COMMAND, "run", bundle_folder, "--captions", "-"],
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "80", "LINES": "24", "TERM": "xterm"},
    ) as process:
        os.close(theirs)
        assert process.stdin is not None
        deadline = Timer(60, process.kill)
        deadline.start()
        process.stdin.write(b"one person\n")
        process.stdin.flush()
        shown = _read(screen, lambda text: "● captions" in text and "%" in text)
        assert "nothing is live" not in shown
        shown = _read(screen, lambda text: text.count("nothing is live") > 1)
        picture = shown.rpartition("encoded in")[2]
        process.send_signal(signal.SIGINT)
        _read(screen, lambda _: False)
        deadline.cancel()
    os.close(screen)
    assert "○ captions" in picture
    assert "●" not in picture
    assert "%" not in picture


def test_a_standby_that_dies_does_not_make_the_live_one_lost(bundle_folder: Path) -> None:
    out = io.StringIO()
    rich.reconfigure(file=out, force_terminal=True, width=80, color_system=None)
    with TerminalView(Bundle.open(bundle_folder)) as view:
        view.show(Change(1.0, "video", "plugged in", "camera 0"))
        view.show(LiveSet(2.0, ("video",)))
        view.show(Change(3.0, "video", "plugged in", "front door"))
        view.show(Change(4.0, "video", f"lost: {80 * 'x'}", "camera 0"))
    rich.reconfigure()
    picture = out.getvalue().rpartition("sensor")[2].splitlines()
    rows = [line.rstrip() for line in picture if line[:1] in ("○", "●", " ")]
    cameras = rows[rows.index("● camera") :]
    assert [row.split()[:3] for row in cameras[1:3]] == [
        ["camera", "0", "lost:"],
        ["front", "door", "plugged"],
    ]
    assert max(map(len, rows)) <= 80


def test_a_line_says_which_sensor_it_is_of() -> None:
    for name, expected in (
        ("camera 2", "camera 2 lost: gone"),
        ("front door", "camera front door lost: gone"),
        ("", "camera lost: gone"),
    ):
        line = change_line(worded(1.0, "video", name, "lost", f"{name}: gone" if name else "gone"))
        assert line == f"    1.00 s  ---- {expected}"


def _read(screen: int, until: Callable[[str], bool]) -> str:
    """Read a pseudo-terminal until what came is enough, or nothing more will."""
    text = b""
    while not until(text.decode(errors="replace")):
        try:
            text += os.read(screen, 1 << 16)
        except OSError:  # whoever wrote has closed it
            break
    return text.decode(errors="replace")
