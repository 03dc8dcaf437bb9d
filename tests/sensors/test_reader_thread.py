"""The reader thread of a sensor, its pace and its log."""

import logging
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from time import monotonic

import pytest
from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.supervision.reader_thread import BURST, ReaderThread
from sensemble_sensors.supervision.suite import Suite

from tests.sensors.made_up import MadeUp
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.real


def test_a_device_that_is_not_there_is_logged_once(
    specs: Mapping[str, InputSpec], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "sensemble_sensors.supervision")
    camera, closed, suite = Camera(str(tmp_path / "none.avi")), Event(), Suite(specs)

    def tell(happened: object, *_: object) -> None:
        if happened == suite.closed:
            closed.set()

    reader = ReaderThread(0, camera, specs["video"], suite, tell)
    reader.thread.start()
    for _ in range(2):
        reader.obey("open")
        assert closed.wait(PATIENCE)
        closed.clear()
    reader.obey("end")
    reader.thread.join()
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    assert camera.name in caplog.messages[0]


def test_one_that_floods_is_not_read_all_the_time(specs: Mapping[str, InputSpec]) -> None:
    flood, began = MadeUp("text", lambda now, _: Sample("text", "one", now)), monotonic()
    reader = ReaderThread(0, flood, specs["text"], Suite(specs), lambda *_: None)
    reader.thread.start()
    reader.obey("open")
    wait_until(lambda: flood.reads > 100)
    reader.obey("end")
    reader.thread.join()
    assert flood.reads <= kind_of("text").flood * (monotonic() - began + BURST) + 2
