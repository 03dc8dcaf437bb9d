"""Run a bundle on a camera and a microphone as a service of systemd: `python service.py BUNDLE`.

Each prediction is a line of JSON in the journal, and feeds the watchdog: a session that gives none for as
long as `WatchdogSec` of sensemble.service is started again.
"""

import json
import os
import socket
import sys

from sensemble_runtime import Bundle, Prediction, Session
from sensemble_sensors import Camera, Isolated, Microphone


def notify(state: str) -> None:
    """Tell systemd a state, as `sd_notify` does; without systemd, nothing."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.sendto(state.encode(), address.replace("@", "\0", 1))


def main(path: str) -> None:
    """Print predictions until the process is stopped."""
    with Session(Bundle.open(path)) as session:
        session.attach(Isolated(Camera, "0"))
        session.attach(Isolated(Microphone, "default"))
        notify("READY=1")
        for item in session.stream():
            if isinstance(item, Prediction):
                notify("WATCHDOG=1")
                shown = {"label": item.label, "confidence": item.confidence, "live": item.live}
                print(json.dumps(shown), flush=True)
            else:
                print(item, file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
