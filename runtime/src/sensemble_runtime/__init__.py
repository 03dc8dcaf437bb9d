"""Run a bundle on whichever sensors are live: sessions, audits and their records."""

from typing import TYPE_CHECKING

from sensemble_sensors.public_names import attach

if TYPE_CHECKING:
    from sensemble_sensors.supervision.events import Event as Event

    from sensemble_runtime.adapting.adapter import Adapter as Adapter
    from sensemble_runtime.auditing.audit import AuditResult as AuditResult
    from sensemble_runtime.auditing.audit import audit as audit
    from sensemble_runtime.auditing.comparison import Comparison as Comparison
    from sensemble_runtime.auditing.comparison import compare as compare
    from sensemble_runtime.auditing.metrics import ScoreError as ScoreError
    from sensemble_runtime.auditing.robustness import summary as summary
    from sensemble_runtime.auditing.stream_audit import audit_streams as audit_streams
    from sensemble_runtime.bundle.bundle import Bundle as Bundle
    from sensemble_runtime.engine.scheduler import Policy as Policy
    from sensemble_runtime.engine.scheduler import PolicyError as PolicyError
    from sensemble_runtime.engine.view import View as View
    from sensemble_runtime.errors import AdaptError as AdaptError
    from sensemble_runtime.errors import BundleChangedError as BundleChangedError
    from sensemble_runtime.errors import BundleCorruptError as BundleCorruptError
    from sensemble_runtime.errors import BundleError as BundleError
    from sensemble_runtime.errors import BundleIncompatibleError as BundleIncompatibleError
    from sensemble_runtime.errors import BundlePathError as BundlePathError
    from sensemble_runtime.errors import BundleUntrustedError as BundleUntrustedError
    from sensemble_runtime.errors import ComparisonError as ComparisonError
    from sensemble_runtime.errors import EncoderError as EncoderError
    from sensemble_runtime.errors import KeyFileError as KeyFileError
    from sensemble_runtime.errors import MatrixError as MatrixError
    from sensemble_runtime.errors import RecordError as RecordError
    from sensemble_runtime.errors import SensembleRuntimeError as SensembleRuntimeError
    from sensemble_runtime.errors import SessionError as SessionError
    from sensemble_runtime.errors import SubsetError as SubsetError
    from sensemble_runtime.executors.executor import Executor as Executor
    from sensemble_runtime.prediction import Opinion as Opinion
    from sensemble_runtime.prediction import Prediction as Prediction
    from sensemble_runtime.record.reader import read_answers as read_answers
    from sensemble_runtime.record.reader import read_events as read_events
    from sensemble_runtime.record.reader import read_predictions as read_predictions
    from sensemble_runtime.record.reader import read_runs as read_runs
    from sensemble_runtime.session.hotplug import Hotplug as Hotplug
    from sensemble_runtime.session.session import Session as Session
else:
    __getattr__, __dir__, __all__ = attach(__name__, __file__)
