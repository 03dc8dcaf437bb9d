"""A ring of samples in memory that two processes share: one puts, the other gets, and neither ever waits.

Data crosses as bytes in place, through numpy views of the memory; the getter copies them out once. The putter
overwrites the oldest, so that a getter that is late has the newest, and one that is overtaken notices.
"""

from mmap import mmap

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

_SLOTS = {"audio": 64, "text": 16, "video": 4}
_CHUNK = 0.1  # seconds of sound in a slot; more is cut into several
_LONGEST = 1 << 16  # bytes of a caption

_HEAD = np.dtype([("claimed", "i8"), ("written", "i8"), ("beat", "f8")])


class Ring:
    """The samples of one sensor; `put` and `beat` are one process's, `get` and `beaten` the other's.

    Args:
        memory: `Ring.size(spec)` bytes, zeros at first, shared by both.
        spec: of the samples; both sides must give the same.
    """

    def __init__(self, memory: mmap, spec: InputSpec) -> None:
        self._spec = spec
        self._head = np.frombuffer(memory, _HEAD, 1)
        self._slots = np.frombuffer(memory, _slot(spec), _SLOTS[spec.modality], _HEAD.itemsize)
        self._next = 0  # the sample that `get` returns next, counted from the first ever put
        self._cut = True

    @staticmethod
    def size(spec: InputSpec) -> int:
        """Return how many bytes of memory the ring takes."""
        return _HEAD.itemsize + _SLOTS[spec.modality] * _slot(spec).itemsize

    def beat(self, now: float) -> None:
        """Show that the putter is alive at `now`."""
        self._head["beat"] = now

    @property
    def beaten(self) -> float:
        """When the putter last showed that it is alive; 0 before the first time."""
        return float(self._head["beat"][0])

    def put(self, sample: Sample) -> None:
        """Add a sample, in several pieces if it is longer than a slot.

        Raises:
            ValueError: it is not of the spec's form.
        """
        data = _bytes(sample, self._spec)
        room = self._slots["data"].shape[1]
        for start in range(0, max(len(data), 1), room):
            piece = data[start : start + room]
            later = (len(data) - start - len(piece)) / 4 / self._spec.rate if self._spec.rate else 0.0
            count = int(self._head["written"][0])
            slot = self._slots[count % len(self._slots)]
            self._head["claimed"] = count + 1
            slot["time"], slot["cut"], slot["size"] = (
                sample.time - later,
                sample.cut and not start,
                len(piece),
            )
            slot["data"][: len(piece)] = piece
            self._head["written"] = count + 1

    def get(self) -> Sample | None:
        """Return the oldest sample that is still there, or None; the one after a hole in sound is a cut."""
        while True:
            written, slots = int(self._head["written"][0]), len(self._slots)
            if self._next == written:
                return None
            if written - self._next < slots:
                slot = self._slots[self._next % slots]
                data = slot["data"][: int(slot["size"])].copy()
                time, cut = float(slot["time"]), bool(slot["cut"])
                if int(self._head["claimed"][0]) - self._next <= slots:
                    cut, self._cut = cut or self._cut, False
                    self._next += 1
                    return Sample(self._spec.modality, _data(data, self._spec), time, cut)
            self._next = int(self._head["written"][0]) - slots // 2  # overtaken: leave the putter some room
            self._cut |= self._spec.modality == "audio"


def _slot(spec: InputSpec) -> np.dtype[np.void]:
    room = {
        "audio": 4 * round(_CHUNK * spec.rate),
        "text": _LONGEST,
        "video": int(np.prod(spec.shape[2:])),
    }[spec.modality]
    return np.dtype([("time", "f8"), ("size", "i8"), ("cut", "i8"), ("data", "u1", (-(-room // 8) * 8,))])


def _bytes(sample: Sample, spec: InputSpec) -> NDArray[np.uint8]:
    data = sample.data
    if sample.modality != spec.modality:
        raise ValueError(f"gave a sample of {sample.modality}, not of {spec.modality}")
    if isinstance(data, str):
        return np.frombuffer(data.encode()[:_LONGEST], np.uint8)
    shape = data.shape if spec.modality == "audio" and data.ndim == 1 else spec.shape[2:]
    if data.dtype != spec.dtype or data.shape != shape:
        raise ValueError(
            f"gave {data.dtype} {list(data.shape)}, not {spec.dtype} as {list(spec.shape)} needs"
        )
    return np.ascontiguousarray(data).reshape(-1).view(np.uint8)


def _data(data: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8] | NDArray[np.float32] | str:
    if spec.modality == "text":
        return data.tobytes().decode(errors="replace")
    if spec.modality == "audio":
        return data.view(np.float32)
    return data.reshape(spec.shape[2:])
