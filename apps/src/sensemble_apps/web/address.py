"""The address of a page, and who may open it, by the options of the commands that serve one."""

from ssl import SSLContext

from sensemble_apps.errors import InputError
from sensemble_apps.serve_arguments import Serving
from sensemble_apps.web import certificate, security
from sensemble_apps.web.security import Access


def check_serving(arguments: Serving) -> None:
    """Check the options.

    Raises:
        InputError: they do not go together.
    """
    if arguments.key is not None and arguments.certificate is None:
        raise InputError("--key: only for --certificate; leave it out, or name the certificate")


def admit(arguments: Serving, port: int, title: str) -> tuple[Access, SSLContext | None, list[str]]:
    """Return who may, the context of TLS (None for none), and the lines that say where the page is.

    Args:
        arguments: the options.
        port: the port that is listened on.
        title: of the page.

    Raises:
        InputError: the certificate cannot be used.
    """
    loopback = security.is_loopback(arguments.host)
    host = arguments.host
    if not loopback and host in ("0.0.0.0", "::"):  # noqa: S104 - asked for by the user
        host = certificate.address_of_this_machine()
    shown = f"[{host}]" if ":" in host else host
    if loopback and arguments.certificate is None:
        return Access(), None, [f"{title}: http://{shown}:{port}/ (Ctrl-C ends it)"]
    token = None if loopback else security.new_token()
    access = Access(secure=True, token=token, names=security.own_names() | {host.lower()})
    query = "" if token is None else f"?token={token}"
    address = f"https://{shown}:{port}/{query}"
    lines = [f"{title}: {address} (Ctrl-C ends it)"]
    if arguments.certificate is not None:
        tls = certificate.own_context(arguments.certificate, arguments.key)
    else:
        tls, fingerprint = certificate.self_signed([host, *sorted(access.names - {host}), "localhost"])
        lines += [f"a browser will warn once: its certificate's SHA-256 must be {fingerprint}"]
    return access, tls, [*lines, *([] if loopback else [certificate.qr_code(address).rstrip("\n")])]
