"""Send the counts of heartbeats to a receiver of OpenTelemetry, while a session runs.

It needs the extra `otlp`. The SDK's own variables hold: `OTEL_METRIC_EXPORT_INTERVAL` (60,000 ms),
`OTEL_EXPORTER_OTLP_HEADERS` for a password.
"""

import logging
import threading
from typing import Any, Self
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http import metric_exporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.supervision.events import Event

from sensemble_apps.console.output import remark
from sensemble_apps.errors import InputError
from sensemble_apps.integrations.heartbeats import Counting, device, model
from sensemble_apps.tables.heartbeats import CONFIDENCES, LATENCIES

_LOG = logging.getLogger(metric_exporter.__name__)
_PATIENCE = 5.0  # seconds for one export with its retries; the end of a session waits no longer


class Metrics(Counting):
    """Sends the counts of heartbeats by live set to `http://HOST:PORT/PATH` while the block runs.

    Counts are of the whole session each time, so none is lost while the receiver is away. Raises InputError
    if the URL is none.
    """

    def __init__(self, url: str, bundle: Bundle) -> None:
        if not _is_url(url):
            raise InputError("--output otlp: give otlp=http://HOST:PORT/PATH, such as :4318/v1/metrics")
        super().__init__(bundle)
        names = device(), model(), bundle.fingerprint
        keys = "service.instance.id", "device.model.name", "sensemble.bundle"
        resource = Resource.create({"service.name": "sensemble", **dict(zip(keys, names, strict=True))})
        reader = PeriodicExportingMetricReader(_Exporter(url))
        self._provider = MeterProvider([reader], resource, shutdown_on_exit=False)
        meter = self._provider.get_meter("sensemble")
        self._counters = {
            "seconds": meter.create_counter("sensemble.live", "s", "how long each set was live"),
            "answers": meter.create_counter("sensemble.answers", "", "answers"),
            "moments": meter.create_counter("sensemble.moments", "", "how many classes began"),
            "unsure": meter.create_counter("sensemble.unsure", "", "answers without a label"),
            "asleep": meter.create_counter("sensemble.asleep", "s", "how long each sensor slept"),
            "faults": meter.create_counter("sensemble.faults", "", "how often each fault began"),
            "without": meter.create_counter("sensemble.without", "", "answers that lacked a sensor after it"),
        }
        tenths = [place / CONFIDENCES for place in range(1, CONFIDENCES)]
        self._latency, self._confidence = (
            meter.create_histogram(f"sensemble.{name}", unit, explicit_bucket_boundaries_advisory=bounds)
            for name, unit, bounds in (("latency", "ms", LATENCIES), ("confidence", "", tenths))
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._count()
        self._provider.shutdown()

    def add(self, item: Prediction | Event) -> None:
        """Count a prediction or an event of a session."""
        super().add(item)
        self._count()
        if isinstance(item, Prediction):
            live = {"live": subsets.name(item.live)}
            self._latency.record(1e3 * sum(item.latencies.values()), live)
            self._confidence.record(item.confidence, live)

    def _count(self) -> None:
        for row in self.taken():
            live = {"live": row.live}
            for name in ("seconds", "answers", "unsure", "moments"):
                self._counters[name].add(getattr(row, name), live)
            for name in ("faults", "without"):
                for fault, count in getattr(row, name).items():
                    self._counters[name].add(count, live | {"fault": fault})
            for modality, seconds in row.asleep.items():
                self._counters["asleep"].add(seconds, live | {"modality": modality})


class _Exporter(OTLPMetricExporter):
    """Says once that a receiver takes nothing, instead of logging each try."""

    def __init__(self, url: str) -> None:
        super().__init__(endpoint=url, timeout=_PATIENCE)
        self._url = url
        self._away = False
        self._thread = 0  # that exports, for another exporter logs there too
        _LOG.addFilter(self._log)

    def export(
        self,
        metrics_data: MetricsData,
        timeout_millis: float | None = None,
        **kwargs: Any,  # noqa: ANN401 - as in its base
    ) -> MetricExportResult:
        """Send all counts."""
        self._thread = threading.get_ident()
        result = super().export(metrics_data, timeout_millis, **kwargs)
        self._away = self._away and result is not MetricExportResult.SUCCESS
        return result

    def shutdown(self, timeout_millis: float = 1e3 * _PATIENCE, **kwargs: Any) -> None:  # noqa: ANN401 - as above
        """Close the connection."""
        super().shutdown(timeout_millis, **kwargs)
        _LOG.removeFilter(self._log)

    def _log(self, record: logging.LogRecord) -> bool:
        if record.thread != self._thread:
            return True
        if not self._away:
            self._away = True
            remark(f"sensemble: {self._url} takes no metrics, and is tried again: {record.getMessage()}")
        return False


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
