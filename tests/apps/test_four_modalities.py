"""The whole way with a fourth modality: colours, tones and captions, and how a wrist moves meanwhile."""

import json
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Self

import numpy as np
import pytest
from numpy.typing import NDArray
from sensemble_apps.tables.audits import audits
from sensemble_runtime import Bundle, Prediction, Session
from sensemble_sensors import LineSeries, Recorded, Recording, Replay, Sample, read_dataset
from sensemble_sensors.recording.header import form_of
from sensemble_sensors.spec import declared

from .clips import CLASSES, write_dataset
from .conftest import MODALITIES, Sensemble, tiny, whole_way

pytestmark = pytest.mark.slow
WAIT = 300.0  # seconds; a busy machine is no failure


def write_moved(folder: Path) -> Path:
    """Write clips of colours, tones and captions, and how a wrist moves meanwhile."""
    write_dataset(folder, {"pretrain": 4, "train": 6, "calibrate": 4, "eval": 4})
    rng, index = np.random.default_rng(0), folder / "index.jsonl"
    lines = [json.loads(line) for line in index.read_text().splitlines()]
    for line in lines:
        pace = 1 + list(CLASSES).index(line["id"].split("-")[1])
        turn = 2 * np.pi * pace * np.arange(20) / 20
        rows = np.stack([np.cos(turn), np.sin(turn)], axis=1) + rng.normal(0, 0.05, (20, 2))
        np.save(folder / f"{line['id']}.npy", rows.astype(np.float32))
        line["imu"] = f"{line['id']}.npy"
    index.write_text("".join(json.dumps(line) + "\n" for line in lines))
    imu = {"kind": "series", "rate": 20, "channels": ["ax", "ay"], "units": ["m/s^2", "m/s^2"]}
    (folder / "modalities.json").write_text(json.dumps({"imu": imu}))
    return folder


@pytest.fixture(scope="module")
def four(once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """A folder with a dataset, `data`, and a run on it, barely trained. Read only.

    Only what reads the wrist is an encoder of ours; the others are tiny, for lowering takes longest.
    """

    def run(base: Path) -> None:
        whole_way(write_moved(base / "data"), base / "run", "--effort", "0.05", *tiny(*MODALITIES))

    return once("four", run)


class Wrist:
    """A wearable that sends rows over TCP, until it is unplugged, and again when it is plugged back in."""

    def __init__(self, rows: NDArray[np.float32], rate: float, channels: list[str]) -> None:
        self._rows, self._rate, self._channels = rows, rate, channels
        self._server = socket.create_server(("127.0.0.1", 0))
        self.plugged, self._over = Event(), Event()
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = Thread(target=self._send, daemon=True)

    def __enter__(self) -> Self:
        self.plugged.set()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.plugged.set()
        socket.create_connection(self._server.getsockname(), WAIT).close()
        self._thread.join(WAIT)
        self._server.close()

    def _send(self) -> None:
        while not self._over.is_set():
            connection, _ = self._server.accept()
            with connection, suppress(ConnectionError):  # its reader has gone
                count = 0
                while self.plugged.is_set() and not self._over.is_set():
                    row = self._rows[count % len(self._rows)].tolist()
                    line = {"time": count / self._rate} | dict(zip(self._channels, row, strict=True))
                    connection.sendall((json.dumps(line) + "\n").encode())
                    count += 1
                    self._over.wait(1 / self._rate)
            self.plugged.wait(WAIT)


def test_each_encoder_is_one_subgraph_and_all_fifteen_sets_are_audited(four: Path) -> None:
    bundle = Bundle.open(four / "run" / "bundle")
    assert bundle.modalities == ("audio", "imu", "text", "video")
    assert bundle.specs["imu"].kind == "series"
    report = json.loads((four / "run" / "bundle" / "lowering.json").read_text())
    own = {path: division for path, division in report.items() if path.startswith("imu/")}
    assert own
    assert all(one["subgraphs"] == 1 and not one["not_delegated"] for one in own.values())
    artifact = bundle.manifest.modalities["imu"].artifacts["executorch-xnnpack"]
    assert artifact.scheme.startswith("int8")
    assert len(audits(four / "run").scores) == 15
    assert "imu" in (four / "run" / "report.html").read_text()


def test_a_wrist_comes_back_and_is_replayed_bit_for_bit(four: Path, here: Sensemble, tmp_path: Path) -> None:
    bundle = Bundle.open(four / "run" / "bundle")
    specs = bundle.specs
    examples = read_dataset(four / "data").split("eval")
    others = {m: spec for m, spec in specs.items() if m != "imu"}
    rows = np.load(str(examples[0].value("imu")))
    names = [channel.name for channel in specs["imu"].channels]
    given: list[Sample] = []
    taken = Recording(tmp_path / "taken", form_of(specs), declared=declared(specs.values()))
    with (
        Wrist(rows, specs["imu"].rate, names) as wrist,
        taken as recording,
        Replay(examples, others, repeated=True) as player,
        Session(bundle, lasting=True) as session,
    ):

        def keep(sensor: str, sample: Sample) -> None:  # noqa: ARG001
            given.append(sample)
            recording.put(sample)

        queue = session.listen(keep)
        for modality in others:
            session.attach(player.sensor(modality))
        session.attach(LineSeries(wrist.address, modality="imu"))
        stream, events = session.stream(), set()
        # Live, then without its wrist, then live again.
        for live, then in ((True, wrist.plugged.clear), (False, wrist.plugged.set), (True, lambda: None)):
            until = monotonic() + WAIT
            for item in stream:
                assert monotonic() < until, (live, events)
                if not isinstance(item, Prediction) and item.modality == "imu":
                    events.add(item.kind)
                if isinstance(item, Prediction) and ("imu" in item.live) == live and len(item.live) >= 3:
                    break
            then()
        session.unsubscribe(queue)
        assert queue.join(WAIT)
    assert "lost" in events
    recorded = Recorded(tmp_path / "taken", read_dataset(tmp_path / "taken").examples, specs)
    found = list(recorded.samples(specs))
    for modality in specs:
        ours, theirs = ([s for s in some if s.modality == modality] for some in (given, found))
        assert len(ours) == len(theirs) > 0
        for one, other in zip(sorted(ours, key=lambda s: s.time), theirs, strict=True):
            np.testing.assert_array_equal(one.data, other.data)
    done = here("run", four / "run" / "bundle", "--replay", tmp_path / "taken", "--fast", "--json")
    assert done.returncode == 0, done.stderr
    assert any("imu" in json.loads(line).get("live", ()) for line in done.stdout.splitlines())
