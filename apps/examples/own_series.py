"""Run a bundle on a series of your own: here, for 3 s, a unit that swings like a pendulum.

Run it with `uv run python apps/examples/own_series.py BUNDLE`, a bundle with the modality `imu`.
"""

import sys
from time import monotonic, sleep

import numpy as np
from sensemble_runtime import Bundle, Session
from sensemble_sensors import InputSpec, Sample, SensorEndedError


class Pendulum:
    """A `Sensor` of a series: blocks of rows at the spec's rate, one number a channel."""

    modality, name, live = "imu", "pendulum", True

    def open(self, spec: InputSpec) -> None:
        """Start to swing."""
        self.spec, self.begin, self.count = spec, monotonic(), 0

    def read(self, timeout: float) -> Sample | None:
        """Return the rows since the last call, float32 [n, C], stamped with the time of the last."""
        sleep(min(timeout, 0.1))
        due = min(int((monotonic() - self.begin) * self.spec.rate), round(3 * self.spec.rate))
        if due == self.count:
            if due == round(3 * self.spec.rate):
                raise SensorEndedError("pendulum: its 3 s are over")
            return None
        clock, first = np.arange(self.count, due)[:, None] / self.spec.rate, self.count == 0
        rows = 5 * np.sin(2 * np.pi * clock + np.arange(len(self.spec.channels)))
        self.count = due
        return Sample(self.modality, rows.astype(np.float32), self.begin + due / self.spec.rate, cut=first)

    def close(self) -> None:
        """Release nothing."""


if __name__ == "__main__":
    with Session(Bundle.open(sys.argv[1])) as session:
        session.attach(Pendulum())
        for item in session.stream():  # predictions and events, in order
            print(item)
