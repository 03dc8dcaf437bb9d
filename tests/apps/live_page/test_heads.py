"""A head that is replaced while a session answers, as the studio does after each take."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from threading import Event, Thread
from typing import Any

import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.manifest_file import read_manifest, write_manifest
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.media.dataset import Example

from tests.waiting import PATIENCE

from .serving import serving

pytestmark = pytest.mark.real

RIGHT = {"this": 0.25, "that": 0.75}


def with_labels(folder: Path, name: str) -> Bundle:
    """Open a bundle whose labels and audit say which one it is."""
    contents, right = read_manifest(folder / "manifest.json"), RIGHT[name]
    audited = {
        subset: replace(score, accuracy=right, low=right, high=right)
        for subset, score in contents.audited.items()
    }
    labels = tuple(f"{name} {label}" for label in contents.labels)
    write_manifest(replace(contents, labels=labels, audited=audited), folder / "manifest.json")
    return Bundle.open(folder)


def test_every_answer_is_of_one_head_with_its_audit_and_its_lattice(
    bundle_folder: Path, examples: Sequence[Example], tmp_path: Path
) -> None:
    heads = [with_labels(Path(copytree(bundle_folder, tmp_path / name)), name) for name in RIGHT]
    over, answered, states = Event(), [], []

    def note(item: object) -> None:
        if isinstance(item, Prediction) and item.audited is not None:
            labels = [item.best, *(opinion.best for opinion in item.opinions.values())]
            answered.append((item.audited.accuracy, {str(label).split()[0] for label in labels}))

    def swap() -> None:
        while not over.wait(0.0005):
            assert served.session.replace_head(heads[0])
            heads.reverse()

    with serving(heads[0], examples) as served, served.viewer() as viewer:
        served.session.subscribe(note)
        swapping = Thread(target=swap)
        swapping.start()
        hello: dict[str, Any] = viewer.hello
        while min(len(answered), len(states)) < 20 or len({right for right, _ in answered}) < 2:
            message = json.loads(viewer.socket.recv(timeout=PATIENCE))
            if message["type"] == "hello":
                hello = message
            elif message["type"] == "state" and message["answer"]:
                answer, lattice = message["answer"], message["lattice"]
                labels = [answer["best"], *(one["best"] for one in lattice), *hello["labels"]]
                audited = {answer["audited"]["accuracy"], *(one["accuracy"] for one in hello["subsets"])}
                states.append((*audited, {label.split()[0] for label in labels}))
        over.set()
        swapping.join()
    for right, names in [*answered, *states]:
        assert [RIGHT[name] for name in names] == [right]
