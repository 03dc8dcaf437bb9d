"""Codecs: read one media file of any origin through FFmpeg (PyAV) and OpenCV, within bounds; and subtitles.

Holds files, tracks and pictures; datasets, sensors and kinds build on it.

Doors: `tracks` (a track as a stream or as an array), `containers`, `framing`, `subtitles`.
"""
