"""Run a bundle on a sensor of your own: here, for 3 s, a camera that films a moving gradient.

Run it with `uv run python apps/examples/own_sensor.py BUNDLE`.
"""

import sys
from time import monotonic, sleep

import numpy as np
from sensemble_runtime import Bundle, Session
from sensemble_sensors import InputSpec, Sample, SensorEndedError


class Gradient:
    """A `Sensor` of video. One thread opens, reads and closes it."""

    modality, name = "video", "gradient"

    def open(self, spec: InputSpec) -> None:
        """Start filming frames of the size that the encoder takes."""
        self.shape, self.start, self.cut = spec.shape[2:], monotonic(), True

    def read(self, timeout: float) -> Sample:
        """Return the next frame, uint8 [H, W, 3], stamped with the time of its capture."""
        sleep(min(timeout, 0.05))
        now = monotonic()
        if now > self.start + 3:
            raise SensorEndedError("gradient: its 3 s are over")
        shades = (np.arange(self.shape[1]) * 4 + 100 * now) % 256
        frame = np.broadcast_to(shades[:, None], self.shape).astype(np.uint8)
        sample, self.cut = Sample("video", frame, now, cut=self.cut), False
        return sample

    def close(self) -> None:
        """Release nothing."""


if __name__ == "__main__":
    with Session(Bundle.open(sys.argv[1])) as session:
        session.attach(Gradient())
        for item in session.stream():  # predictions and events, in order
            print(item)
