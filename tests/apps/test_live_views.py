"""What a viewer sees when sensors die: in a terminal, in lines and in JSON."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Timer

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


def _read(screen: int, until: Callable[[str], bool]) -> str:
    """Read a pseudo-terminal until what came is enough, or nothing more will."""
    text = b""
    while not until(text.decode(errors="replace")):
        try:
            text += os.read(screen, 1 << 16)
        except OSError:  # whoever wrote has closed it
            break
    return text.decode(errors="replace")
