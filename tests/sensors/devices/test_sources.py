"""Sources name the devices of installed packages, ours and those of others alike."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event

import pytest
from sensemble_sensors import Camera, Iio, LineSeries, PushSeries
from sensemble_sensors.devices.sources import device_of, finders, returning
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.spec import Channel, InputSpec

IMU = InputSpec("imu", "float32", (1, 10, 1), 10, 1.0, 1.0, 2.0, "series", (Channel("ax"),))
KNOCKS = """
from time import monotonic
import numpy as np
from sensemble_sensors import Sample
from sensemble_sensors.devices.discovery import Device

class Knock:
    live = True

    def __init__(self, source, name=None, modality="series"):
        self.name, self.modality, self.source = name or f"knock {source}", modality, source

    @staticmethod
    def watch(source, modality):
        return lambda stop: [Device(modality, source, source, source)]

    def open(self, spec):
        pass

    def read(self, timeout):
        return Sample(self.modality, np.full((1, 1), float(self.source), np.float32), monotonic())

    def close(self):
        pass
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """A function that installs a package with a device and a module, as pip would."""

    def install(entry: str, module: str) -> None:
        info = tmp_path / "knocks-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: knocks\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[sensemble.devices]\n{entry}\n")
        (tmp_path / "knocks.py").write_text(module)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "knocks", raising=False)

    return install


def test_a_package_outside_adds_a_device(install: Callable[[str, str], None]) -> None:
    install("series.knock = knocks:Knock", KNOCKS)
    device, source = device_of(IMU, "knock:3")
    assert source == "3"
    sensor = device(source, None, IMU.modality)
    sensor.open(IMU)
    assert sensor.read(0).data == 3
    (find,) = returning([(IMU, "knock:3")])
    assert [one.key for one in find(Event())] == ["3"]


def test_a_device_that_cannot_be_loaded_says_so(install: Callable[[str, str], None]) -> None:
    install("series.knock = knocks:Knock", "raise OSError('no wood')")
    with pytest.raises(
        SensorUnavailableError, match=r"series\.knock: knocks:Knock cannot be loaded \(OSError"
    ):
        device_of(IMU, "knock:3")


def test_the_scheme_of_a_source_chooses_the_device(specs: Mapping[str, InputSpec]) -> None:
    assert device_of(IMU, "iio:0") == (Iio, "0")
    assert device_of(IMU, "http://:8100") == (PushSeries, "http://:8100")
    assert device_of(IMU, "tcp://wrist:7") == (LineSeries, "tcp://wrist:7")
    assert device_of(IMU, "serial:/dev/ttyUSB0") == (LineSeries, "serial:/dev/ttyUSB0")
    assert device_of(specs["video"], "http://porch/") == (Camera, "http://porch/")


def test_a_kind_without_a_device_says_what_to_install_and_is_not_watched(
    install: Callable[[str, str], None],
) -> None:
    smell = InputSpec("smell", "float32", (1, 10, 1), 10, 1.0, 1.0, 2.0, "smell", (Channel("musk"),))
    with pytest.raises(SensorUnavailableError, match="no device of the kind smell is installed"):
        device_of(smell, "0")
    assert finders([smell]) == []
    install("smell = knocks:Knock", KNOCKS)
    assert device_of(smell, "0")[1] == "0"
