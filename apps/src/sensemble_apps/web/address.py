"""The address of a page, and who may open it."""

from pathlib import Path
from ssl import SSLContext

from sensemble_apps.web import certificate, security
from sensemble_apps.web.security import Access


def admit(
    host: str, port: int, own: Path | None, key: Path | None, title: str
) -> tuple[Access, SSLContext | None, list[str]]:
    """Return who may open a page, the context of TLS (None for none), and the lines that say where it is.

    Args:
        host: as asked for; any but loopback needs a token, and TLS.
        port: the port that is listened on.
        own: the user's own certificate; by default, one is made where it is needed.
        key: its private key, if that is in a file of its own.
        title: of the page.

    Raises:
        InputError: the certificate cannot be used.
    """
    loopback = security.is_loopback(host)
    if host in ("0.0.0.0", "::"):  # noqa: S104 - asked for by the user
        host = certificate.address_of_this_machine()
    shown = f"[{host}]" if ":" in host else host
    if loopback and own is None:
        return Access(), None, [f"{title}: http://{shown}:{port}/ (Ctrl-C ends it)"]
    token = None if loopback else security.new_token()
    access = Access(secure=True, token=token, names=security.own_names() | {host.lower()})
    query = "" if token is None else f"?token={token}"
    address = f"https://{shown}:{port}/{query}"
    lines = [f"{title}: {address} (Ctrl-C ends it)"]
    if own is not None:
        tls = certificate.own_context(own, key)
    else:
        tls, fingerprint = certificate.self_signed([host, *sorted(access.names - {host}), "localhost"])
        lines += [f"a browser will warn once: its certificate's SHA-256 must be {fingerprint}"]
    return access, tls, [*lines, *([] if loopback else [certificate.qr_code(address).rstrip("\n")])]
