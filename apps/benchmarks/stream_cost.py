"""The processor time of an hour of stream, by set of sensors and hop.

    uv run python apps/benchmarks/stream_cost.py BUNDLE DATA

plays the streams of DATA's split `eval` to a session in virtual time, as fast as it goes, for each set of the
bundle's sensors and a window every 0.5 and 0.25 s. It prints seconds of processor for an hour of stream: of
decoding the files alone, which live sensors do not need, and of the whole replay; and the wall clock's.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.session.virtual import VirtualSession
from sensemble_runtime.subsets import Subset
from sensemble_sensors import Stream, read_streams
from sensemble_sensors.media.streams import seconds

HOPS = (0.5, 0.25)


def play(bundle: Bundle, stream: Stream, subset: Subset) -> None:
    """Play a stream to a session with some sensors."""
    session = VirtualSession(bundle)
    for m in subset:
        session.plug(m, m, 0.0)
    for sample in stream.samples({m: bundle.specs[m] for m in subset}):
        for _ in session.advance(sample.time):
            pass
        session.give(sample, sample.time)


def decode(bundle: Bundle, stream: Stream, subset: Subset) -> None:
    """Read the samples of a stream."""
    for _ in stream.samples({m: bundle.specs[m] for m in subset}):
        pass


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path)
    given = parser.parse_args()
    bundle = Bundle.open(given.bundle)
    streams = [one for one in read_streams(given.data) if one.split == "eval"]
    hours = sum(seconds(one, {}) for one in streams) / 3600
    specs = bundle.specs

    def hourly(run: Callable[[Bundle, Stream, Subset], None], subset: Subset) -> tuple[float, float]:
        processor, wall = time.process_time(), time.perf_counter()
        for stream in streams:
            run(bundle, stream, subset)
        return (time.process_time() - processor) / hours, (time.perf_counter() - wall) / hours

    print(f"{hours:.2f} hours of streams")
    for subset in subsets.measured(bundle.modalities):
        hourly(play, subset)  # encoders are loaded
        cells = [f"decode {hourly(decode, subset)[0]:.1f} s"]
        for hop in HOPS:
            bundle.specs = {m: replace(spec, hop=hop if spec.hop else 0.0) for m, spec in specs.items()}
            processor, wall = hourly(play, subset)
            cells.append(f"every {hop:g} s: {processor:.1f} s of processor, {wall:.1f} s")
        bundle.specs = specs
        print(f"{subsets.name(subset)}: {'; '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
