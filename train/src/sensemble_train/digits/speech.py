"""Speech by eSpeak NG and by SVOX Pico, in its own process.

eSpeak keeps its state in globals and can corrupt memory in its retrieval mode: it runs in the other one.
"""

import ctypes
import os
import pickle
import subprocess
import sys
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from functools import cache
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING

from sensemble_train.errors import TrainError

if TYPE_CHECKING:  # the process that speaks starts often, and does without
    import numpy as np
    from numpy.typing import NDArray

RATE = 22050
PICO = "pico-"  # the beginning of the name of a voice of SVOX Pico, before its language
_PICO_PACE = 165  # words a minute, roughly, at its usual pace of 100
_PACKAGES = "the packages espeakng-loader and ttspico"
_SYNCHRONOUS, _UTF8, _PACE, _PITCH, _RANGE = 2, 1, 1, 3, 4


@dataclass(frozen=True, slots=True)
class Utterance:
    """A text and how it is spoken."""

    text: str  # in the spelling of the voice's language
    voice: str  # eSpeak NG's `language+variant` (`en` is British), or `PICO` and a language, as `pico-en-GB`
    pitch: int  # 0 to 100
    pace: int  # words a minute
    melody: int = 50  # how far the pitch moves, 0 to 100; Pico has none to choose


def speak(utterances: Iterable[Utterance]) -> "Generator[NDArray[np.int16], None, None]":
    """Yield each utterance's sound, int16 [n] at 22,050 Hz; raises TrainError for silence.

    A new process says them in order, as eSpeak depends a little on what it said before. It ends when its
    input closes, so with this process, and a Ctrl-C does not reach it.
    """
    import numpy as np

    command, pipe = [sys.executable, "-P", "-m", __name__], subprocess.PIPE
    try:
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True) as process:
            assert process.stdin is not None  # noqa: S101 - they are pipes
            assert process.stdout is not None  # noqa: S101
            for utterance in utterances:
                pickle.dump(utterance, process.stdin)
                process.stdin.flush()
                said = pickle.load(process.stdout)  # noqa: S301 - our own
                if isinstance(said, Exception):
                    raise said
                wave = np.frombuffer(said, np.int16)
                if not wave.any():
                    raise TrainError(
                        f"there is no such voice, or it gave silence for {utterance}; reinstall {_PACKAGES}"
                    )
                if utterance.voice.startswith(PICO):  # 16 kHz
                    wave = resampled(wave.astype(float), 441, 320).clip(-32768, 32767).astype(np.int16)
                yield wave
    except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:  # also where its input is closed
        raise TrainError(f"the synthesizer stopped at {utterance}; reinstall {_PACKAGES}") from error


def main() -> None:
    """Say the pickled utterances at standard input, each by `_say`, until it closes."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print to standard output
    while True:
        try:
            pickle.dump(_say(pickle.load(sys.stdin.buffer)), answers)  # noqa: S301 - of our own parent
            answers.flush()
        except (EOFError, BrokenPipeError):
            os._exit(0)  # else Python would try to write the rest, and complain


def _say(utterance: Utterance) -> bytes | Exception:
    """Return eSpeak's sound at 22,050 Hz or Pico's at 16 kHz; nothing for an unknown voice, or the error."""
    try:
        return (_pico() if utterance.voice.startswith(PICO) else _espeak()).speak(utterance)
    except Exception as error:  # noqa: BLE001 - the parent raises it
        return error


def resampled(wave: "NDArray[np.float64]", up: int, down: int) -> "NDArray[np.float64]":
    """Return a wave [n] at `up / down` times its rate."""
    from scipy.signal import resample_poly

    found: NDArray[np.float64] = resample_poly(  # type: ignore[call-overload]  # its stubs know no taps
        wave, up, down, window=_filter(up, down)
    )
    return found


@cache
def _filter(up: int, down: int) -> "NDArray[np.float64]":
    """Return the filter that `resample_poly` would design each time, which takes longer than to apply it."""
    from scipy.signal import firwin

    most = max(up, down) // gcd(up, down)
    taps: NDArray[np.float64] = firwin(20 * most + 1, 1 / most, window=("kaiser", 5.0))
    return taps


class _Espeak:
    """eSpeak NG; gives nothing for an unknown voice."""

    def __init__(self) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(espeakng_loader.get_data_path()).encode()
        if self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0) != RATE:
            raise TrainError("eSpeak NG did not start; reinstall the package espeakng-loader")
        self._chunks: list[bytes] = []
        # The library keeps only the address of the function, so the function itself is kept here.
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
        self._callback = kind(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, wave: int | None, count: int, _events: int | None) -> int:
        if wave and count > 0:
            self._chunks.append(ctypes.string_at(wave, 2 * count))
        return 0

    def speak(self, request: Utterance) -> bytes:
        library = self._library
        self._chunks.clear()
        if library.espeak_SetVoiceByName(request.voice.encode()) == 0:  # else it would keep the last voice
            library.espeak_SetParameter(_PITCH, request.pitch, 0)
            library.espeak_SetParameter(_PACE, request.pace, 0)
            library.espeak_SetParameter(_RANGE, request.melody, 0)
            text = request.text.encode() + b"\0"
            library.espeak_Synth(text, len(text), 0, 0, 0, _UTF8, None, None)
            library.espeak_Synchronize()
        return b"".join(self._chunks)


class _Pico:
    """SVOX Pico, with one voice for each language; gives nothing for an unknown language."""

    def __init__(self) -> None:
        from importlib.metadata import files

        from ttspico import TtsEngine

        # The default would prefer the system's voices, and look only in the interpreter's folder.
        voices = next(file for file in files("ttspico") or () if file.name.endswith("_ta.bin")).locate()
        folder = str(Path(str(voices)).resolve().parent)
        self._engine = cache(lambda language: TtsEngine(language, folder))  # starting one takes its time

    def speak(self, request: Utterance) -> bytes:
        try:
            engine = self._engine(request.voice.removeprefix(PICO))
        except RuntimeError:
            return b""
        engine.pitch = 50 + request.pitch  # per cent of the voice's pitch
        engine.rate = round(100 * request.pace / _PICO_PACE)
        return bytes(engine.speak(request.text))


_espeak, _pico = cache(_Espeak), cache(_Pico)

if __name__ == "__main__":
    main()
