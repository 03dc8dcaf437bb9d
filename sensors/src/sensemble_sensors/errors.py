"""Errors of sensors, datasets and recordings, and the form of their text."""

import re


class SensembleError(Exception):
    """Base of all errors of Sensemble; its text is one printable line.

    `own` is true where Sensemble itself failed, false where the user's input is at fault.
    """

    own = False

    def __str__(self) -> str:
        # The reason of a library may have several lines, and a file name may not be UTF-8.
        return printable(" ".join(super().__str__().splitlines()))


class SensorsError(SensembleError):
    """Base of the errors of this distribution; the line says what to do."""


class SensorUnavailableError(SensorsError):
    """A sensor cannot be opened: no such device, no permission, a library missing."""


class SensorLostError(SensorsError):
    """An open sensor stopped giving samples; it may come back."""


class SensorCodeError(SensorLostError):
    """The code of a sensor in its own process raised an error; a note has its traceback."""


class SensorEndedError(SensorsError):
    """A finite source (a file, a pipe) ended; it does not come back."""


class SpecError(SensorsError, ValueError):
    """A modality's name, kind or channels cannot be, or its kind is not installed."""


class SampleError(SensorsError):
    """A sample has not the form that the modality's encoder takes."""


class BadDataError(SensorsError):
    """A line of a dataset or a media file breaks the data format; names file, line and reason."""


class RecordingError(SensorsError):
    """A recording cannot be written, or the folder holds none; names the folder."""


# Control characters, marks of writing direction, and the surrogates of a file name that is not UTF-8.
_CONTROLS = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """Escape control characters and lone surrogates: safe for terminals and UTF-8."""
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def counted(count: int, noun: str) -> str:
    """Write a number of things: `1 group`, `2 groups`."""
    return f"{count} {noun}{'s' * (count != 1)}"


def text_of(error: BaseException) -> str:
    """Return an exception's text as one printable line, even where its `__str__` raises."""
    try:
        return printable(" ".join(str(error).split()))
    except BaseException:  # noqa: BLE001 - or the error would end the thread that reports it
        return "it has no text"
