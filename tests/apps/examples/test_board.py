"""The service of `apps/examples/board`, without systemd: what it tells the manager."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE

pytestmark = pytest.mark.real

SERVICE = Path(__file__).parents[3] / "apps" / "examples" / "board" / "service.py"


def test_the_service_tells_systemd_when_it_is_ready(bundle_folder: Path, tmp_path: Path) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(PATIENCE)
        environment = os.environ | {"NOTIFY_SOCKET": str(address)}
        with subprocess.Popen([sys.executable, SERVICE, bundle_folder], env=environment) as service:
            assert manager.recv(100) == b"READY=1"
            service.send_signal(signal.SIGTERM)
            assert service.wait(PATIENCE) == -signal.SIGTERM
