"""Isolation: any sensor in a process of its own, so that one that hangs, crashes or leaks harms nothing else.

Samples cross through a ring in shared memory, which neither side waits for; a pipe wakes the reader and
carries the sensor's state.

Doors: `isolated`, and `worker_process` for its `Limits`.
"""
