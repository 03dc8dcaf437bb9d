"""The reader thread of a sensor, and its log."""

import logging
from collections.abc import Mapping
from pathlib import Path
from threading import Event

import pytest
from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.supervision.reader import Reader
from sensemble_sensors.supervision.suite import Suite


def test_a_device_that_is_not_there_is_logged_once(
    specs: Mapping[str, InputSpec], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "sensemble_sensors.supervision")
    camera, closed, suite = Camera(str(tmp_path / "none.avi")), Event(), Suite(specs)

    def tell(happened: object, *_: object) -> None:
        if happened == suite.closed:
            closed.set()

    reader = Reader(0, camera, specs["video"], suite, tell)
    reader.thread.start()
    for _ in range(2):
        reader.obey("open")
        assert closed.wait(30)
        closed.clear()
    reader.obey("end")
    reader.thread.join()
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    assert camera.name in caplog.messages[0]
