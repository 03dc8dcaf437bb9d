"""Sensors that come and go: camera, microphone, captions, replay."""
