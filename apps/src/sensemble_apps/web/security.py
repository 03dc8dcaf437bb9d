"""The address of a page, and its access: requests are admitted by host, origin and a token."""

import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import gethostname
from ssl import SSLContext
from urllib.parse import parse_qs, urlsplit

from sensemble_sensors.devices.byte_streams import is_loopback
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sensemble_apps.web import certificate
from sensemble_apps.web.connections import Connections

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
"""Sent with every response."""
_LAST = {**HEADERS, "Connection": "close"}  # of a refusal: do not wait for the rest of the request


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of access to a page.

    Another page can neither read this one nor press its buttons, for its origin differs. Against DNS
    rebinding, a request's host must be the address of its connection, or one of `names`.

    Attributes:
        secure: whether the page is served by TLS.
        token: which a client must show; None on loopback.
        names: host names that are accepted beside addresses, with a token.
    """

    secure: bool = False
    token: str | None = None
    names: frozenset[str] = frozenset()

    def refusal(self, scope: Scope, headers: Headers) -> str:
        """Return why a request is refused before its token is looked at; empty if it is not."""
        host = headers.get("host", "")
        if not self._is_ours(host, scope):
            return f"{host or 'no host'}: not an address of this page"
        origin = headers.get("origin")
        if origin is not None and origin != f"{'https' if self.secure else 'http'}://{host}":
            return f"{origin}: another page's origin"
        site = headers.get("sec-fetch-site", "none")
        opened = scope["path"] == "/" and headers.get("sec-fetch-dest") == "document"
        if site not in ("same-origin", "none") and not opened:
            return f"a {site} request: another page's; only its own page's address may be linked to"
        return ""

    def admits(self, scope: Scope, headers: Headers) -> bool:
        """Return whether a request shows the token: in its cookie, as a bearer, or in its address."""
        if self.token is None:
            return True
        name = _cookie_name(scope)
        cookies = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        shown = [value for key, _, value in cookies if key == name]
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            shown.append(bearer.strip())
        shown += _in_query(scope)
        return any(hmac.compare_digest(value.encode(), self.token.encode()) for value in shown)

    def _is_ours(self, host: str, scope: Scope) -> bool:
        server = scope.get("server")
        try:
            parts = urlsplit(f"//{host}")
            port = parts.port or (443 if self.secure else 80)
        except ValueError:
            return False
        name = (parts.hostname or "").lower()
        if server is None or parts.username is not None or port != server[1]:
            return False
        if name == "localhost":
            return is_loopback(server[0])
        try:
            return ip_address(name) == _plain(server[0])
        except ValueError:
            return self.token is not None and name in self.names


def _plain(address: str) -> IPv4Address | IPv6Address:
    """Return the address of a connection; one by IPv4 to a socket for both kinds is written as IPv6."""
    parsed = ip_address(address)
    return (parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None) or parsed


class Guard:
    """ASGI middleware that refuses what `access` does not admit, and adds `HEADERS` that a response lacks.

    A token in the page's address becomes a cookie, so that the address bar and the history do not keep it.
    """

    def __init__(self, app: ASGIApp, access: Access, connections: Connections, content_policy: str) -> None:
        self._app, self._access, self._connections = app, access, connections
        self._headers = {**HEADERS, "Content-Security-Policy": content_policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or let it through."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal: Response | None = None
        if reason := self._access.refusal(scope, headers):
            refusal = PlainTextResponse(f"refused: {reason}\n", 403, _LAST)
        elif not self._access.admits(scope, headers):
            refusal = PlainTextResponse(
                "refused: open the address with the token that the command printed\n", 401, _LAST
            )
        if scope["type"] == "websocket":
            if refusal is not None:
                await send({"type": "websocket.close", "code": 1008})  # before it is accepted: 403
                return
            with self._connections.answering(scope):
                await self._app(scope, receive, send)
            return
        if refusal is None and self._access.token is not None and scope["path"] == "/" and _in_query(scope):
            refusal = self._signed_in(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = list(message.get("headers", ()))
                given = [(key.lower().encode(), value.encode()) for key, value in self._headers.items()]
                message["headers"] = own + [one for one in given if one[0] not in dict(own)]
            await send(message)

        with self._connections.answering(scope):
            await self._app(scope, receive, send_with_headers)

    def _signed_in(self, scope: Scope) -> Response:
        response = RedirectResponse("/", 303, HEADERS)
        response.set_cookie(
            _cookie_name(scope),
            self._access.token or "",
            secure=self._access.secure,
            httponly=True,
            samesite="lax",  # else a link in a message would lead to a page that lacks it
        )
        return response


def _cookie_name(scope: Scope) -> str:
    server = scope.get("server")  # cookies are shared by all ports of a machine
    return f"sensemble_{server[1] if server else 0}"


def _in_query(scope: Scope) -> list[str]:
    return parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [])


@dataclass(frozen=True, slots=True)
class Admission:
    """The access to a page, and its address.

    Attributes:
        tls: the context of TLS; None for none.
        fingerprint: the SHA-256 of the certificate, as browsers show it; empty without TLS.
    """

    access: Access
    tls: SSLContext | None
    address: str
    fingerprint: str = ""

    def lines(self, title: str) -> Iterator[str]:
        """Yield the lines for a terminal: the address, and with TLS the certificate and a QR code."""
        yield f"{title}: {self.address} (Ctrl-C ends it)"
        if self.tls is not None:
            yield f"a browser will warn once: its certificate's SHA-256 must be {self.fingerprint}"
            yield certificate.qr_code(self.address).rstrip("\n")

    def qr_picture(self) -> str:
        """Return a QR code of the address as the address of a picture."""
        return certificate.qr_picture(self.address)


def admit(host: str, port: int, fragment: str = "") -> Admission:
    """Admit viewers to a page: any host but loopback needs a token, and TLS; its address has a fragment."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - asked for by the user
        host = certificate.address_of_this_machine()
    shown = f"[{host}]" if ":" in host else host
    if is_loopback(host):
        return Admission(Access(), None, f"http://{shown}:{port}/{fragment}")
    token = secrets.token_urlsafe(16)
    own = gethostname().lower()  # by these names, a local network knows this machine
    access = Access(secure=True, token=token, names=frozenset({own, f"{own}.local", host.lower()}))
    tls, fingerprint = certificate.self_signed([host, *sorted(access.names - {host}), "localhost"])
    return Admission(access, tls, f"https://{shown}:{port}/?token={token}{fragment}", fingerprint)
