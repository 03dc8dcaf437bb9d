"""Cameras, microphones, captions, replays and recordings, and the data format that they share."""

from typing import TYPE_CHECKING

from sensemble_sensors.public_names import attach

if TYPE_CHECKING:
    from sensemble_sensors.degraded import Degraded as Degraded
    from sensemble_sensors.devices.camera import Camera as Camera
    from sensemble_sensors.devices.captions import Captions as Captions
    from sensemble_sensors.devices.discovery import Device as Device
    from sensemble_sensors.devices.discovery import cameras as cameras
    from sensemble_sensors.devices.discovery import microphones as microphones
    from sensemble_sensors.devices.iio import Iio as Iio
    from sensemble_sensors.devices.line_series import LineSeries as LineSeries
    from sensemble_sensors.devices.microphone import Microphone as Microphone
    from sensemble_sensors.devices.push_series import PushSeries as PushSeries
    from sensemble_sensors.devices.watcher import Watcher as Watcher
    from sensemble_sensors.errors import BadDataError as BadDataError
    from sensemble_sensors.errors import RecordingError as RecordingError
    from sensemble_sensors.errors import SampleError as SampleError
    from sensemble_sensors.errors import SensembleError as SensembleError
    from sensemble_sensors.errors import SensorEndedError as SensorEndedError
    from sensemble_sensors.errors import SensorLostError as SensorLostError
    from sensemble_sensors.errors import SensorsError as SensorsError
    from sensemble_sensors.errors import SensorUnavailableError as SensorUnavailableError
    from sensemble_sensors.errors import SpecError as SpecError
    from sensemble_sensors.health.health import Health as Health
    from sensemble_sensors.isolation.isolated import Isolated as Isolated
    from sensemble_sensors.isolation.isolated import Limits as Limits
    from sensemble_sensors.kinds.conditions.condition import Applied as Applied
    from sensemble_sensors.kinds.registry import condition_of as condition_of
    from sensemble_sensors.media.dataset import Dataset as Dataset
    from sensemble_sensors.media.dataset import Example as Example
    from sensemble_sensors.media.dataset import read_dataset as read_dataset
    from sensemble_sensors.media.decoding import Sampling as Sampling
    from sensemble_sensors.media.decoding import clip as clip
    from sensemble_sensors.media.decoding import window as window
    from sensemble_sensors.media.division import Division as Division
    from sensemble_sensors.media.division import divide as divide
    from sensemble_sensors.media.spans import Span as Span
    from sensemble_sensors.media.streams import Stream as Stream
    from sensemble_sensors.media.streams import read_streams as read_streams
    from sensemble_sensors.recording.editing import set_splits as set_splits
    from sensemble_sensors.recording.reader import Recorded as Recorded
    from sensemble_sensors.recording.replay import MediaReplay as MediaReplay
    from sensemble_sensors.recording.replay import Replay as Replay
    from sensemble_sensors.recording.takes import Take as Take
    from sensemble_sensors.recording.takes import delete_take as delete_take
    from sensemble_sensors.recording.takes import read_takes as read_takes
    from sensemble_sensors.recording.takes import relabel_take as relabel_take
    from sensemble_sensors.recording.writer import Recording as Recording
    from sensemble_sensors.sensor import Sample as Sample
    from sensemble_sensors.sensor import Sensor as Sensor
    from sensemble_sensors.spec import Channel as Channel
    from sensemble_sensors.spec import InputSpec as InputSpec
    from sensemble_sensors.spec import Modality as Modality
    from sensemble_sensors.thresholds import Thresholds as Thresholds
else:
    __getattr__, __dir__, __all__ = attach(__name__, __file__)
