"""Export a trained model: one quantized encoder per modality, checked against its float original."""

from typing import TYPE_CHECKING

from sensemble_sensors.lazy import attach

if TYPE_CHECKING:
    from sensemble_export.bundle import Origin, export_bundle
    from sensemble_export.errors import (
        CalibrationMissingError,
        ExportError,
        MeasurementError,
        NotLowerableError,
        ParityFailedError,
        RunFolderError,
        SchemeError,
    )
    from sensemble_export.instant import export_encoders, export_instant
    from sensemble_export.run import RunExport, export_model, export_run
    from sensemble_export.search import BudgetError
    from sensemble_export.targets import Job, plan
    from sensemble_export.verification import verify

__all__ = [
    "BudgetError",
    "CalibrationMissingError",
    "ExportError",
    "Job",
    "MeasurementError",
    "NotLowerableError",
    "Origin",
    "ParityFailedError",
    "RunExport",
    "RunFolderError",
    "SchemeError",
    "export_bundle",
    "export_encoders",
    "export_instant",
    "export_model",
    "export_run",
    "plan",
    "verify",
]

__getattr__, __dir__ = attach(__name__, __file__)
