"""A ring of samples in memory that two processes share: one writes, the other reads, and neither waits.

The writer overwrites the oldest sample, so that a slow reader gets the newest ones and counts the others.

Python has no memory fences, and a processor (such as ARM's) may show one process's writes to another in any
order. So each slot holds its sample's number and a checksum over everything else in it; the reader copies a
slot and checks the copy: it takes no torn sample (but one in 2^32). It reads a refused slot again after the
writer has sent a byte through a pipe: the system calls on both sides make earlier writes visible.
"""

import math
from mmap import mmap
from struct import Struct
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

_HEARTBEAT = Struct("=d")
_CHECK = Struct("=q")
# The number, the time, whether it is a cut, how many were lost, and the size of the data, in bytes. Numbers
# count from 1, the first sample ever; 0 is an empty slot. Lost samples are counted from the start, so that no
# count is lost with an overwritten slot.
_HEAD = Struct("=qdqqq")
_DATA = _CHECK.size + _HEAD.size  # where a slot's data begins


class Ring:
    """The samples of one sensor; one process calls `put` and `set_heartbeat`, the other the rest.

    `memory` has `Ring.size(spec)` bytes, zeros at first; both sides give the same `spec`.
    """

    def __init__(self, memory: mmap, spec: InputSpec) -> None:
        self._spec = spec
        self._kind = kind_of(spec)
        self._memory = memoryview(memory)
        # Structs and one view of all slots: each call counts in a process that wakes a few times a second.
        slots = np.frombuffer(memory, np.uint8, offset=_HEARTBEAT.size)
        self._slots = slots.reshape(self._kind.slots, _slot(spec))
        self._written = 0  # the number of the newest sample
        self._lost_before = 0  # how many were lost before they came here
        self._next = 1  # the number of the sample to get
        self._overwritten = 0  # how many were overwritten before they were read
        self._reported = 0  # how many lost samples were reported so far
        self._cut = True

    @staticmethod
    def size(spec: InputSpec) -> int:
        """Return how many bytes of memory the ring takes."""
        return _HEARTBEAT.size + kind_of(spec).slots * _slot(spec)

    def set_heartbeat(self, now: float) -> None:
        """Show that the writer is alive at `now`."""
        _HEARTBEAT.pack_into(self._memory, 0, now)

    @property
    def heartbeat(self) -> float:
        """The time at which the writer last showed that it is alive; 0 before the first time."""
        (heartbeat,) = _HEARTBEAT.unpack_from(self._memory)
        return float(heartbeat)

    def put(self, sample: Sample) -> None:
        """Add a sample, in pieces if it is longer than a slot; ValueError if it is not of the spec's form."""
        if sample.modality != self._spec.modality:
            raise ValueError(f"gave a sample of {sample.modality}, not of {self._spec.modality}")
        data = self._kind.pack(sample.data, self._spec)
        room = self._slots.shape[1] - _DATA
        self._lost_before += sample.lost
        step = np.dtype(self._spec.dtype).itemsize * math.prod(self._spec.shape[2:])
        pace = self._spec.rate * step  # bytes a second
        for start in range(0, max(len(data), 1), room):
            piece = data[start : start + room]
            later = (len(data) - start - len(piece)) / pace if pace else 0.0
            self._written += 1
            cut = sample.cut and not start
            head = _HEAD.pack(self._written, sample.time - later, cut, self._lost_before, len(piece))
            slot = self._slots[self._written % len(self._slots)]
            slot[_DATA : _DATA + len(piece)] = piece
            slot.data[:_DATA] = _CHECK.pack(_check(head, piece)) + head

    def get(self) -> Sample | None:
        """Return the oldest sample that is left, or None; one after a hole in a continuous stream is a cut.

        Raises ValueError if a slot holds something that `put` never writes.
        """
        slots = len(self._slots)
        for _ in range(slots):  # a fast writer must not keep the reader here for ever
            slot = self._slots[self._next % slots]
            head = slot[:_DATA].tobytes()
            (check,) = _CHECK.unpack_from(head)
            number, time, cut, lost, size = _HEAD.unpack_from(head, _CHECK.size)
            data = slot[_DATA : _DATA + max(0, size)].copy()
            if number < self._next or check != _check(head[_CHECK.size :], data):
                return None
            if number % slots != self._next % slots:
                raise ValueError(f"sample {number} lies where sample {self._next} belongs")
            if number == self._next:
                cut, self._cut = bool(cut) or self._cut, False
                lost, self._reported = lost + self._overwritten - self._reported, lost + self._overwritten
                self._next += 1
                data.flags.writeable = False
                return Sample(self._spec.modality, self._kind.unpack(data, self._spec), time, cut, lost)
            oldest = number - slots // 2  # overwritten: leave the writer some room
            self._overwritten += oldest - self._next
            self._next = oldest
            self._cut |= self._kind.continuous
        return None


def _slot(spec: InputSpec) -> int:
    return _DATA + -(-kind_of(spec).slot_size(spec) // 8) * 8


def _check(head: bytes, data: NDArray[np.uint8]) -> int:
    return crc32(data.data, crc32(head))
