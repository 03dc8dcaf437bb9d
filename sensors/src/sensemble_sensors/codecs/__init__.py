"""Codecs: read one media file of any origin through FFmpeg (PyAV) and OpenCV, within bounds.

Knows files, tracks and pictures, not datasets, sensors or kinds, which are built on it.

Doors: `tracks` (a track as a stream or as an array), `containers`, `framing`.
"""
