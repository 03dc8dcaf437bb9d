"""Cameras, microphones, captions, replays and recordings, and the data format that they share."""

from typing import TYPE_CHECKING

from sensemble_sensors.lazy import attach

if TYPE_CHECKING:
    from sensemble_sensors.conditioned import Conditioned
    from sensemble_sensors.devices.camera import Camera
    from sensemble_sensors.devices.captions import Captions
    from sensemble_sensors.devices.discovery import Device, cameras, microphones
    from sensemble_sensors.devices.iio import Iio
    from sensemble_sensors.devices.line_series import LineSeries
    from sensemble_sensors.devices.microphone import Microphone
    from sensemble_sensors.devices.push_series import PushSeries
    from sensemble_sensors.devices.watcher import Watcher
    from sensemble_sensors.errors import (
        BadDataError,
        RecordingError,
        SampleError,
        SensembleError,
        SensorEndedError,
        SensorLostError,
        SensorsError,
        SensorUnavailableError,
        SpecError,
    )
    from sensemble_sensors.health.health import Health
    from sensemble_sensors.isolation.isolated import Isolated, Limits
    from sensemble_sensors.kinds.conditions.condition import Applied
    from sensemble_sensors.kinds.registry import condition_of
    from sensemble_sensors.media.dataset import Dataset, Example, read_dataset
    from sensemble_sensors.media.decoding import Sampling, clip, window
    from sensemble_sensors.media.division import Division, divide
    from sensemble_sensors.recording.editing import set_splits
    from sensemble_sensors.recording.reader import Recorded
    from sensemble_sensors.recording.replay import MediaReplay, Replay
    from sensemble_sensors.recording.takes import Take, delete_take, read_takes, relabel_take
    from sensemble_sensors.recording.writer import Recording
    from sensemble_sensors.sensor import Sample, Sensor
    from sensemble_sensors.spec import Channel, InputSpec, Modality
    from sensemble_sensors.thresholds import Thresholds

__all__ = [
    "Applied",
    "BadDataError",
    "Camera",
    "Captions",
    "Channel",
    "Conditioned",
    "Dataset",
    "Device",
    "Division",
    "Example",
    "Health",
    "Iio",
    "InputSpec",
    "Isolated",
    "Limits",
    "LineSeries",
    "MediaReplay",
    "Microphone",
    "Modality",
    "PushSeries",
    "Recorded",
    "Recording",
    "RecordingError",
    "Replay",
    "Sample",
    "SampleError",
    "Sampling",
    "SensembleError",
    "Sensor",
    "SensorEndedError",
    "SensorLostError",
    "SensorUnavailableError",
    "SensorsError",
    "SpecError",
    "Take",
    "Thresholds",
    "Watcher",
    "cameras",
    "clip",
    "condition_of",
    "delete_take",
    "divide",
    "microphones",
    "read_dataset",
    "read_takes",
    "relabel_take",
    "set_splits",
    "window",
]

__getattr__, __dir__ = attach(__name__, __file__)
