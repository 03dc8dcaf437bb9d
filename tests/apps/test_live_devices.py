"""A run on sensors that were named: they come back at once, and it ends when the last of them has."""

import os
import threading
from functools import partial
from pathlib import Path

import pytest
from sensemble_apps import live
from sensemble_apps.arguments import Run
from sensemble_apps.plugs import returning
from sensemble_apps.stream import Change, Said
from sensemble_runtime import reading
from sensemble_runtime.bundle import Bundle
from sensemble_runtime.scheduler import Policy
from sensemble_sensors.captions import Captions
from sensemble_sensors.watcher import Watcher


def test_a_pipe_that_was_named_is_read_again_as_soon_as_it_is_back(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "RETRY", (1000.0, 1000.0))  # so that only the watcher brings it back
    monkeypatch.setattr(live, "Watcher", partial(Watcher, interval=0.05))
    pipe = tmp_path / "captions"
    os.mkfifo(pipe)

    def write() -> None:
        pipe.write_text("one person\n")  # opens when somebody reads

    bundle = Bundle.open(bundle_folder)
    finders = returning(Run(bundle=bundle_folder, captions=str(pipe)))
    news = live.devices(bundle, [Captions(pipe)], Policy(), None, finders=finders)
    for _ in range(2):
        writer = threading.Thread(target=write)
        writer.start()
        assert next(item for item in news if isinstance(item, Said)).prediction.live == ("text",)
        writer.join()
        pipe.unlink()
        lost = next(item for item in news if isinstance(item, Change) and "lost" in item.event)
        assert "the pipe was removed" in lost.event
        os.mkfifo(pipe)
    news.close()


def test_a_look_disturbs_nobody() -> None:
    given = Run(bundle=Path(), camera="0", captions="tcp://localhost:9")
    assert returning(given) == []
    assert returning(Run(bundle=Path(), captions="-")) == []
    assert len(returning(Run(bundle=Path(), camera="http://cam/", captions="said.txt"))) == 2
