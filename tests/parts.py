"""The real parts of the tests with devices: a sound server, and a network camera that can misbehave."""

import os
import subprocess
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import sleep
from unittest.mock import patch

import cv2
import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.devices import pulse
from sensemble_train.digits.speech import RATE, Utterance, speak

from tests.waiting import PATIENCE, wait_until

_ALSA = "pcm.!default { type pulse }\nctl.!default { type pulse }\n"


@dataclass(frozen=True)
class SoundServer:
    """A sound server of the test's own, whose sources hear what is played on its sinks.

    At first there is one of each, `speaker` and `speaker.monitor`, the default. ALSA's names lead to it.
    """

    process: subprocess.Popen[bytes]

    def play(self, path: Path, sink: str = "speaker") -> subprocess.Popen[bytes]:
        """Start to play a file; wait for the process, or end it."""
        return subprocess.Popen(["paplay", f"--device={sink}", str(path)])

    def plug(self, name: str, description: str = "") -> str:
        """Plug in the microphone `{name}.monitor`, which hears what is played on the sink `name`.

        Once it is unplugged, the server gives its listeners the default instead, if there is one.

        Returns:
            Its module.
        """
        words = (description or name).replace(" ", r"\ ")
        properties = f'sink_properties=device.description="{words}"'
        module = ["module-null-sink", f'sink_name="{name}"', "rate=16000", "channels=1", properties]
        command = ["pactl", "load-module", *module]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def unplug(self, module: str) -> None:
        """Take a module, and the microphone in it, out."""
        subprocess.run(["pactl", "unload-module", module], check=True)

    def unplug_speaker(self) -> None:
        """Take the first microphone and loudspeaker out."""
        self.unplug("module-null-sink")

    def stop(self) -> None:
        """End the server, as when the sound card is unplugged."""
        self.process.terminate()
        self.process.wait(PATIENCE)


def tone(path: Path, hertz: float, seconds: float = 0.5) -> Path:
    """Write a tone, 16 kHz mono, into a WAV file."""
    return write_wav(path, 0.2 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * 16000)) / 16000))


def speech(path: Path, seconds: int) -> Path:
    """Write digits that are spoken again and again into a WAV file."""
    (spoken,) = speak([Utterance("one, two, three, four, five, six, seven, eight, nine", "en", 50, 160)])
    return write_wav(path, np.resize(spoken, seconds * RATE), RATE)


def write_wav(path: Path, sound: NDArray[np.floating | np.int16], rate: int = 16000) -> Path:
    """Write a wave of 16 bits, or of numbers from -1 to 1."""
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes((sound if sound.dtype == np.int16 else sound * 32767).astype(np.int16).tobytes())
    return path


_NO_DEVICES = (  # of this machine, for what runs here is not to be disturbed
    "wireplumber.profiles = { main = { monitor.alsa = disabled, monitor.alsa-midi = disabled, "
    "monitor.bluez = disabled, monitor.v4l2 = disabled, monitor.libcamera = disabled } }\n"
)


@contextmanager
def running_sound_server(folder: Path, kind: str = "pulseaudio") -> Iterator[SoundServer]:
    """Run PulseAudio or PipeWire with a null sink, and let ALSA, and so PortAudio, find it and nothing else.

    Its home is in `folder`, so that it neither finds nor disturbs a server that runs here.

    Args:
        folder: for its home and its log.
        kind: "pulseaudio" or "pipewire".
    """
    names = ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME")
    homes = {name: folder / name.lower() for name in names}
    for home in homes.values():
        home.mkdir(mode=0o700)
    (homes["HOME"] / ".asoundrc").write_text(_ALSA)
    (homes["XDG_CONFIG_HOME"] / "pulse").mkdir()
    (homes["XDG_CONFIG_HOME"] / "pulse" / "client.conf").write_text("autospawn = no\n")
    rules = homes["XDG_CONFIG_HOME"] / "wireplumber" / "wireplumber.conf.d"
    rules.mkdir(parents=True)
    (rules / "no-devices.conf").write_text(_NO_DEVICES)
    options = ["-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--disable-shm"]
    programs = {
        "pulseaudio": [["pulseaudio", *options, "-L", "module-native-protocol-unix"]],
        "pipewire": [["pipewire"], ["wireplumber"], ["pipewire-pulse"]],
    }[kind]
    with patch.dict(os.environ, {name: str(home) for name, home in homes.items()}), ExitStack() as stack:
        stack.enter_context(patch.object(pulse, "_PATIENCE", PATIENCE))  # the server may stand still
        for name in ("PULSE_SERVER", "PULSE_SOURCE", "DBUS_SESSION_BUS_ADDRESS"):
            os.environ.pop(name, None)
        log = stack.enter_context((folder / "server.log").open("wb"))
        for program in programs:
            process = subprocess.Popen(program, stdout=log, stderr=log)
            stack.callback(process.wait, PATIENCE)
            stack.callback(process.terminate)
            if kind == "pipewire":  # its parts do not wait for each other
                wait_until((homes["XDG_RUNTIME_DIR"] / "pipewire-0").exists)
        while subprocess.run(["pactl", "info"], capture_output=True, check=False).returncode:
            assert process.poll() is None, (folder / "server.log").read_text()
        server = SoundServer(process)
        server.plug("speaker")
        yield server


class NetworkCamera:
    """An MJPEG camera on the loopback that gives 20 noisy pictures a second, until it is asked to misbehave.

    Attributes:
        act: "well", "stall" (in the middle of a picture), "freeze" or "resize".
        shown: the JPEG file that it shows instead of noise, if any.
        address: what `Camera` takes; the same when it is switched off and on again.
        viewers: "came" or "went", in order, of all that watched it.
    """

    def __init__(self) -> None:
        self.act = "well"
        self.shown = b""
        self.viewers: list[str] = []
        self._port = 0
        self._on = False
        self._server: ThreadingHTTPServer | None = None
        self.switch_on()
        self.address = f"http://127.0.0.1:{self._port}/stream.mjpg"

    def switch_on(self) -> None:
        """Listen, and serve each client."""
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                camera.viewers.append("came")
                try:
                    for part in camera.parts():
                        self.wfile.write(part)
                except OSError:
                    camera.viewers.append("went")

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self._on = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def switch_off(self) -> None:
        """Drop every connection, and take no new one."""
        self._on = False
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._server = None

    def parts(self) -> Iterator[bytes]:
        rng = np.random.default_rng(0)
        jpeg = b""
        while self._on:
            if self.act != "freeze" or not jpeg:
                size = (90, 160, 3) if self.act == "resize" else (48, 64, 3)
                picture = rng.integers(60, 200, size).astype(np.uint8)
                picture[..., 0] //= 2  # of blue, as OpenCV orders the channels
                jpeg = self.shown or cv2.imencode(".jpg", picture)[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
            part = head + jpeg + b"\r\n"
            if self.act == "stall":
                yield part[: len(part) // 2]
                part = part[len(part) // 2 :]
                while self.act == "stall" and self._on:
                    sleep(0.01)
            yield part  # all at once, as cameras do: each piece wakes the reader
            sleep(0.05)
