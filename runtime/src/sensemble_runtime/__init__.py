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
        SuspectEvent,
        UnfamiliarEvent,
    )
    from sensemble_runtime.prediction import Opinion, Prediction
    from sensemble_runtime.record.reader import read_answers, read_events, read_predictions, read_runs
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
    "SuspectEvent",
    "UnfamiliarEvent",
    "audit",
    "read_answers",
    "read_events",
    "read_predictions",
    "read_runs",
    "summary",
]

__getattr__, __dir__ = attach(__name__, __file__)
