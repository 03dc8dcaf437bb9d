"""What can go wrong between a device or a media file and the samples it should give."""


class SensembleError(Exception):
    """Base of the bases of every distribution, this one being below them all; its text is one line.

    Attributes:
        own: whether it is a failure of Sensemble's own, and not of what the user gave.
    """

    own = False


class SensorsError(SensembleError):
    """Base of every error that this distribution raises; its text is one line with the remedy."""


class SensorUnavailableError(SensorsError):
    """A sensor cannot be opened: no such device, no permission, a library missing."""


class SensorLostError(SensorsError):
    """A sensor that was open stopped giving samples; it may come back."""


class SensorEndedError(SensorsError):
    """A finite source (a file, a pipe) reached its end; it will not come back."""


class SampleError(SensorsError):
    """A sensor gave a sample that the modality's encoder cannot take."""


class BadDataError(SensorsError):
    """A dataset line or a media file is not what the data format says; names file, line and reason."""


class RecordingError(SensorsError):
    """A recording cannot be written, or is none; names the folder and the remedy."""
