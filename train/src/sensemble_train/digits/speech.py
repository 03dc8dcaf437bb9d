"""Speech by eSpeak NG, in a process of its own.

`python -m sensemble_train.digits.speech` reads one JSON request a line from standard input, the fields of an
`Utterance`, and answers each on standard output with a little-endian uint32, the number of samples, and that
many int16 samples at 22,050 Hz. The library keeps its state in globals and
can corrupt memory in its retrieval mode, so it runs in its synchronous mode, in a process of its own.
"""

import ctypes
import json
import struct
import subprocess
import sys
from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from sensemble_train.errors import TrainError

RATE = 22050
_SYNCHRONOUS, _UTF8, _PACE, _PITCH, _RANGE = 2, 1, 1, 3, 4


@dataclass(frozen=True, slots=True)
class Utterance:
    """A request.

    Attributes:
        text: in the spelling of the voice's language.
        voice: eSpeak NG voice name, `language+variant`; `en` is British English, `en-gb` takes no variant.
        pitch: 0 to 100.
        pace: words a minute.
        melody: how far the pitch moves, 0 to 100.
    """

    text: str
    voice: str
    pitch: int
    pace: int
    melody: int = 50


def speak(utterances: Iterable[Utterance]) -> Generator[NDArray[np.int16], None, None]:
    """Synthesize each utterance, in order; int16 [n] at 22,050 Hz.

    Raises:
        TrainError: the synthesizer ended early or gave silence.
    """
    command = [sys.executable, "-m", "sensemble_train.digits.speech"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None  # noqa: S101 - both are pipes, for the type checker
        assert process.stdout is not None  # noqa: S101
        for utterance in utterances:
            process.stdin.write(json.dumps(asdict(utterance)).encode() + b"\n")
            process.stdin.flush()
            header = process.stdout.read(4)
            if len(header) < 4:
                raise TrainError(f"eSpeak NG stopped at {utterance}; reinstall the package espeakng-loader")
            (count,) = struct.unpack("<I", header)
            wave = np.frombuffer(process.stdout.read(2 * count), dtype="<i2")
            if count == 0 or not wave.any():
                raise TrainError(
                    f"eSpeak NG has no such voice or gave silence for {utterance}; reinstall the package "
                    "espeakng-loader"
                )
            yield wave.astype(np.int16)
        process.stdin.close()


def _serve() -> None:
    """Answer requests until standard input closes."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = str(espeakng_loader.get_data_path()).encode()
    if library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0) != RATE:
        raise TrainError("eSpeak NG did not start; reinstall the package espeakng-loader")
    chunks: list[bytes] = []

    def collect(wave: int | None, count: int, _events: int | None) -> int:
        if wave and count > 0:
            chunks.append(ctypes.string_at(wave, 2 * count))
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(collect)
    library.espeak_SetSynthCallback(callback)
    for line in sys.stdin.buffer:
        request = Utterance(**json.loads(line))
        chunks.clear()
        if library.espeak_SetVoiceByName(request.voice.encode()) == 0:  # else it would keep the last voice
            library.espeak_SetParameter(_PITCH, request.pitch, 0)
            library.espeak_SetParameter(_PACE, request.pace, 0)
            library.espeak_SetParameter(_RANGE, request.melody, 0)
            text = request.text.encode() + b"\0"
            library.espeak_Synth(text, len(text), 0, 0, 0, _UTF8, None, None)
            library.espeak_Synchronize()
        wave = b"".join(chunks)
        sys.stdout.buffer.write(struct.pack("<I", len(wave) // 2) + wave)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _serve()
