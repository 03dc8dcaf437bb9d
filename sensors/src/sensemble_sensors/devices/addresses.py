"""Addresses in the network, as sources of sensors name them."""

from urllib.parse import urlsplit

LOOPBACK = "127.0.0.1"


def address(source: str, usual: int | None = None) -> tuple[str, int]:
    """Return the host of `SCHEME://HOST:PORT`, empty if left out, and the port, or the usual one.

    Raises OSError, with a reason, for what is no address.
    """
    try:
        parts = urlsplit(source)
        port = usual if parts.port is None else parts.port
    except ValueError:
        port = None
    if port is None:
        raise OSError(None, f"an address is {source.partition(':')[0]}://HOST:PORT")
    return parts.hostname or "", port
