"""A ring of samples in memory that two processes share: one puts, the other gets, and neither ever waits.

Data crosses as bytes in place, through numpy views of the memory; the getter copies them out once. The putter
overwrites the oldest, so that a getter that is late has the newest, and one that is overtaken notices.

No order of memory is relied on, for Python has no fences and a processor (ARM's does) may show one process's
writes to another in any order. Each slot holds the number of its sample and a checksum over that number and
all else in it. The getter copies a slot out and checks the copy: it is a sample as it was put, or it is
refused, whatever mixture of old and new the copy caught (but for one torn copy in 2^32). A refused slot is
looked at again when the putter has told by another way that there is more: a byte in a pipe, which a system
call writes and another reads, so that what was written before the one can be seen after the other.
"""

from mmap import mmap
from struct import Struct
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

_BEAT = Struct("=d")
_CHECK = Struct("=q")
# The number, the time, whether it is a cut, how many were lost, and the size of the data, in bytes. Numbers
# count from 1, the first sample ever put; 0 is an empty slot. What is lost is of all samples until this one,
# so that an overwritten slot takes no count with it.
_HEAD = Struct("=qdqqq")
_DATA = _CHECK.size + _HEAD.size  # where a slot's data begins


class Ring:
    """The samples of one sensor; `put` and `beat` are one process's, `get` and `beaten` the other's.

    Args:
        memory: `Ring.size(spec)` bytes, zeros at first, shared by both.
        spec: of the samples; both sides must give the same.
    """

    def __init__(self, memory: mmap, spec: InputSpec) -> None:
        self._spec = spec
        self._kind = kind_of(spec.modality)
        self._memory = memoryview(memory)
        # By struct and one view of all, for who wakes a few times a second pays for each call.
        slots = np.frombuffer(memory, np.uint8, offset=_BEAT.size)
        self._slots = slots.reshape(self._kind.slots, _slot(spec))
        self._written = 0  # the number of the sample that was put last
        self._lost_before = 0  # it came to the ring
        self._next = 1  # the number of the sample to get
        self._overtaken = 0  # how many were overwritten before they could be got
        self._told = 0  # how many that were lost the getter has been told of
        self._cut = True

    @staticmethod
    def size(spec: InputSpec) -> int:
        """Return how many bytes of memory the ring takes."""
        return _BEAT.size + kind_of(spec.modality).slots * _slot(spec)

    def beat(self, now: float) -> None:
        """Show that the putter is alive at `now`."""
        _BEAT.pack_into(self._memory, 0, now)

    @property
    def beaten(self) -> float:
        """When the putter last showed that it is alive; 0 before the first time."""
        (beaten,) = _BEAT.unpack_from(self._memory)
        return float(beaten)

    def put(self, sample: Sample) -> None:
        """Add a sample, in several pieces if it is longer than a slot.

        Raises:
            ValueError: it is not of the spec's form.
        """
        if sample.modality != self._spec.modality:
            raise ValueError(f"gave a sample of {sample.modality}, not of {self._spec.modality}")
        data = self._kind.pack(sample.data, self._spec)
        room = self._slots.shape[1] - _DATA
        self._lost_before += sample.lost
        pace = self._spec.rate * np.dtype(self._spec.dtype).itemsize  # bytes a second
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
        """Return the oldest sample that is still there, or None; the one after a hole in sound is a cut.

        Raises:
            ValueError: a slot holds what `put` never writes.
        """
        slots = len(self._slots)
        for _ in range(slots):  # a putter that writes without end must not keep the getter here
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
                lost, self._told = lost + self._overtaken - self._told, lost + self._overtaken
                self._next += 1
                return Sample(self._spec.modality, self._kind.unpack(data, self._spec), time, cut, lost)
            oldest = number - slots // 2  # overtaken: leave the putter some room
            self._overtaken += oldest - self._next
            self._next = oldest
            self._cut |= self._kind.continuous
        return None


def _slot(spec: InputSpec) -> int:
    """Return the bytes of a slot, with its head."""
    return _DATA + -(-kind_of(spec.modality).slot_size(spec) // 8) * 8


def _check(head: bytes, data: NDArray[np.uint8]) -> int:
    return crc32(data.data, crc32(head))
