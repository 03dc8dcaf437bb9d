"""Open a source of bytes: a file, a pipe, a socket, a TCP or UDP address, a serial port. Needs POSIX."""

import os
import socket
import stat
import termios
import tty
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

LOOPBACK = "127.0.0.1"
_PATIENCE = 5.0  # seconds that a connection may take
_BAUD = "115200"
# Seconds of quiet before the other machine is probed, seconds between two probes, and how many.
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPALIVE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


def address(source: str, usual: int | None = None) -> tuple[str, int]:
    """Return the host, or "", and the port, or the usual one, of `SCHEME://HOST:PORT`; or raise OSError."""
    try:
        parts = urlsplit(source)
        port = usual if parts.port is None else parts.port
    except ValueError:
        port = None
    if port is None:
        raise OSError(None, f"an address is {source.partition(':')[0]}://HOST:PORT")
    return parts.hostname or "", port


def open_stream(source: str) -> int:
    """Return the descriptor of a source; OSError, with a reason, if it cannot be opened.

    A source is `tcp://HOST:PORT`; `udp://HOST:PORT`, on this machine alone without a HOST;
    `serial:PATH?baud=N`; `pipe:PATH` or the path of a file, a pipe or a socket. A named pipe is opened for
    writing too, so that it outlives its last writer.
    """
    if source.startswith("tcp://"):
        host, port = address(source)
        if not host:
            raise OSError(None, "an address is tcp://HOST:PORT")
        with socket.create_connection((host, port), _PATIENCE) as connection:
            return _kept(connection)
    if source.startswith("udp://"):
        host, port = address(source)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as bound:
            bound.bind((host or LOOPBACK, port))
            return bound.detach()
    if source.startswith("serial:"):
        return _serial(source.removeprefix("serial:"))
    path = source.removeprefix("pipe:")
    mode = Path(path).stat().st_mode
    if stat.S_ISSOCK(mode):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_PATIENCE)  # the server may hang
            connection.connect(path)
            return _kept(connection)
    if stat.S_ISDIR(mode):
        raise OSError(None, "a folder; name a file, a pipe or a socket")
    return os.open(path, os.O_RDWR | os.O_NONBLOCK if stat.S_ISFIFO(mode) else os.O_RDONLY)


def _serial(address: str) -> int:
    path, _, query = address.partition("?")
    baud = parse_qs(query).get("baud", [_BAUD])[0]
    speed = getattr(termios, f"B{baud}", None)
    if speed is None:
        raise OSError(None, f"baud={baud} is no rate of a serial port; {_BAUD} and 9600 are common")
    file = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        tty.setraw(file)
        settings = termios.tcgetattr(file)
        settings[4] = settings[5] = speed
        termios.tcsetattr(file, termios.TCSANOW, settings)
    except termios.error as error:
        os.close(file)
        raise OSError(None, "not a serial port") from error
    return file


def _kept(connection: socket.socket) -> int:
    """Return the descriptor of a connection that fails soon after the other machine is gone."""
    if connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE.items():
            if hasattr(socket, option):  # not every system has all of them
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    connection.setblocking(True)
    return connection.detach()
