"""The cost of the live page to a session, and that of hostile clients.

`uv run python apps/benchmarks/serve.py BUNDLE DATA` takes what `sensemble demo` or `sensemble export` made,
and a dataset whose split eval it replays. It prints a row for each of these, one after another, each for
`--seconds`:

1. nobody looks; one viewer, ten states a second; a viewer that reads nothing;
2. sound that a client gives in pieces of 50 ms: from the end of a window to the answer at the client;
3. a client that sends 10,000 messages a second, and comes back whenever it is closed; one whose messages are
   16 MB; 1,000 idle connections; clients of another origin.

Of each: the predictions, the age of a prediction (from the end of its newest window to its time) as median
and p99, what the consumer missed, windows dropped, and the share of a core that the serving process used. The
clients run in a process of their own.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from statistics import median
from threading import Event, Thread

import numpy as np
from rich.console import Console
from rich.table import Table
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.media.dataset import read_dataset
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.apps.http_client import ServedPage
from tests.apps.live_page.serving import Served, Viewer, raw, serving

FLOOD = 10_000  # messages a second
IDLE = 1000  # connections
PIECE = 0.05  # seconds of sound in a message


def main() -> None:
    """Serve a replay, let each sort of client at it, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--client", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        name, port = arguments.client.split(":")
        CLIENTS[name](ServedPage(port=int(port)), arguments.seconds)
        return
    bundle = Bundle.open(arguments.bundle)
    examples = read_dataset(arguments.data).split("eval")
    table = Table(title="the live page beside a session")
    for title in (
        "clients",
        "predictions",
        "age, ms",
        "p99, ms",
        "missed",
        "dropped",
        "of a core",
        "they report",
    ):
        table.add_column(title, justify="right" if title != "they report" else "left")
    for name in ("nobody", *CLIENTS):
        given = () if name == "giver" else examples  # the giver's sound is the only sensor
        with serving(bundle, given) as served:
            table.add_row(name, *row(served, name, arguments))
    Console(width=150).print(table)


def row(served: Served, name: str, arguments: argparse.Namespace) -> Iterator[str]:
    """Let one sort of client at the page, and yield what became of the session."""
    ages: list[float] = []
    subscriber = served.session.subscribe(
        lambda item: ages.append(min(item.ages.values())) if isinstance(item, Prediction) else None
    )
    time.sleep(2.0)
    ages.clear()
    began, spent = time.monotonic(), time.process_time()
    report = ""
    if name == "nobody":
        time.sleep(arguments.seconds)
    else:
        command = [sys.executable, __file__, str(arguments.bundle), str(arguments.data)]
        command += ["--seconds", str(arguments.seconds), "--client", f"{name}:{served.port}"]
        report = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    share = (time.process_time() - spent) / (time.monotonic() - began)
    state = served.session_state.snapshot()
    yield str(len(ages))
    yield f"{1e3 * median(ages):.1f}" if ages else "-"
    yield f"{1e3 * float(np.percentile(ages, 99)):.1f}" if ages else "-"
    yield str(served.session.missed + served.session.missed_events + subscriber.dropped)
    yield str(sum(state["dropped"].values()))
    yield f"{share:.1%}"
    yield report


def viewer(page: ServedPage, seconds: float) -> None:
    """Read every state."""
    states = size = 0
    end = time.monotonic() + seconds
    with page.socket() as socket:
        while (left := end - time.monotonic()) > 0:
            with suppress(TimeoutError):
                states, size = states + 1, size + len(socket.recv(timeout=left))
    say(f"{states / seconds:.1f} states a second, {size / seconds / 1e3:.0f} kB a second")


def sleeper(page: ServedPage, seconds: float) -> None:
    """Read nothing."""
    with page.socket(max_queue=1):
        time.sleep(seconds)


def giver(page: ServedPage, seconds: float) -> None:
    """Give sound, and measure when the answer about each window is here."""
    with page.socket() as socket:
        client = Viewer(socket)
        (audio,) = [one for one in client.hello["modalities"] if one["kind"] == "waveform"]
        sensor, _ = client.give(audio["modality"])
        over = Event()
        speaker = Thread(target=speak, args=(client, sensor, audio["rate"], over))
        speaker.start()
        waits, last, offset = [], 0.0, 0.0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            state = client.next("state")
            now = time.monotonic()
            # The least distance between the session's time and this clock; both are of one machine.
            offset = min(offset, now - state["time"]) if offset else now - state["time"]
            answer = state["answer"]
            if answer and answer["time"] != last:
                last = answer["time"]
                waits.append(now - (offset + answer["time"] - answer["age"]))
        over.set()
        speaker.join()
    late = np.percentile(waits, [50, 99]) * 1e3
    say(f"from a window's end to its answer: median {late[0]:.0f} ms, p99 {late[1]:.0f} ms")


def speak(client: Viewer, sensor: int, rate: float, over: Event) -> None:
    """Send pieces of sound at the pace of a microphone."""
    rng, captured, number = np.random.default_rng(0), time.monotonic() + PIECE, 0
    while not over.wait(captured - time.monotonic()):
        piece = rng.uniform(-0.3, 0.3, round(PIECE * rate)).astype(np.float32)
        client.sample(sensor, number, piece.tobytes(), captured)
        captured, number = captured + PIECE, number + 1


def again(page: ServedPage, seconds: float, attack: Callable[[ClientConnection], Iterator[None]]) -> None:
    """Attack, and come back as soon as the server closes; `attack` yields after each message."""
    sent = closed = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(WebSocketException, OSError), page.socket(close_timeout=0.1) as socket:
            for _ in attack(socket):
                sent += 1
        closed += 1
    say(f"{sent / seconds:.0f} messages a second were sent; closed {closed} times")


def flood(page: ServedPage, seconds: float) -> None:
    """Send small messages at the rate of `FLOOD`."""

    def attack(socket: ClientConnection) -> Iterator[None]:
        began = time.monotonic()
        for sent in count(1):
            socket.send(bytes(32))
            yield
            if sent % 100 == 0:
                time.sleep(max(0.0, began + sent / FLOOD - time.monotonic()))

    again(page, seconds, attack)


def giant(page: ServedPage, seconds: float) -> None:
    """Send messages of 16 MB."""

    def attack(socket: ClientConnection) -> Iterator[None]:
        yield
        socket.send(bytes(1 << 24))
        socket.recv()

    again(page, seconds, attack)


def idle(page: ServedPage, seconds: float) -> None:
    """Open connections that say nothing, and see whether a viewer still gets in."""
    opened = []
    for _ in range(IDLE):
        with suppress(OSError):
            opened.append(raw(page.port, b""))
    began = time.monotonic()
    with page.socket() as socket:
        socket.recv()
        say(f"{len(opened)} opened; then a viewer got in within {1e3 * (time.monotonic() - began):.0f} ms")
    time.sleep(seconds)
    for connection in opened:
        connection.close()


def stranger(page: ServedPage, seconds: float) -> None:
    """Ask again and again from another origin."""
    refused = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(InvalidStatus), page.socket(additional_headers={"Origin": "https://attacker.example"}):
            raise AssertionError("let in")
        refused += 1
    say(f"{refused / seconds:.0f} handshakes a second were refused")


def say(text: str) -> None:
    """Print a line of the report."""
    sys.stdout.write(text + "\n")


CLIENTS = {
    "viewer": viewer,
    "sleeper": sleeper,
    "giver": giver,
    "flood": flood,
    "giant": giant,
    "idle": idle,
    "stranger": stranger,
}

if __name__ == "__main__":
    main()
