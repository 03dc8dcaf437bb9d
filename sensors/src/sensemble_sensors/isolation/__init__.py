"""Isolation: any sensor in its own process, so that one that hangs, crashes or leaks harms nothing else.

Samples and the sensor's state cross through a pipe; a slow reader gets the newest samples.

Doors: `isolated`.
"""
