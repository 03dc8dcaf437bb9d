"""What can go wrong between a dataset and a trained model."""

from sensemble_sensors.errors import SensembleError


class TrainError(SensembleError):
    """Base of every error that this distribution raises; its text is one line with the remedy."""


class ConfigurationError(TrainError):
    """A configuration asks for what cannot be: an unknown modality, a preset that does not fit the data."""


class DivergedError(TrainError):
    """Training came to numbers that are not finite."""


class CheckpointError(TrainError):
    """A saved model is missing, truncated or of another shape."""
