"""Supervision: the lives of sensors, which of several is active, and the threads that read them.

`suite` decides, without threads, clock, files or logs; `reader_thread` blocks on a device. Sessions and
recordings use both; what needs a bundle does not belong here.

Doors: `backoff`, `events`, `reader_thread`, `sensor_view`, `suite`.
"""
