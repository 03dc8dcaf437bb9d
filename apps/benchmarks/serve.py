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
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sensemble_apps.web.browser_sensor import HEADER
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.media.dataset import read_dataset
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.apps.live_page.serving import Served, serving

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
        asyncio.run(CLIENTS[name](int(port), arguments.seconds))
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


def origin(port: int) -> str:
    """Return the page's own origin."""
    return f"http://127.0.0.1:{port}"


def opened(port: int, **options: object) -> connect:
    """Connect to the page's WebSocket."""
    given: dict[str, object] = {"origin": origin(port), "max_size": None, "compression": None, **options}
    return connect(f"ws://127.0.0.1:{port}/socket", **given)  # type: ignore[arg-type]


async def viewer(port: int, seconds: float) -> None:
    """Read every state."""
    count = size = 0
    async with opened(port) as socket:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for message in socket:
                    count, size = count + 1, size + len(message)
    say(f"{count / seconds:.1f} states a second, {size / seconds / 1e3:.0f} kB a second")


async def sleeper(port: int, seconds: float) -> None:
    """Read nothing."""
    async with opened(port, max_queue=1):
        await asyncio.sleep(seconds)


async def giver(port: int, seconds: float) -> None:
    """Give sound, and measure when the answer about each window is here."""
    async with opened(port) as socket:
        hello = json.loads(await socket.recv())
        (audio,) = [one for one in hello["modalities"] if one["kind"] == "waveform"]
        sent = time.monotonic()
        await socket.send(json.dumps({"type": "clock", "sent": sent}))
        clock = await until(socket, "clock")
        clocked = {
            "type": "clocked",
            "sent": sent,
            "answered": clock["answered"],
            "received": time.monotonic(),
        }
        await socket.send(json.dumps(clocked))
        await socket.send(json.dumps({"type": "give", "modality": audio["modality"]}))
        sensor = (await until(socket, "giving"))["id"]
        speaking = asyncio.create_task(speak(socket, sensor, audio["rate"]))
        waits, last, offset = [], 0.0, 0.0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            state = await until(socket, "state")
            now = time.monotonic()
            # The least distance between the session's time and this clock; both are of one machine.
            offset = min(offset, now - state["time"]) if offset else now - state["time"]
            answer = state["answer"]
            if answer and answer["time"] != last:
                last = answer["time"]
                waits.append(now - (offset + answer["time"] - answer["age"]))
        speaking.cancel()
    late = np.percentile(waits, [50, 99]) * 1e3
    say(f"from a window's end to its answer: median {late[0]:.0f} ms, p99 {late[1]:.0f} ms")


async def speak(socket: ClientConnection, sensor: int, rate: float) -> None:
    """Send pieces of sound at the pace of a microphone."""
    rng, began = np.random.default_rng(0), time.monotonic()
    for number in range(1_000_000):
        await asyncio.sleep(max(0.0, began + (number + 1) * PIECE - time.monotonic()))
        piece = rng.uniform(-0.3, 0.3, round(PIECE * rate)).astype(np.float32)
        await socket.send(HEADER.pack(sensor, number, began + (number + 1) * PIECE) + piece.tobytes())


async def until(socket: ClientConnection, kind: str) -> Any:  # noqa: ANN401 - JSON
    """Return the next message of a kind."""
    while (message := json.loads(await socket.recv()))["type"] != kind:
        pass
    return message


async def again(port: int, seconds: float, attack: Callable[[ClientConnection], Awaitable[int]]) -> None:
    """Attack, and come back as soon as the server closes."""
    sent = closed = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(WebSocketException, OSError):
            async with opened(port, close_timeout=0.1) as socket:
                sent += await attack(socket)
        closed += 1
    say(f"{sent / seconds:.0f} messages a second were sent; closed {closed} times")


async def flood(port: int, seconds: float) -> None:
    """Send small messages at the rate of `FLOOD`."""

    async def attack(socket: ClientConnection) -> int:
        sent, began = 0, time.monotonic()
        with suppress(WebSocketException):
            while True:
                for _ in range(100):
                    await socket.send(bytes(32))
                    sent += 1
                await asyncio.sleep(max(0.0, began + sent / FLOOD - time.monotonic()))
        return sent

    await again(port, seconds, attack)


async def giant(port: int, seconds: float) -> None:
    """Send messages of 16 MB."""

    async def attack(socket: ClientConnection) -> int:
        with suppress(WebSocketException):
            await socket.send(bytes(1 << 24))
            await socket.recv()
        return 1

    await again(port, seconds, attack)


async def idle(port: int, seconds: float) -> None:
    """Open connections that say nothing, and see whether a viewer still gets in."""
    writers = []
    for _ in range(IDLE):
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
    began = time.monotonic()
    async with opened(port) as socket:
        await socket.recv()
        say(f"{len(writers)} opened; then a viewer got in within {1e3 * (time.monotonic() - began):.0f} ms")
    await asyncio.sleep(seconds)
    for writer in writers:
        writer.close()


async def stranger(port: int, seconds: float) -> None:
    """Ask again and again from another origin."""
    refused = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(InvalidStatus):
            async with opened(port, origin="https://attacker.example"):
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
