"""Devices: the sensors that capture the present, and how they are found and watched.

A sensor here opens one device and gives its samples, stamped by the clock of `time.monotonic`.

Doors: `camera`, `microphone`, `captions`, `iio`, `line_series`, `push_series`, `discovery` (list devices),
`watcher` (see them come and go), `registry` (the sensor that a source names), `byte_streams` (addresses and
streams), `portaudio` (the library, for a loudspeaker).
"""
