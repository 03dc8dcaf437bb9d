"""Record tiny segments until killed, in a separate process; print 0 first, then the number of each.

Every value of a sample is the microsecond of its time, modulo 256, so that a reader can check it.
`python record_endlessly.py FOLDER`
"""

import sys
from pathlib import Path
from time import monotonic, sleep

import numpy as np
from sensemble_sensors.errors import RecordingError
from sensemble_sensors.recording import writer
from sensemble_sensors.recording.writer import Recording
from sensemble_sensors.sensor import Sample


def main(folder: Path) -> int:
    writer.LAG = 0.0
    reported = 0
    tell(reported)
    try:
        with Recording(folder, {"audio": (16000,)}, seconds=0.02) as out:
            origin = out.began
            while True:
                out.check()
                # A time of whole microseconds since the origin comes back as it was.
                now = round((monotonic() - origin) * 1e6)
                wave = np.full(16, now % 256, np.float32)
                image = np.full((16, 16, 3), now % 256, np.uint8)
                out.put(Sample("audio", wave, origin + now / 1e6, cut=True))
                out.put(Sample("video", image, origin + now / 1e6))
                while reported < out.segments:
                    reported += 1
                    tell(reported)
                sleep(0.002)
    except RecordingError as error:
        for number in range(reported, out.segments):
            tell(number + 1)
        sys.stderr.write(f"{error}\n")
        return 1


def tell(segments: int) -> None:
    sys.stdout.write(f"{segments}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
