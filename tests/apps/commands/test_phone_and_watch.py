"""The whole way of a phone and a watch: train, export, live over the network, record, replay, audit, report.

It trains on drawn motion, barely.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from sensemble_apps.tables.audits import audits

from tests.apps.conftest import Sensemble, tiny, whole_way
from tests.apps.http_client import ask
from tests.apps.served import running, wait_for_state
from tests.sensors.reading import free_port
from tests.waiting import PATIENCE

SENSORS = {
    f"{device}.{quantity[:3]}": {"kind": "series", "rate": 100, "device": device}
    | {"channels": [quantity[0] + axis for axis in "xyz"], "units": [unit] * 3}
    for device in ("phone", "watch")
    for quantity, unit in (("acceleration", "m/s^2"), ("gyration", "rad/s"))
}
PACES = {"resting": 0.0, "walking": 2.0, "running": 5.0}  # Hz
BATCH = 0.2  # seconds that an app sends at once
TRAINED, EVALUATED = 7, 3  # recordings, each of another person


def drawn(folder: Path) -> Path:
    """Write recordings of 6 s, in which a person rests, walks and runs, and their windows as a dataset."""
    folder.mkdir()
    rng, times = np.random.default_rng(0), np.arange(0, 6, 0.01)
    lines = []
    for person in range(TRAINED + EVALUATED):
        split = "train" if person < TRAINED else "eval"
        files = {modality: f"{person}.{modality}.csv" for modality in SENSORS}
        pace = np.repeat([*PACES.values()], 200) * rng.uniform(0.9, 1.1)
        for modality, file in files.items():
            phase = 2 * np.pi * times * pace + rng.uniform(0, 2 * np.pi)
            rows = pace[:, None] * np.stack([np.sin(phase), np.cos(phase), np.sin(2 * phase)], axis=1)
            rows += rng.normal(0, 0.1, rows.shape)
            rows[:, 2] += 9.8 if modality.endswith("acc") else 0
            header = ",".join(["time", *SENSORS[modality]["channels"]])
            np.savetxt(folder / file, np.column_stack([times, rows]), "%.4f", ",", header=header, comments="")
        lines += [
            {
                "id": f"{person}-{label}-{start}",
                "split": split,
                "group": f"person {person}",
                "labels": [label],
            }
            | {"start": 2.0 * place + start, "end": 2.0 * place + start + 1, **files}
            for place, label in enumerate(PACES)
            for start in (0.0, 0.5, 1.0)
        ]
    (folder / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "modalities.json").write_text(json.dumps(SENSORS))
    return folder


@contextmanager
def worn(device: str, port: int, files: Mapping[str, Path]) -> Iterator[None]:
    """Post a device's recording in real time, again and again, as an app on it does."""
    stopped = Event()

    def send() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        tracks = {m: np.loadtxt(path, delimiter=",", skiprows=1) for m, path in files.items()}
        names = {m: path.open().readline().strip().split(",") for m, path in files.items()}
        lasts = min(rows[-1, 0] for rows in tracks.values())
        began, at = monotonic(), 0.0
        while not stopped.wait(max(0.0, began + at + BATCH - monotonic())):
            for m, rows in tracks.items():
                inside = (rows[:, 0] >= at % lasts) & (rows[:, 0] < at % lasts + BATCH)
                batch = rows[inside] + [at - at % lasts, 0, 0, 0]
                body = dict(zip(names[m], batch.T.tolist(), strict=True))
                connection.request("POST", f"/{device}", json.dumps(body))
                connection.getresponse().read()
            at += BATCH

    thread = Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


@pytest.mark.real
def test_the_whole_way(here: Sensemble, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, run, takes, port = drawn(tmp_path / "data"), tmp_path / "run", tmp_path / "takes", free_port()
    whole_way(data, run, "--effort", "0.05", *tiny(*SENSORS))
    capsys.readouterr()
    bundle = run / "bundle"
    assert len(audits(run).scores) == 15

    line = json.loads((data / "index.jsonl").read_text().splitlines()[-1])
    pooled = ("--unfamiliar", "pool")  # a model that hardly learned knows little
    given = [f"--sensor={m}=http://127.0.0.1:{port}/{m.partition('.')[0]}" for m in SENSORS]
    phone, watch = (
        {m: data / line[m] for m in SENSORS if m.startswith(device)} for device in ("phone", "watch")
    )

    def live(*some: str) -> Any:  # noqa: ANN401
        return wait_for_state(address, lambda found: sorted(found["state"]["live"]) == sorted(some))

    with (
        running("serve", bundle, *given, *pooled, "--recordings", takes) as (_, address),
        worn("phone", port, phone),
    ):
        with worn("watch", port, watch):
            live(*SENSORS)
        off = live(*phone)["state"]
        assert off["answer"]
        assert {sensor["modality"] for sensor in off["sensors"]} == {*SENSORS}
        with worn("watch", port, watch):
            live(*SENSORS)
            page = urlsplit(address).port or 0
            assert ask(page, "/api/record", "POST", {"on": True})[0] == 204
            wait_for_state(address, lambda found: found["state"]["recorded"] >= 3)
            assert ask(page, "/api/record", "POST", {"on": False})[0] == 204

    replays = [here("run", bundle, "--replay", takes, *pooled, "--fast", "--json") for _ in range(2)]
    assert replays[0].returncode == 0, replays[0].stderr
    first, second = (
        [{**json.loads(one), "latencies": 0} for one in it.stdout.splitlines()] for it in replays
    )
    assert first == second
    assert sorted(SENSORS) in [answer["live"] for answer in first]

    lines = [json.loads(one) for one in (takes / "index.jsonl").read_text().splitlines()]
    label = line["labels"][0]
    (takes / "index.jsonl").write_text(
        "".join(json.dumps(one | {"split": "eval", "labels": [label]}) + "\n" for one in lines)
    )
    audited = here("audit", bundle, "--data", takes, "--json")
    assert audited.returncode == 0, audited.stderr
    assert json.loads(audited.stdout)["examples"] == len(lines) >= 3
    assert "The watch is off" in (run / "report.html").read_text()
