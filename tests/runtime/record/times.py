"""The clock of a record's tests: what is written late counts from when its run began."""

import time

from sensemble_runtime.record.writer import RecordWriter


def began(records: RecordWriter, run: int) -> float:
    """Return when a run began, in seconds on the clock of `time.monotonic`."""
    booted = time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) - time.monotonic()
    return (records.began(run) or 0.0) - booted
