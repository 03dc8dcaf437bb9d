"""The errors of training."""

from sensemble_sensors.errors import SensembleError


class TrainError(SensembleError):
    """Base of all errors of this distribution; the text is one line that names the remedy."""


class ConfigurationError(TrainError):
    """A configuration cannot be run: for example, the dataset lacks a modality that it names."""


class DivergedError(TrainError):
    """The loss or the gradient is not finite."""


class CheckpointError(TrainError):
    """A saved model is missing, damaged or of another shape."""
