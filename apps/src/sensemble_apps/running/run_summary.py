"""The summary of a run: ages, windows, right answers, memory and processor time."""

import os
from collections import Counter, defaultdict
from math import exp, log
from typing import Any

from sensemble_sensors.clock import Clock
from sensemble_sensors.process_memory import memory
from sensemble_sensors.supervision.events import Event

from sensemble_apps.console.wording import sensor_title
from sensemble_apps.running.view_events import Opened, Predicted, ViewEvent


class _Total:
    """Adds up counts by modality that restart at 0 whenever the modality comes back."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def add(self, counts: dict[str, int]) -> None:
        for modality, count in counts.items():
            last = self._last.get(modality, 0)
            new = count - last if count >= last else count
            self.counts[modality] = self.counts.get(modality, 0) + new
        self._last = counts


class _Histogram:
    """Counts numbers in bins 2 % wide, for percentiles within 1 % in bounded memory."""

    _BIN = log(1.02)
    _LEAST = 1e-5  # smaller numbers count as this

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()

    def __bool__(self) -> bool:
        return bool(self._bins)

    def add(self, number: float) -> None:
        self._bins[round(log(max(number, self._LEAST)) / self._BIN)] += 1

    def percentile(self, share: float) -> float:
        left = share / 100 * self._bins.total()
        for number in sorted(self._bins):
            left -= self._bins[number]
            if left <= 0:
                break
        return exp(number * self._BIN)


_GONE = ("detached", "lost", "unhealthy")


class RunSummary:
    """Sums up the predictions of a stream; without a clock, in virtual time, ages and costs mean nothing."""

    def __init__(self, clock: Clock | None) -> None:
        self._clock = clock
        self._ages = _Histogram()
        self._encoded: Counter[str] = Counter()
        self._dropped = _Total()
        self._skipped = _Total()
        self._lost = _Total()
        self._opened = False  # whether a sensor was attached
        self._failed = False  # whether an encoder failed
        self._labelled = 0
        self._right = 0
        self._unsure = 0
        self._began: tuple[float, float] | None = None  # the time and processor time at the first answer
        self._encoding: dict[str, _Histogram] = defaultdict(_Histogram)  # seconds a window
        self._gone: dict[str, float] = {}  # since when, of modalities that an answer may still hold
        self._span: tuple[float, float] | None = None  # the times of the first item and of the newest
        self._asleep: dict[str, float] = {}  # by sensor, since when it sleeps
        self._slept: dict[str, float] = defaultdict(float)  # by sensor, seconds
        self._woken: Counter[str] = Counter()  # by sensor
        self._noticed: list[float] = []  # seconds from a loss to the first answer without the sensor

    def show(self, event: ViewEvent) -> None:
        """Count a prediction, or note that a sensor was opened or an encoder failed."""
        if not isinstance(event, Opened):
            self._span = self._span[0] if self._span else event.time, event.time
        if isinstance(event, Event):
            self._note_sleep(event)
            self._opened |= event.kind == "attached"
            self._failed |= event.kind == "encoder failed"
            if event.kind in _GONE and self._began is not None:
                self._gone.setdefault(event.modality, event.time)
            else:
                self._gone.pop(event.modality, None)
        if not isinstance(event, Predicted):
            return
        prediction = event.prediction
        if self._clock is not None:
            self._began = self._began or (self._clock.now(), _processor())
        for modality, latency in prediction.latencies.items():
            self._encoding[modality].add(latency)
        for modality in self._gone.keys() - set(prediction.live):
            self._noticed.append(max(0.0, event.time - self._gone.pop(modality)))
        for modality in prediction.latencies.keys() & prediction.ages.keys():
            self._ages.add(prediction.ages[modality])
        self._encoded.update(prediction.latencies.keys())
        self._dropped.add(prediction.dropped)
        self._skipped.add(prediction.skipped)
        self._lost.add(prediction.lost)
        if event.example is not None and event.example.labels:
            self._labelled += 1
            self._right += prediction.label in event.example.labels
            self._unsure += not prediction.sure

    @property
    def lines(self) -> list[str]:
        """The lines to print."""
        lines = []
        if self._ages and self._clock is not None:
            median, late = (1e3 * self._ages.percentile(share) for share in (50, 99))
            lines.append(f"from capture to prediction: median {median:.1f} ms, p99 {late:.1f} ms")
            if (used := self.to_json()) is not None:
                lines.append(
                    f"took {used['memory_mb']} MB of memory at most and {used['cpu_seconds_a_minute']} s of "
                    "processor time a minute"
                )
        encoded, dropped = sum(self._encoded.values()), sum(self._dropped.counts.values())
        if encoded:
            lines.append(f"{encoded} windows encoded, {dropped} dropped for newer ones")
        elif self._opened and not self._failed:
            lines.append("nothing was predicted: no sensor gave as much as a window")
        if lost := ", ".join(f"{n} of {m}" for m, n in sorted(self._lost.counts.items()) if n):
            lines.append(f"samples lost because they were read too late: {lost}")
        for sensor, share in self._shares_asleep().items():
            woken = f"woken {self._woken[sensor]} times"
            lines.append(f"{sensor}: asleep {100 * share:.0f} % of the time, {woken}")
        if self._skipped.counts:
            lines.append(f"the duty saved {self._saved}")
        if self._labelled:
            wrong = self._labelled - self._right - self._unsure
            lines.append(
                f"right in {self._right} of {self._labelled} labelled predictions, "
                f"unsure in {self._unsure}, wrong in {wrong}"
            )
        return lines

    def to_json(self) -> dict[str, Any] | None:
        """Return the costs of a run in real time, for `json.dumps`; None before a second of answers."""
        if self._clock is None or self._began is None:
            return None
        seconds = self._clock.now() - self._began[0]
        if seconds < 1:
            return None
        return {
            "seconds": round(seconds, 1),
            "memory_mb": round(memory(most=True) / 1e6),
            "cpu_seconds_a_minute": round(60 * (_processor() - self._began[1]) / seconds, 1),
            "age_ms": {f"p{share}": round(1e3 * self._ages.percentile(share), 1) for share in (50, 99)},
            "window_ms": {m: round(1e3 * one.percentile(50), 2) for m, one in sorted(self._encoding.items())},
            "windows": dict(sorted(self._encoded.items())),
            "asleep": {name: round(share, 3) for name, share in self._shares_asleep().items()},
            "noticed_s": [round(seconds, 2) for seconds in self._noticed],
        }

    def _note_sleep(self, event: Event) -> None:
        name = sensor_title(event.modality, event.sensor)  # a replayed one has no other
        if event.kind == "asleep":
            self._asleep.setdefault(name, event.time)
        elif name in self._asleep:
            self._slept[name] += event.time - self._asleep.pop(name)
            self._woken[name] += event.kind == "woken"

    def _shares_asleep(self) -> dict[str, float]:
        """Return the share of the time that each sensor slept, of those that did."""
        begin, end = self._span or (0.0, 0.0)
        names = sorted({*self._slept, *self._asleep})
        slept = {name: self._slept.get(name, 0.0) + end - self._asleep.get(name, end) for name in names}
        return {name: seconds / max(end - begin, 1e-9) for name, seconds in slept.items()}

    @property
    def _saved(self) -> str:
        each = (f"{m} {n} of {n + self._encoded[m]}" for m, n in sorted(self._skipped.counts.items()))
        return f"these encodings: {', '.join(each)}"


def _processor() -> float:
    """Return the seconds of processor time of this process and of its ended children."""
    return sum(os.times()[:4])
