"""Metrics of a session at VictoriaMetrics: Debian builds its Prometheus without OpenTelemetry's protocol."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from sensemble_apps.errors import InputError
from sensemble_apps.integrations import otlp
from sensemble_apps.integrations.otlp import Metrics
from sensemble_apps.running.outputs import open_output
from sensemble_apps.running.view_events import Opened
from sensemble_runtime.engine.view import View
from sensemble_sensors.supervision.events import Event

from tests.apps.browser.hosting import Quiet, hosted
from tests.apps.integrations.test_heartbeats import live, prediction
from tests.sensors.reading import free_port
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.real

BUNDLE: Any = SimpleNamespace(fingerprint="b" * 64)
EVERY = ("audio", "video")


class Refusing(Quiet):
    asked = 0

    def do_POST(self) -> None:  # noqa: N802 - as in its base
        Refusing.asked += 1
        self.send_error(404)


@contextmanager
def receiver(folder: Path, port: int) -> Iterator[Callable[[str], dict[str, float]]]:
    """Run VictoriaMetrics, and yield what asks for a metric's counts above 0 by live set and fault."""
    options = [f"-storageDataPath={folder}", f"-httpListenAddr=127.0.0.1:{port}", "-loggerLevel=ERROR"]
    options += ["-search.latencyOffset=0s", "-search.disableCache", "-opentelemetry.usePrometheusNaming"]

    def counts(metric: str) -> dict[str, float]:
        query = urlencode({"query": metric})
        try:
            with urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}") as answer:
                found = json.load(answer)["data"]["result"]
        except OSError:  # it starts
            return {}
        values = {
            (one["metric"].get("live", ""), one["metric"].get("fault", "")): one["value"][1] for one in found
        }
        return {" ".join(filter(None, key)): float(count) for key, count in values.items() if float(count)}

    process = subprocess.Popen(["victoria-metrics", *options])
    try:
        yield counts
    finally:
        process.terminate()
        process.wait()


@pytest.mark.needs("victoria-metrics")
def test_a_receiver_that_comes_late_gets_every_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
    monkeypatch.setattr(otlp, "_PATIENCE", PATIENCE)  # the receiver may stand still
    port, errors = free_port(), list[str]()
    lost = Event(0.0, "lost", "video", "camera 0", "no picture came")
    unsure = replace(prediction(("audio",), 0.55), doubt="several")

    def is_reported() -> bool:
        errors.extend(capsys.readouterr().err.splitlines())
        return bool(errors)

    with ExitStack() as until_asked:
        with Metrics(f"http://127.0.0.1:{port}/opentelemetry/v1/metrics", BUNDLE) as metrics:
            view = View(0.0, (), (), None, (lost,), {}, BUNDLE)
            metrics.show(Opened(0.0, lambda: view))
            for item in (live(*EVERY), prediction(EVERY), lost, live("audio"), unsure, unsure):
                metrics.add(item)
            wait_until(is_reported)
            counts = until_asked.enter_context(receiver(tmp_path, port))
            wait_until(lambda: counts("sensemble_answers_total") == {"audio": 2, "audio+video": 1})
            metrics.add(prediction(EVERY))  # is sent at the end
        expected = {
            "sensemble_answers_total": {"audio": 2, "audio+video": 2},
            "sensemble_unsure_total": {"audio": 2},
            "sensemble_faults_total": {"audio+video video lost": 1},
            "sensemble_without_total": {"audio video lost": 2},
            "sensemble_confidence_bucket{le='0.6'}": {"audio": 2},
            "sensemble_latency_milliseconds_bucket{le='4'}": {"audio": 2, "audio+video": 2},
        }
        wait_until(lambda: {name: counts(name) for name in expected} == expected)
        assert counts("sensemble_live_seconds_total").keys() >= {"audio", "audio+video"}
    is_reported()
    assert len(errors) == 1


def test_a_receiver_that_refuses_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "10")
    with hosted(tmp_path, Refusing) as server:
        url = f"http://127.0.0.1:{server.server_port}/none"
        with Metrics(url, BUNDLE) as metrics:
            metrics.add(prediction(EVERY))
            wait_until(lambda: Refusing.asked > 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert url in line
    assert "404" in line


@pytest.mark.parametrize("url", ["", "collector:4317", "http://", "http://[", "http://x:0/", "grpc://x:4317"])
def test_a_bad_url_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="give otlp=http://HOST"):
        open_output(f"otlp={url}", BUNDLE)
