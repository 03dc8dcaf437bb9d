"""The bundle of the demo, and its live page on a replay and without sensors."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.media.dataset import Example, read_dataset

from .serving import Served, serving


@pytest.fixture(scope="module")
def bundle(bundle_folder: Path) -> Bundle:
    return Bundle.open(bundle_folder)


@pytest.fixture(scope="module")
def examples(dataset_folder: Path) -> Sequence[Example]:
    return read_dataset(dataset_folder).split("eval")


@pytest.fixture(scope="module")
def replayed(bundle: Bundle, examples: Sequence[Example]) -> Iterator[Served]:
    """A page on a replay; leave it with every sensor plugged in."""
    with serving(bundle, examples) as served:
        yield served


@pytest.fixture
def empty(bundle: Bundle, tmp_path: Path) -> Iterator[Served]:
    """A page without sensors."""
    with serving(bundle, recordings=tmp_path / "recordings") as served:
        yield served
