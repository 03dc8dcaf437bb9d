"""Record a take of each class with a camera, 5 s each, and audit a bundle on them.

    uv run python apps/examples/record_label_audit.py BUNDLE OUT zero=0 one=0

Each LABEL=CAMERA names a class and a camera's number, a stream's address or a film.
"""

import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic

from sensemble_runtime import Bundle, audit
from sensemble_sensors import Camera, InputSpec, Recording, SensorEndedError, read_dataset


def record(camera: Camera, spec: InputSpec, recording: Recording) -> None:
    """Put what `camera` gives into `recording`, for 5 s or until it ends."""
    camera.open(spec)
    end = monotonic() + 5
    with suppress(SensorEndedError):
        while monotonic() < end:
            if (sample := camera.read(timeout=0.5)) is not None:
                recording.put(sample)
    camera.close()


def main(path: str, out: Path, takes: list[str]) -> None:
    """Record each take as labelled examples of the split eval; print the accuracy on them."""
    bundle = Bundle.open(path)
    frames = bundle.specs["video"]
    for label, _, camera in (take.partition("=") for take in takes):
        with Recording(out, {"video": frames.shape[2:4]}, split="eval", labels=[label]) as recording:
            record(Camera(camera), frames, recording)
    result = audit(bundle, read_dataset(out).split("eval"), record=out.with_suffix(".sqlite"))
    print(f"video: {result.subsets['video'].accuracy:.0%} of {result.examples}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
