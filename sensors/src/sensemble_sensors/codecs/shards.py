"""Names of files in a WebDataset shard, such as `pretrain-000000.tar#1536+482113` (offset, size).

A shard is an uncompressed tar, so FFmpeg reads and seeks in the range of bytes as in a file.
"""

import re
from pathlib import Path

_MEMBER = re.compile(r"(.+\.tar)#(\d{1,18})\+(\d{1,18})", re.DOTALL)


def member(shard: str, offset: int, size: int) -> str:
    """Return the name of the member at `offset`."""
    return f"{shard}#{offset}+{size}"


def parse(name: str) -> tuple[str, int, int] | None:
    """Return (shard, offset, size) of a member's name; None for any other file."""
    match = _MEMBER.fullmatch(name)
    return (match[1], int(match[2]), int(match[3])) if match else None


def url(name: str) -> str:
    """Return the URL by which FFmpeg opens a file or a member, whatever its name."""
    inside = parse(name)
    if inside is None:
        return _file(name)
    shard, offset, size = inside
    return f"subfile,,start,{offset},end,{offset + size},,:{_file(shard)}"


def _file(name: str) -> str:
    # A relative name may look like an address, such as one in a folder `file:`.
    return f"file:{Path(name).absolute()}"
