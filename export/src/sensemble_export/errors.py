"""The errors of the export."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from sensemble_sensors.errors import SensembleError


class ExportError(SensembleError):
    """Base of every error that this distribution raises; its message is one line with the remedy."""


class CalibrationMissingError(ExportError):
    """A modality has no calibration or held-out windows, or they do not fit its encoder's input."""


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
    """A requested target, modality or scheme does not exist."""


class RunFolderError(ExportError):
    """A run folder does not have the requested model, or does not name its data."""


@contextmanager
def disk_errors(out: Path) -> Iterator[None]:
    """Turn errors of the file system in the block into an ExportError that names `out`."""
    try:
        yield
    except (OSError, SafetensorError) as error:  # a SafetensorError has no `strerror`
        reason = error.strerror if isinstance(error, OSError) else error
        raise ExportError(
            f"{out}: cannot be written ({reason}); make room there, or export where you may write"
        ) from error
