"""Run a session that records its predictions until killed; prints 0 when it begins, and how many are
committed after each commit.

`python predict_endlessly.py BUNDLE RECORD`
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record import background
from sensemble_runtime.record.writer import RecordWriter
from sensemble_runtime.session.session import Session
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.supervision.events import Event


class Talk:
    modality = name = "text"

    def open(self, spec: InputSpec) -> None: ...

    def read(self, timeout: float) -> Sample | None:  # noqa: ARG002
        time.sleep(0.001)
        return Sample("text", "one", time.monotonic())

    def close(self) -> None: ...


class Telling(RecordWriter):
    committed = 0

    def add_items(self, run: int, items: Sequence[Prediction | Event]) -> None:
        super().add_items(run, items)
        made = sum(isinstance(item, Prediction) for item in items)
        if made:
            self.committed += made
            tell(self.committed)


def tell(committed: int) -> None:
    sys.stdout.write(f"{committed}\n")
    sys.stdout.flush()


def main(bundle: Path, record: Path) -> None:
    background.RecordWriter = Telling  # type: ignore[misc]
    tell(0)
    with Session(Bundle.open(bundle), record=record) as running:
        running.attach(Talk())
        for _ in running:
            pass


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
