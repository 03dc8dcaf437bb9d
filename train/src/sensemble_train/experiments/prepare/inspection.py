"""Inspection of the media of one listed example: check that it fits the list, and locate the segment."""

import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sensemble_sensors.codecs.tracks import audio_pieces, frame_size, probe, video_frames
from sensemble_sensors.errors import BadDataError

from sensemble_train.experiments.prepare.survey import Row

_SLACK = 1.0  # seconds by which a downloader's cut may be longer than the segment


@dataclass(frozen=True, slots=True)
class Example:
    """A checked row, ready to be written.

    Attributes:
        fields: the fields of the data format without media: id, split, labels, group, text, start and end.
        media: `video`, `audio` or `image` -> the file; one file may be both video and audio.
        longer: whether the media is longer than the example.
    """

    fields: dict[str, object]
    media: dict[str, Path]
    longer: bool


def inspect(row: Row) -> Example:
    """Open the files of a row and decode the beginning of each.

    Raises:
        BadDataError: a file is unreadable, lasts no time, is a video without sound, or is neither the segment
            nor the video that contains it.
    """
    fields: dict[str, object] = {"id": row.id, "split": row.split, "labels": list(row.labels)}
    fields |= {} if row.group is None else {"group": row.group}
    text = " ".join((row.text or _title(row.info) or "").split())
    if text:
        fields["text"] = text
    if row.image is not None:
        frame_size(row.image)
        return Example(fields, {"image": row.image}, longer=False)
    media: dict[str, Path] = {}
    if row.video is not None:
        tracks = probe(row.video).modalities
        if "video" in tracks:
            media["video"] = row.video
        if "audio" in tracks:
            media["audio"] = row.video
    if row.audio is not None:
        media["audio"] = row.audio
    if "audio" not in media:
        raise BadDataError(f"{row.video}: is a video without an audio track")
    spans = {path: _span(path, row) for path in dict.fromkeys(media.values())}
    if len({start for start, _ in spans.values()}) > 1:
        raise BadDataError(f"{row.video}, {row.audio}: one is cut to the segment and the other is not")
    start, end = next(iter(spans.values()))[0], min(end for _, end in spans.values())
    if "video" in media:
        next(islice(video_frames(media["video"], 1.0, (16, 16), start, end=end), 1))
    next(audio_pieces(media["audio"], 16000, start))
    longer = any(probe(path).seconds > end + _SLACK or start > _SLACK for path in spans)
    return Example(fields | {"start": start, "end": round(end, 3)}, media, longer)


def _span(path: Path, row: Row) -> tuple[float, float]:
    """Return where the segment begins and ends in the file, in seconds."""
    start, end = row.start or 0.0, row.end or 0.0
    seconds = probe(path).seconds
    if seconds <= 0:
        raise BadDataError(f"{path}: lasts no time")
    if row.trimmed or seconds <= end - start + _SLACK:
        return 0.0, min(end - start, seconds)
    if seconds <= start:
        raise BadDataError(
            f"{path}: lasts {seconds:g} s: neither the segment from {start:g} s to {end:g} s alone, nor the "
            "video that contains it"
        )
    return start, min(end, seconds)


def _title(info: Path | None) -> str | None:
    if info is None:
        return None
    try:
        title = json.loads(info.read_text("utf-8"))["title"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadDataError(f"{info}: is not yt-dlp's description of a video ({error})") from error
    return str(title)
