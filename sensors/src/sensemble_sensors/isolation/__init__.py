"""Isolation: any sensor in a process of its own, so that one that hangs, crashes or leaks harms nothing else.

Samples cross through a ring in shared memory, which no side waits for; a pipe wakes the reader and carries
the state of the sensor.

Doors: `isolated`, and `worker_process` for its `Limits`.
"""
