"""What a machine without some device or library says, and what a small process loads."""

import subprocess
import sys
from collections.abc import Mapping

import pytest
from sensemble_sensors.devices import cameras
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.microphone import Microphone
from sensemble_sensors.spec import InputSpec

Specs = Mapping[str, InputSpec]


def run(script: str) -> str:
    """Run a script in a fresh process and return what it prints, on both streams."""
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout + process.stderr


def test_importing_the_package_loads_no_torch_and_no_device_library() -> None:
    small = ["camera", "captions", "dataset", "devices", "microphone", "sensor", "spec"]
    media = [*small, "media", "replay"]
    watched = "('av', 'torch', 'cv2', 'sounddevice')"
    for names, loaded in ((small, []), (media, ["av"])):
        modules = ", ".join(f"sensemble_sensors.{name}" for name in names)
        script = f"import sys, {modules}\nprint([name for name in {watched} if name in sys.modules])"
        assert run(script) == f"{loaded}\n"


def test_a_missing_portaudio_is_told_with_its_remedy() -> None:
    # The real library, in a process where nothing finds PortAudio.
    script = (
        "import ctypes.util\nctypes.util.find_library = lambda name: None\n"
        "from sensemble_sensors import devices, errors\n"
        "try: devices.microphones()\nexcept errors.SensorUnavailableError as error: print(error)"
    )
    told = run(script)
    assert "PortAudio library not found" in told
    assert "`apt-get install libportaudio2`" in told
    assert "`brew install portaudio`" in told
    assert told.count("\n") == 1


def test_a_missing_opencv_is_told_with_its_remedy() -> None:
    script = (
        "import sys\nsys.modules['cv2'] = None\nfrom sensemble_sensors import devices, errors\n"
        "try: devices.cameras()\nexcept errors.SensorUnavailableError as error: print(error)"
    )
    told = run(script)
    assert "`apt-get install libgl1 libglib2.0-0`" in told
    assert told.count("\n") == 1


def test_cameras_have_numbers_and_names() -> None:
    assert all(device.id.isdecimal() and device.name for device in cameras())


@pytest.mark.devices
def test_a_microphone_that_is_not_there_is_told(specs: Specs) -> None:
    with pytest.raises(
        SensorUnavailableError, match=r"no such thing: is not there; `sensemble doctor` shows"
    ):
        Microphone("no such thing").open(specs["audio"])
    with pytest.raises(SensorUnavailableError, match="gives audio, not text"):
        Microphone().open(specs["text"])
