"""What can go wrong between a trained model and its bundle."""

from sensemble_sensors.errors import SensembleError


class ExportError(SensembleError):
    """Base of every error that this distribution raises; its text is one line with the remedy."""


class CalibrationMissingError(ExportError):
    """A modality has no calibration or held-out windows, or they are not what its encoder takes."""


class NotLowerableError(ExportError):
    """An encoder cannot be exported, quantized or lowered; names the step and the library's own reason."""

    own = True


class ParityFailedError(ExportError):
    """An artifact's embeddings are too far from the float encoder's; nothing was written."""

    own = True


class MeasurementError(ExportError):
    """An artifact could not be run in the measuring process; names its own error."""

    own = True


class SchemeError(ExportError):
    """A target, modality or scheme that was asked for is not there."""


class BudgetError(ExportError):
    """No bundle is within the budget, or the budget cannot be read; says by how much, and what would do."""
