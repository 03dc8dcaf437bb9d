"""Run a bundle on whichever sensors are live: sessions, audits and their records."""

from typing import TYPE_CHECKING

from sensemble_sensors.lazy import attach

if TYPE_CHECKING:
    from sensemble_runtime.adapting.adapter import Adapter
    from sensemble_runtime.auditing.audit import AuditResult, audit
    from sensemble_runtime.auditing.robustness import summary
    from sensemble_runtime.auditing.scores import ScoreError
    from sensemble_runtime.bundle.bundle import Bundle
    from sensemble_runtime.errors import (
        AdaptError,
        BundleChangedError,
        BundleCorruptError,
        BundleError,
        BundleIncompatibleError,
        BundlePathError,
        BundleUntrustedError,
        EncoderError,
        KeyFileError,
        MatrixError,
        RecordError,
        SensembleRuntimeError,
        SessionError,
        SubsetError,
    )
    from sensemble_runtime.events import (
        ActiveSensorEvent,
        AdaptEvent,
        EncoderEvent,
        Event,
        HopEvent,
        LiveSetEvent,
        RecordEvent,
        SensorEvent,
        UnfamiliarEvent,
    )
    from sensemble_runtime.prediction import Opinion, Prediction
    from sensemble_runtime.record.reader import read_answers, read_events, read_predictions, read_runs
    from sensemble_runtime.session.change_gate import Duty
    from sensemble_runtime.session.hotplug import Hotplug
    from sensemble_runtime.session.scheduler import Policy, PolicyError
    from sensemble_runtime.session.session import Session

__all__ = [
    "ActiveSensorEvent",
    "AdaptError",
    "AdaptEvent",
    "Adapter",
    "AuditResult",
    "Bundle",
    "BundleChangedError",
    "BundleCorruptError",
    "BundleError",
    "BundleIncompatibleError",
    "BundlePathError",
    "BundleUntrustedError",
    "Duty",
    "EncoderError",
    "EncoderEvent",
    "Event",
    "HopEvent",
    "Hotplug",
    "KeyFileError",
    "LiveSetEvent",
    "MatrixError",
    "Opinion",
    "Policy",
    "PolicyError",
    "Prediction",
    "RecordError",
    "RecordEvent",
    "ScoreError",
    "SensembleRuntimeError",
    "SensorEvent",
    "Session",
    "SessionError",
    "SubsetError",
    "UnfamiliarEvent",
    "audit",
    "read_answers",
    "read_events",
    "read_predictions",
    "read_runs",
    "summary",
]

_MODULES = {
    "ActiveSensorEvent": "events",
    "AdaptError": "errors",
    "AdaptEvent": "events",
    "Adapter": "adapting.adapter",
    "AuditResult": "auditing.audit",
    "Bundle": "bundle.bundle",
    "BundleChangedError": "errors",
    "BundleCorruptError": "errors",
    "BundleError": "errors",
    "BundleIncompatibleError": "errors",
    "BundlePathError": "errors",
    "BundleUntrustedError": "errors",
    "Duty": "session.change_gate",
    "EncoderError": "errors",
    "EncoderEvent": "events",
    "Event": "events",
    "HopEvent": "events",
    "Hotplug": "session.hotplug",
    "KeyFileError": "errors",
    "LiveSetEvent": "events",
    "MatrixError": "errors",
    "Opinion": "prediction",
    "Policy": "session.scheduler",
    "PolicyError": "session.scheduler",
    "Prediction": "prediction",
    "RecordError": "errors",
    "RecordEvent": "events",
    "ScoreError": "auditing.scores",
    "SensembleRuntimeError": "errors",
    "SensorEvent": "events",
    "Session": "session.session",
    "SessionError": "errors",
    "SubsetError": "errors",
    "UnfamiliarEvent": "events",
    "audit": "auditing.audit",
    "read_answers": "record.reader",
    "read_events": "record.reader",
    "read_predictions": "record.reader",
    "read_runs": "record.reader",
    "summary": "auditing.robustness",
}
"""The module of each public name."""

__getattr__, __dir__ = attach(__name__, _MODULES)
