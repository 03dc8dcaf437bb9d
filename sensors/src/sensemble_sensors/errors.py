"""Errors of sensors, datasets and recordings."""


class SensembleError(Exception):
    """Base of all errors of Sensemble, in every distribution; its text is one line.

    Attributes:
        own: whether Sensemble itself failed; otherwise the user's input is at fault.
    """

    own = False


class SensorsError(SensembleError):
    """Base of the errors of this distribution; the text is one line that says what to do."""


class SensorUnavailableError(SensorsError):
    """A sensor cannot be opened: no such device, no permission, a library missing."""


class SensorLostError(SensorsError):
    """A sensor that was open stopped giving samples; it may come back."""


class SensorEndedError(SensorsError):
    """A finite source (a file, a pipe) reached its end; it will not come back."""


class SampleError(SensorsError):
    """A sensor gave a sample that the modality's encoder cannot take."""


class BadDataError(SensorsError):
    """A line of a dataset or a media file breaks the data format; names file, line and reason."""


class RecordingError(SensorsError):
    """A recording cannot be written, or the folder holds none; names the folder and says what to do."""


def text_of(error: BaseException) -> str:
    """Return an exception's text as one line; its `__str__` may raise, and whatever it likes."""
    try:
        return " ".join(str(error).split())
    except BaseException:  # noqa: BLE001 - or the error would end the thread that reports it
        return "it has no text"
