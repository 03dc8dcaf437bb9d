"""Ways from the answers of windows to moments, on streams: found, false an hour, delay.

    python apps/benchmarks/streams.py BUNDLE DATA [--sensors audio] [--hop 0.25] [--on DATA2]

Each window is encoded once and kept in `--cache`. For each way, settings and a threshold are chosen on the
split `calibrate`: the most spans found at `--false-per-hour`. Then `eval` of each data set is reported.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sensemble_runtime import Bundle
from sensemble_runtime.auditing.moment_measures import Told, delays, match, poisson_interval
from sensemble_runtime.auditing.stream_audit import answered
from sensemble_runtime.auditing.stream_windows import StreamWindows, encode_stream
from sensemble_runtime.bundle.head import KNOWN
from sensemble_sensors import Span, Stream, read_streams
from sensemble_sensors.media.streams import seconds

Floats = NDArray[np.floating]
REST = 0.75  # seconds without evidence after which the next moment may begin
THRESHOLDS = 40


@dataclass(frozen=True, slots=True)
class Heard:
    """A stream as a live set hears it: times [T], probabilities [T, C] if known, log-odds [T] of known."""

    times: Floats
    classes: Floats
    known: Floats
    spans: Sequence[Span]
    hours: float


def scores(heard: Heard) -> Floats:
    """Return the log-odds [T, C] that a window shows each class."""
    chance = np.clip(heard.classes / (1 + np.exp(-(heard.known + KNOWN)))[:, None], 1e-6, 1 - 1e-6)
    return np.asarray(np.log(chance / (1 - chance)))


def against_none(heard: Heard) -> Floats:
    """Return the log-likelihood ratios [T, C] of each class against none."""
    count = heard.classes.shape[1]
    return np.asarray(np.log(np.clip(heard.classes * count, 1e-3, None)) + heard.known[:, None])


def run(heard: Heard) -> Floats:
    """Score each window by itself: an event is a run of sure answers."""
    return scores(heard)


def agree(heard: Heard) -> Floats:
    """Score the less sure of two windows in a row."""
    own = scores(heard)
    return np.concatenate([np.full((1, own.shape[1]), -20.0), np.minimum(own[1:], own[:-1])])


def average(heard: Heard, count: int) -> Floats:
    """Return the mean log-odds of the last `count` windows."""
    own = np.concatenate([np.full((count - 1, heard.classes.shape[1]), -10.0), scores(heard)])
    return np.asarray(np.lib.stride_tricks.sliding_window_view(own, count, axis=0).mean(axis=-1))


def cusum(heard: Heard, drift: float, cap: float) -> Floats:
    """Return Page's cumulative sums of the log-likelihood ratio of each class against none, less a drift."""
    total, rows = np.zeros(heard.classes.shape[1]), np.zeros_like(heard.classes, dtype=float)
    for i, step in enumerate(np.clip(against_none(heard) - drift, -cap, cap)):
        total = np.maximum(total + step, 0)
        rows[i] = total
    return rows


def forward(heard: Heard, dwell: float, power: float) -> Floats:
    """Return the log-odds of each class by a forward filter over none and the classes.

    A class lasts `dwell` windows on average; windows that overlap count to a `power`.
    """
    count = heard.classes.shape[1]
    stay, begin = 1 - 1 / dwell, 1 / 40 / count
    likely = np.exp(power * np.clip(against_none(heard), -12, 12))
    none, each = 1.0, np.zeros(count)
    rows = np.zeros_like(heard.classes, dtype=float)
    for i, ratio in enumerate(likely):
        none, each = none * (1 - count * begin) + each.sum() * (1 - stay), each * stay + none * begin
        each = each * ratio
        whole = none + each.sum()
        none, each = none / whole, each / whole
        rows[i] = np.log(each + 1e-12) - np.log(1 - each + 1e-12)
    return rows


WAYS: dict[str, list[Callable[[Heard], Floats]]] = {
    "runs of sure answers": [run],
    "two windows agree": [agree],
    "moving average": [lambda h, n=n: average(h, n) for n in (2, 3, 4, 5)],  # type: ignore[misc]
    "CUSUM": [lambda h, d=d, c=c: cusum(h, d, c) for d, c in product((0.0, 1.0, 2.0, 3.0), (3.0, 6.0))],  # type: ignore[misc]
    "forward filter": [
        lambda h, d=d, p=p: forward(h, d, p)  # type: ignore[misc]
        for d, p in product((3.0, 5.0), (0.25, 0.4, 0.6, 1.0))
    ],
}


def told(heard: Heard, score: Floats, threshold: float, labels: Sequence[str]) -> list[Told]:
    """Return the moments: each begins where the best class reaches the threshold, after a rest or another."""
    found, on, last = list[Told](), -1, -np.inf
    best, values = score.argmax(axis=1), score.max(axis=1)
    for i in np.flatnonzero(values >= threshold):
        time = float(heard.times[i])
        if time - last > REST:
            on = -1
        if best[i] != on:
            found.append(Told(labels[best[i]], time - 1, time, time))
        on, last = int(best[i]), time
    return found


@dataclass(frozen=True, slots=True)
class Result:
    found: float
    false: int
    hours: float
    delay: float

    @property
    def rate(self) -> float:
        return self.false / self.hours


def measured(
    streams: Sequence[Heard], score: Sequence[Floats], threshold: float, labels: Sequence[str]
) -> Result:
    """Measure a way at a threshold."""
    found = false = spans = 0
    late = list[float]()
    for heard, own in zip(streams, score, strict=True):
        moments_ = told(heard, own, threshold, labels)
        matching = match(moments_, heard.spans)
        found, false, spans = (
            found + len(matching.found),
            false + len(matching.false),
            spans + len(heard.spans),
        )
        late += delays(moments_, heard.spans, matching).tolist()
    middle = float(np.median(late)) if late else np.nan
    return Result(found / max(spans, 1), false, sum(h.hours for h in streams), middle)


def chosen(
    streams: Sequence[Heard], way: Callable[[Heard], Floats], rate: float, labels: Sequence[str]
) -> tuple[float, Result]:
    """Return the threshold with the most found at no more than `rate` false an hour."""
    own = [way(heard) for heard in streams]
    tops = np.concatenate([one.max(axis=1) for one in own])
    grid = np.unique(np.quantile(tops, 1 - np.geomspace(0.3, 1 / len(tops), THRESHOLDS)))
    for threshold in grid:  # rising: fewer false, and fewer found
        result = measured(streams, own, threshold, labels)
        if result.rate <= rate:
            return float(threshold), result
    return float(grid[-1]), measured(streams, own, grid[-1], labels)


def heard_by(
    bundle: Bundle, windows: dict[str, StreamWindows], stream: Stream, subset: tuple[str, ...]
) -> Heard:
    """Return what a live set hears of a stream."""
    hours = seconds(stream, {}) / 3600
    found = answered(bundle.classifier, bundle.specs, windows, subset, stream.spans, hours)
    ratios = np.sum([np.where(one.live[:, None], one.ratios, 0) for one in found.witnesses.values()], axis=0)
    shares = np.exp(ratios - ratios.max(axis=1, keepdims=True))
    known = ratios.max(axis=1) + np.log(shares.mean(axis=1))
    return Heard(found.times, shares / shares.sum(axis=1, keepdims=True), known, found.spans, hours)


def encoded(
    bundle: Bundle, folder: Path, split: str, hop: float, cache: Path, only: Sequence[str]
) -> Iterator[tuple[Stream, dict[str, StreamWindows]]]:
    """Yield the streams of a split with their windows, which are encoded once."""
    for stream in read_streams(folder):
        if stream.split != split:
            continue
        key = f"{bundle.fingerprint}{folder.resolve()}{stream.id}{hop}{','.join(only)}"
        path = cache / f"{sha256(key.encode()).hexdigest()[:24]}.npz"
        if not path.exists():
            found = encode_stream(bundle, stream, dict.fromkeys(bundle.modalities, hop))
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(
                path,
                **{
                    f"{m}.{name}": getattr(w, name)
                    for m, w in found.items()
                    for name in ("ends", "embeddings")
                },
            )
        with np.load(path) as data:
            yield (
                stream,
                {
                    m: StreamWindows(data[f"{m}.ends"], data[f"{m}.embeddings"])
                    for m in stream.modalities
                    if f"{m}.ends" in data
                },
            )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument(
        "--on", type=Path, action="append", default=[], help="other data, whose eval is reported"
    )
    parser.add_argument("--sensors", default="", help="joined with +; all by default")
    parser.add_argument("--hop", type=float, default=0.25)
    parser.add_argument("--false-per-hour", type=float, default=2.0)
    parser.add_argument("--cache", type=Path, default=Path("streams-cache"))
    given = parser.parse_args()
    bundle = Bundle.open(given.bundle)
    subset = tuple(sorted(given.sensors.split("+"))) if given.sensors else bundle.modalities

    def heard(folder: Path, split: str) -> list[Heard]:
        rows = encoded(bundle, folder, split, given.hop, given.cache, subset)
        return [heard_by(bundle, windows, stream, subset) for stream, windows in rows]

    calibrate = heard(given.data, "calibrate")
    sets = {folder.name: heard(folder, "eval") for folder in (given.data, *given.on)}
    name = "+".join(subset)
    print(f"{name}, a window every {given.hop:g} s, at {given.false_per_hour:g} false an hour")
    for name, settings in WAYS.items():
        options = [(way, *chosen(calibrate, way, given.false_per_hour, bundle.labels)) for way in settings]
        way, threshold, best = max(options, key=lambda one: one[2].found)
        print(f"{name} ({settings.index(way)}, {threshold:.2f}): calibrate {line(best)}")
        for folder, streams in sets.items():
            result = measured(streams, [way(one) for one in streams], threshold, bundle.labels)
            print(f"    {folder}: {line(result)}")


def line(result: Result) -> str:
    low, high = (end / result.hours for end in poisson_interval(result.false))
    rate = f"{result.rate:.1f} ({low:.1f} to {high:.1f})"
    return f"found {100 * result.found:.1f} %, false an hour {rate}, delay {result.delay:.2f} s"


if __name__ == "__main__":
    main()
