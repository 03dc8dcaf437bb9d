"""What can go wrong between a device or a media file and the samples it should give."""


class SensorsError(Exception):
    """Base of every error that this distribution raises; its text is one line with the remedy."""


class SensorUnavailableError(SensorsError):
    """A sensor cannot be opened: no such device, no permission, a library missing."""


class SensorLostError(SensorsError):
    """A sensor that was open stopped giving samples; it may come back."""


class SensorEndedError(SensorsError):
    """A finite source (a file, a pipe) reached its end; it will not come back."""


class BadDataError(SensorsError):
    """A dataset line or a media file is not what the data format says; names file, line and reason."""
