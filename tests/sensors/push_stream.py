"""Send a live film to an address, as a camera would, at 20 pictures a second, and be late with some of them.

`python push_stream.py ADDRESS FORMAT FIRST LAST SECONDS`: the pictures from FIRST up to LAST are held back.
"""

import sys
import time
from fractions import Fraction

import av
import numpy as np

_CODECS = {"rtsp": "mpeg4", "mpegts": "mpeg2video"}
_OPTIONS = {"rtsp": {"rtsp_transport": "tcp"}, "mpegts": {}}


def main(address: str, kind: str, first: int, last: int, seconds: float) -> None:
    rng = np.random.default_rng(0)
    with av.open(address, "w", format=kind, options=_OPTIONS[kind]) as container:
        stream = container.add_stream(_CODECS[kind], rate=20)
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
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
