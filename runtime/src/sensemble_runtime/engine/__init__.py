"""The engine: what decides in a session, without threads, clock, files or logs.

Holds the belief: the answer of the sensors that are live, and which of them lies. What waits, reads or writes
belongs to `session`.

Doors: `belief`.
"""
