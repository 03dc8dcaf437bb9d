"""The engine: all that decides in a session, without threads, locks, clock, files or logs.

`Engine` holds the whole state: the lives of sensors (`sensemble_sensors.supervision`), windows, turns, newest
embeddings, the belief. What waits, reads or writes belongs to `session`.

Doors: `answer`, `belief`, `engine`, `live_set`, `scheduler`, `sparing`, `timeline`, `view`.
"""
