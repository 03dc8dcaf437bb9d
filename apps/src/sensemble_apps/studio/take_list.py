"""The takes of a project: listed, drawn, held out, deleted and renamed."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.dataset import Dataset, read_dataset
from sensemble_sensors.media.division import Division, divide
from sensemble_sensors.recording.editing import rename_label, set_splits
from sensemble_sensors.recording.reader import Recorded
from sensemble_sensors.recording.takes import Take, delete_take, relabel_take
from sensemble_sensors.spec import InputSpec

from sensemble_apps.errors import InputError
from sensemble_apps.live_page.examples import previews
from sensemble_apps.running.take_recorder import takes_in

MOST = 2000  # takes of a project
_THUMBNAILS = 256  # kept


class Takes:
    """The takes of a recording, which need not be there yet. Safe from any thread.

    The methods that write raise RecordingError if there is no such take, or the recording cannot be written.

    Attributes:
        takes: in order.
        dataset: their examples; None while there are none.
        division: the takes to hold out; None while there are none.
    """

    def __init__(self, folder: Path, specs: Mapping[str, InputSpec]) -> None:
        self._folder, self._specs = folder, specs
        self._lock = Lock()
        self._drawn = lru_cache(_THUMBNAILS)(self._draw)
        self.takes: tuple[Take, ...] = ()
        self.dataset: Dataset | None = None
        self.division: Division | None = None
        self.refresh()

    def refresh(self) -> None:
        """Read the recording again; BadDataError if it is damaged."""
        with self._lock:
            self.takes = takes_in(self._folder)
            self.dataset = read_dataset(self._folder) if self.takes else None
            self.division = divide(self.dataset) if self.dataset is not None else None

    def describe(self) -> list[dict[str, Any]]:
        """Return the takes for JSON, the newest first; `proposed` is the split to put each into."""
        splits = self.division.splits if self.division is not None else {}
        return [
            {
                "number": take.number,
                "label": take.labels[0] if take.labels else None,
                "background": take.background,
                "seconds": round(take.seconds, 1),
                "modalities": list(take.modalities),
                "split": take.split,
                "proposed": splits.get(take.segments[0], take.split),
            }
            for take in reversed(self.takes)
        ]

    @property
    def is_divided(self) -> bool:
        """True if every take is in its proposed split, and some are held out."""
        held = {take.split for take in self.takes}
        return "eval" in held and all(take["split"] == take["proposed"] for take in self.describe())

    def hold_out(self) -> None:
        """Put the takes into their proposed splits; InputError if there are too few to hold any out."""
        if self.division is None or "eval" not in self.division.splits.values():
            raise InputError("there are too few takes to hold any out; record two or more of each class")
        set_splits(self._folder, self.division.splits)
        self.refresh()

    def delete(self, number: int) -> None:
        """Delete a take."""
        delete_take(self._folder, number)
        self.refresh()

    def move(self, number: int, labels: Sequence[str], *, background: bool) -> None:
        """Give a take other labels; without any, and without being a background, it is unlabelled."""
        splits = {take.number: take.split for take in self.takes}
        split = "pretrain" if not labels and not background else splits.get(number, "train")
        split = "train" if (labels or background) and split == "pretrain" else split
        relabel_take(self._folder, number, split=split, labels=labels, background=background)
        self.refresh()

    def rename(self, label: str, new: str) -> None:
        """Give the takes of a class the class's new name."""
        if self.of(label):
            rename_label(self._folder, label, new)
            self.refresh()

    def of(self, label: str) -> Sequence[Take]:
        """Return the takes of a class."""
        return [take for take in self.takes if label in take.labels]

    def thumbnail(self, number: int) -> dict[str, Any]:
        """Return previews of the middle of a take, by modality; InputError if there is no such take."""
        with self._lock:
            return self._drawn(number)

    def _draw(self, number: int) -> dict[str, Any]:
        take = next((take for take in self.takes if take.number == number), None)
        if take is None or self.dataset is None:
            raise InputError(f"there is no take {number}")
        middle = take.segments[len(take.segments) // 2]
        examples = [example for example in self.dataset.examples if example.id == middle]
        if not examples:
            raise BadDataError(f"take {number}: its segment {middle} is not in the index")
        (segment,) = Recorded(self._folder, examples).segments
        return previews(segment.samples(), self._specs)
