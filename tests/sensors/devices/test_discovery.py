"""Tests of a machine without some device or library, and of the modules that a small process loads."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from sensemble_sensors import Camera, Iio, LineSeries, PushSeries
from sensemble_sensors.devices import discovery, pulse
from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.microphone import Microphone, choose
from sensemble_sensors.devices.pulse import Source
from sensemble_sensors.devices.registry import device_of, finders, returning
from sensemble_sensors.errors import SensorUnavailableError, SpecError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.spec import Channel, InputSpec

from tests.sensors.reading import install
from tests.sensors.studio import Specs


def run(script: str) -> str:
    """Run a script in a fresh process and return what it prints, on both streams."""
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout + process.stderr


def test_importing_the_package_loads_no_torch_and_no_device_library() -> None:
    devices = [
        f"devices.{name}" for name in ("camera", "captions", "discovery", "microphone", "source_clock")
    ]
    media = ["media.dataset", "media.decoding", "recording.replay", "recording.writer"]
    watched = "('av', 'torch', 'cv2', 'sounddevice')"
    names = [*devices, *media, "isolation.worker", "kinds.registry", "sensor", "spec"]
    modules = ", ".join(f"sensemble_sensors.{name}" for name in names)
    look = "sensemble_sensors.devices.discovery.cameras()" if sys.platform == "linux" else ""
    loaded = f"print([name for name in {watched} if name in sys.modules])"
    assert run(f"import sys, {modules}\n{look}\n{loaded}") == "[]\n"


HIDDEN = """
import ctypes.util, sys
ctypes.util.find_library = lambda name: None  # PortAudio's library
sys.modules["cv2"] = None
from sensemble_sensors import errors, libraries
from sensemble_sensors.devices import discovery
try: {call}
except errors.SensorUnavailableError as error: print(error)
"""


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("libraries.opencv()", ["pip install 'sensemble-sensors[camera]'"]),
        ("discovery.microphones()", ["library not found", "apt-get install libportaudio2", "brew install"]),
    ],
)
def test_a_missing_library_is_reported_with_its_remedy(call: str, words: Sequence[str]) -> None:
    reported = run(HIDDEN.format(call=call))
    assert all(word in reported for word in words)
    assert reported.count("\n") == 1


CARDS = ["HDA Intel PCH: ALC257 Analog (plughw:0,0)", "HDA Intel PCH: ALC257 Alt (hw:0,2)"]
ALIASES = ["sysdefault", "pulse", "default", "dmix", "samplerate_best", "surround21"]


def lists(names: Sequence[str]) -> Any:  # noqa: ANN401
    """A stand-in for the library that lists devices, on a machine with sound cards, which no test has."""
    found = [{"index": i, "name": name, "max_input_channels": 2} for i, name in enumerate(names)]
    return SimpleNamespace(query_devices=lambda: found)


def test_a_microphone_s_key_does_not_change_with_its_card_s_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_id, by_path = tmp_path / "by-id", tmp_path / "by-path"
    for folder in (by_id, by_path):
        folder.mkdir()
    monkeypatch.setattr(discovery, "_SOUND_CARDS", (by_id, by_path))

    def keys(*names: str) -> list[str]:
        return [device.key for device in discovery.portaudio_inputs(lists(names))]

    assert keys("Mic: USB Audio (hw:1,0)", "desk") == ["Mic: USB Audio", "desk"]
    assert keys("Mic: USB Audio (hw:2,0)") == ["Mic: USB Audio"]
    twins = ("Mic: USB Audio (hw:1,0)", "Mic: USB Audio (hw:2,0)")
    assert keys(*twins) == list(twins), "nothing tells them apart"
    (by_path / "pci-usb-1").symlink_to("/dev/snd/controlC1")
    (by_path / "pci-usb-2").symlink_to("/dev/snd/controlC2")
    assert keys(*twins) == [str(by_path / "pci-usb-1"), str(by_path / "pci-usb-2")]
    (by_id / "usb-Mic-7").symlink_to("/dev/snd/controlC2")
    assert keys(*twins) == [str(by_path / "pci-usb-1"), str(by_id / "usb-Mic-7")]
    assert keys("Mic: USB Audio (hw:2,1)") == [f"{by_id / 'usb-Mic-7'},1"]
    found = discovery.portaudio_inputs(lists(["Mic: USB Audio (hw:2,1)"]))
    assert choose(found[0].key, "", None, lambda: found) == 0


def test_a_watch_attaches_each_microphone_once() -> None:
    def chosen(*names: str) -> list[str]:
        inputs = discovery.portaudio_inputs(lists(names))
        return [device.name for device in discovery.distinct_inputs(inputs)]

    assert chosen(*CARDS, *ALIASES) == CARDS
    assert chosen(*ALIASES) == ["default"]
    assert chosen(*ALIASES, "desk") == ["desk"]
    assert chosen() == []


def test_a_source_comes_before_what_portaudio_calls_the_same() -> None:
    found = [Device("audio", str(i), *2 * (name,)) for i, name in enumerate(["pulse", "desk", "USB"])]
    desk, twin, usb = (Source(name, f"The {name}", microphone=True) for name in ("desk", "Desk", "USB.mono"))
    served, asked = [desk, twin, usb], list[bool]()

    def inputs() -> list[Device]:
        asked.append(True)
        return found

    chosen: dict[str, str | int] = {
        "desk": "desk",
        "Desk": "Desk",
        "the usb.mono": "USB.mono",
        "default": pulse.DEFAULT,
    }
    assert {name: choose(name, "", served, inputs) for name in chosen} == chosen
    assert not asked, "PortAudio takes 20 MB"
    chosen = {"the usb": "USB.mono", "usb": 2, "1": 1, "puls": 0}
    assert {name: choose(name, "", served, inputs) for name in chosen} == chosen
    assert choose("default", "", None, inputs) is None
    with pytest.raises(SensorUnavailableError, match=r"several .* desk \(The desk\), Desk"):
        choose("the desk", "", [desk, twin], inputs)


@pytest.mark.needs("portaudio")
def test_a_microphone_that_is_not_there_is_reported(specs: Specs) -> None:
    with pytest.raises(SensorUnavailableError, match="no such thing: is not there"):
        Microphone("no such thing").open(specs["audio"])
    with pytest.raises(SensorUnavailableError, match="gives audio, not text"):
        Microphone().open(specs["text"])


IMU = InputSpec("imu", "float32", (1, 10, 1), 10, 1.0, 1.0, 2.0, "series", (Channel("ax"),))
KNOCKS = """
from time import monotonic
import numpy as np
from sensemble_sensors import Sample
from sensemble_sensors.devices.discovery import Device

class Knock:
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
def knocking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """A function that installs a package with a device and a module."""

    def put(entry: str, module: str) -> None:
        install(tmp_path, "knocks", f"[sensemble.devices]\n{entry}\n", module)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "knocks", raising=False)

    return put


def test_a_package_outside_adds_a_device(knocking: Callable[[str, str], None]) -> None:
    knocking("series.knock = knocks:Knock", KNOCKS)
    device, source = device_of(IMU, "knock:3")
    assert source == "3"
    sensor = device(source, None, IMU.modality)
    sensor.open(IMU)
    assert sensor.read(0).data == 3
    (find,) = returning([(IMU, "knock:3")])
    assert [one.key for one in find(Event())] == ["3"]


def test_a_device_that_cannot_be_loaded_says_so(knocking: Callable[[str, str], None]) -> None:
    knocking("series.knock = knocks:Knock", "raise OSError('no wood')")
    with pytest.raises(SensorUnavailableError, match=r"series\.knock: knocks:Knock .*OSError"):
        device_of(IMU, "knock:3")


def test_a_device_that_is_no_class_says_so(knocking: Callable[[str, str], None]) -> None:
    knocking("series.knock = knocks:Knock", "Knock = 4")
    with pytest.raises(SensorUnavailableError, match=r"series\.knock: knocks:Knock .*install its package"):
        device_of(IMU, "knock:3")


def test_a_kind_that_cannot_be_made_says_so(knocking: Callable[[str, str], None]) -> None:
    knocking("x = knocks\n[sensemble.kinds]\nknock = knocks", "def sensors(): raise OSError('no wood')")
    with pytest.raises(SpecError, match=r"knock: knocks .*OSError"):
        kind_of("knock")


def test_the_scheme_of_a_source_chooses_the_device(specs: Mapping[str, InputSpec]) -> None:
    assert device_of(IMU, "iio:0") == (Iio, "0")
    assert device_of(IMU, "http://:8100") == (PushSeries, "http://:8100")
    assert device_of(IMU, "tcp://wrist:7") == (LineSeries, "tcp://wrist:7")
    assert device_of(IMU, "serial:/dev/ttyUSB0") == (LineSeries, "serial:/dev/ttyUSB0")
    assert device_of(specs["video"], "http://porch/") == (Camera, "http://porch/")


def test_a_kind_without_a_device_says_what_to_install_and_is_not_watched(
    knocking: Callable[[str, str], None],
) -> None:
    smell = InputSpec("smell", "float32", (1, 10, 1), 10, 1.0, 1.0, 2.0, "smell", (Channel("musk"),))
    with pytest.raises(SensorUnavailableError, match="of the kind smell"):
        device_of(smell, "0")
    assert finders([smell]) == []
    knocking("smell = knocks:Knock", KNOCKS)
    assert device_of(smell, "0")[1] == "0"
