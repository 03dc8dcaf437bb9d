"""Send a live film by RTSP, as a camera would, at 20 pictures a second, and be late with some of them.

`python push_stream.py ADDRESS FIRST LAST SECONDS`: the pictures from FIRST up to LAST are held back.
"""

import sys
import time
from fractions import Fraction

import av
import numpy as np


def main(address: str, first: int, last: int, seconds: float) -> None:
    rng = np.random.default_rng(0)
    with av.open(address, "w", format="rtsp", options={"rtsp_transport": "tcp"}) as container:
        stream = container.add_stream("mpeg4", rate=20)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 5
        began = time.monotonic()
        for i in range(10**6):
            late = seconds if first <= i < last else 0.0
            time.sleep(max(0.0, began + i / 20 + late - time.monotonic()))
            picture = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, 20)
            container.mux(stream.encode(frame))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
