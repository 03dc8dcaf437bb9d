"""Cut a segment out of a media file without decoding it: copy its packets to a Matroska file."""

from io import BytesIO
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from sensemble_sensors.codecs.containers import opened
from sensemble_sensors.errors import BadDataError

_BEFORE = 1.0  # seconds of sound before the segment, which lossy codecs need to start
_AFTER = 0.5  # seconds after it, so that reordered frames are complete


def cut(path: Path, start: float, end: float) -> tuple[bytes, float]:
    """Copy the packets from the last key frame up to `start` until `end`.

    Returns:
        A Matroska file of the first video and audio tracks, and the position of `start` in it, in seconds.

    Raises:
        BadDataError: the file is unreadable, or has no packets there.
    """
    with opened(path) as source:
        zero = _zero(source)
        streams: list[Stream] = [*source.streams.video[:1], *source.streams.audio[:1]]
        source.seek(int((max(start - _BEFORE, 0.0) + zero) * av.time_base))
        packets = _packets(source, streams, end + zero + _AFTER)
        if not packets:
            raise BadDataError(f"{path}: has nothing from {start:g} s to {end:g} s")
        origin = min(_seconds(packet) for packet in packets)
        file = BytesIO()
        with av.open(file, "w", format="matroska", options={"fflags": "+bitexact"}) as target:
            copies = {stream.index: target.add_stream_from_template(stream) for stream in streams}
            for packet in packets:
                ticks = round(origin / float(packet.time_base))
                packet.pts = packet.pts - ticks if packet.pts is not None else None
                packet.dts = packet.dts - ticks if packet.dts is not None else None
                packet.stream = copies[packet.stream.index]
                target.mux(packet)
    with av.open(BytesIO(file.getvalue()), "r") as piece:
        # A reader skips packets that only start a codec, so the file may begin after its first packet.
        return file.getvalue(), start - (origin - zero) - _zero(piece)


def _packets(source: InputContainer, streams: list[Stream], end: float) -> "list[Packet[Stream]]":
    """Read the packets of each stream up to `end`, in seconds of the file's own clock."""
    packets: list[Packet[Stream]] = []
    going = {stream.index for stream in streams}
    for packet in source.demux(streams):
        if packet.dts is None or packet.pts is None:
            continue
        if float(packet.dts * packet.time_base) < end:
            packets.append(packet)
        else:
            going.discard(packet.stream.index)
        if not going:
            break
    return packets


def _zero(container: InputContainer) -> float:
    return max(container.start_time or 0, 0) / av.time_base


def _seconds(packet: "Packet[Stream]") -> float:
    return float((packet.pts or 0) * packet.time_base)
