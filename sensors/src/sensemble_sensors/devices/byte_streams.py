"""Open a source of bytes: a file, a pipe, a socket, a TCP or UDP address, a serial port. Needs POSIX."""

import os
import socket
import stat
import termios
import tty
from collections import deque
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

LOOPBACK = "127.0.0.1"
_PATIENCE = 5.0  # seconds that a connection may take
_BAUD = "115200"
_DATAGRAM = 1 << 16  # bytes, at most
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

    A source is `tcp://HOST:PORT`; `serial:PATH?baud=N`; `pipe:PATH` or the path of a file, a pipe or a
    socket. A named pipe is opened for writing too, so that it outlives its last writer.
    """
    if source.startswith("tcp://"):
        host, port = address(source)
        if not host:
            raise OSError(None, "an address is tcp://HOST:PORT")
        with socket.create_connection((host, port), _PATIENCE) as connection:
            return _kept(connection)
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


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Datagrams:
    """The UDP socket of `udp://HOST:PORT?from=SENDERS`, on this machine alone without a HOST.

    Another HOST needs the SENDERS, whose datagrams alone are read: addresses or networks, joined by commas,
    or `any`. A datagram carries no token, and its sender can be forged.

    Attributes:
        file: the descriptor; the caller closes it.
        strangers: the addresses of others whose datagrams were dropped, the last few.

    Raises OSError, with a reason, if it cannot be opened.
    """

    def __init__(self, source: str) -> None:
        host, port = address(source)
        host = host or LOOPBACK
        named = parse_qs(urlsplit(source).query).get("from", [""])[0]
        if not (named or is_loopback(host)):
            raise OSError(None, f"other machines may reach {host}, and datagrams have no token")
        self._any = named in {"", "any"}
        try:
            self._senders = [] if self._any else [ip_network(each.strip()) for each in named.split(",")]
        except ValueError as error:
            raise OSError(None, f"from={named} is neither an address nor `any`") from error
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.strangers: deque[str] = deque(maxlen=3)
        with socket.socket(self._family, socket.SOCK_DGRAM) as bound:
            bound.bind((host, port))
            self.file = bound.detach()

    def receive(self) -> bytes:
        """Return the next datagram; nothing in place of a stranger's."""
        borrowed = socket.socket(self._family, socket.SOCK_DGRAM, fileno=self.file)
        try:
            data, (sender, *_) = borrowed.recvfrom(_DATAGRAM)
        finally:
            borrowed.detach()
        if self._any or any(ip_address(sender) in network for network in self._senders):
            return data
        if sender not in self.strangers:
            self.strangers.append(sender)
        return b""


def _serial(address: str) -> int:
    path, _, query = address.partition("?")
    baud = parse_qs(query).get("baud", [_BAUD])[0]
    speed = getattr(termios, f"B{baud}", None)
    if speed is None:
        raise OSError(None, f"baud={baud} is not a rate of a serial port; {_BAUD} and 9600 are common")
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
