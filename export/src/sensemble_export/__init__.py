"""Export a trained model: one quantized encoder per modality, checked against its float original."""

from typing import TYPE_CHECKING

import sensemble_train  # noqa: F401 - before torch, for the waiting of its threads
from sensemble_sensors.public_names import attach

if TYPE_CHECKING:
    from sensemble_export.bundle.verification import verify as verify
    from sensemble_export.bundle.write import Origin as Origin
    from sensemble_export.bundle.write import export_bundle as export_bundle
    from sensemble_export.errors import CalibrationMissingError as CalibrationMissingError
    from sensemble_export.errors import ExportError as ExportError
    from sensemble_export.errors import MeasurementError as MeasurementError
    from sensemble_export.errors import NotLowerableError as NotLowerableError
    from sensemble_export.errors import ParityFailedError as ParityFailedError
    from sensemble_export.errors import RunFolderError as RunFolderError
    from sensemble_export.errors import SchemeError as SchemeError
    from sensemble_export.instant import export_encoders as export_encoders
    from sensemble_export.instant import export_instant as export_instant
    from sensemble_export.lowering.targets import Job as Job
    from sensemble_export.lowering.targets import Lowered as Lowered
    from sensemble_export.lowering.targets import Target as Target
    from sensemble_export.lowering.targets import plan as plan
    from sensemble_export.run import RunExport as RunExport
    from sensemble_export.run import export_model as export_model
    from sensemble_export.run import export_run as export_run
    from sensemble_export.search import BudgetError as BudgetError
else:
    __getattr__, __dir__, __all__ = attach(__name__, __file__)
