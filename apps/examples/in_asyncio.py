"""Embed a session in an asyncio program: one task takes what it gives, others go on meanwhile.

    uv run python apps/examples/in_asyncio.py BUNDLE CLIPS

plays three examples of CLIPS as if they were sensors; attach a `Camera` or a `Microphone` instead.
"""

import asyncio
import sys

from sensemble_runtime import Bundle, Session
from sensemble_sensors import Replay, read_dataset


async def show(session: Session) -> None:
    """Print predictions and events, without blocking the event loop."""
    stream = session.stream()
    while (item := await asyncio.to_thread(next, stream, None)) is not None:
        print(item)


async def tick() -> None:
    """Stand for the rest of your program."""
    while True:
        print("tick")
        await asyncio.sleep(1)


async def main(path: str, clips: str) -> None:
    """Show a replay while another task runs."""
    bundle = Bundle.open(path)
    player = Replay(read_dataset(clips).split("eval")[:3], bundle.specs)
    with Session(bundle, health=None) as session:  # what is played is not checked
        for modality in bundle.modalities:
            session.attach(player.sensor(modality))
        with player:
            ticking = asyncio.create_task(tick())
            await show(session)
            ticking.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
