"""Codecs: read one media file of any origin through FFmpeg (PyAV) and OpenCV.

A module here knows of files, tracks and pictures, not of datasets, sensors or kinds, which are built on it.
Files are opened with bounds: no other file is followed, nothing is fetched, no picture is too large.

Doors: `decode` (a track as an array), `tracks` (a track as a stream), `containers`, `framing`, `shards`.
"""
