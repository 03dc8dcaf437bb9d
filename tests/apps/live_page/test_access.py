"""Access to the page: by Host, Origin and token; and what is sent with every answer."""

import hashlib
import ssl
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sensemble_apps.web.certificate import self_signed
from sensemble_apps.web.security import Access
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.devices.byte_streams import is_loopback
from websockets.exceptions import InvalidStatus

from .serving import Served, serving

pytestmark = pytest.mark.real

TOKEN = "a-token-of-the-test"  # noqa: S105 - as it says


@pytest.fixture(scope="module")
def plain(bundle: Bundle) -> Iterator[Served]:
    with serving(bundle) as served:
        yield served


@pytest.fixture(scope="module")
def guarded(bundle: Bundle) -> Iterator[Served]:
    """As on any other address, but without TLS, which `http.client` would have to be told to trust."""
    with serving(bundle, access=Access(token=TOKEN, names=frozenset({"robot.local"}))) as served:
        yield served


@pytest.mark.parametrize("path", ["/", "/main.js", "/api/state", "/api/openapi.json", "/none"])
def test_every_answer_keeps_other_pages_out(plain: Served, path: str) -> None:
    _, headers, _ = plain.ask(path)
    lower = {key.lower(): value for key, value in headers.items()}
    assert lower["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in lower["content-security-policy"]
    assert lower["x-content-type-options"] == "nosniff"
    assert lower["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in lower
    assert "server" not in lower


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example:{port}",  # whose name was let point here: DNS rebinding
        "127.0.0.1:1",
        "127.0.0.2:{port}",
        "user@127.0.0.1:{port}",
        "robot.local:{port}",
        "localhost.attacker.example:{port}",
        "",
        "[",
    ],
)
def test_a_host_that_is_not_this_page_is_refused(plain: Served, host: str) -> None:
    status, _, body = plain.ask("/api/state", headers={"Host": host.format(port=plain.port)})
    assert (status, body.startswith(b"refused: ")) == (403, True)


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}"])
def test_the_pages_own_host_is_answered(plain: Served, host: str) -> None:
    assert plain.ask("/api/state", headers={"Host": host.format(port=plain.port)})[0] == 200


@pytest.mark.parametrize(
    "origin",
    [
        "https://attacker.example", "null", "http://127.0.0.1:1", "https://127.0.0.1:{port}",
        "http://localhost:{port}",
    ],
)  # fmt: skip
def test_another_pages_origin_is_refused(plain: Served, origin: str) -> None:
    origin = origin.format(port=plain.port)
    for path, method in ("/api/state", "GET"), ("/api/label", "POST"), ("/api/sensors/x/unplug", "POST"):
        assert plain.ask(path, method, {"label": None}, {"Origin": origin})[0] == 403
    with pytest.raises(InvalidStatus) as refused, plain.viewer(additional_headers={"Origin": origin}):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_page_may_only_link_to_this_one(plain: Served, site: str) -> None:
    there = {"Sec-Fetch-Site": site}
    for path in ("/", "/api/state", "/api/stream", "/main.js"):
        assert plain.ask(path, headers=there)[0] == 403
    assert plain.ask("/api/stream", headers=there | {"Sec-Fetch-Dest": "document"})[0] == 403
    assert plain.ask("/", headers=there | {"Sec-Fetch-Dest": "iframe"})[0] == 403
    assert plain.ask("/", headers=there | {"Sec-Fetch-Dest": "document"})[0] == 200
    for own in "same-origin", "none":
        assert plain.ask("/api/state", headers={"Sec-Fetch-Site": own})[0] == 200


def test_its_own_origin_or_none_is_answered(plain: Served) -> None:
    for headers in ({}, {"Origin": plain.origin}):
        assert plain.ask("/api/label", "POST", {"label": None}, headers)[0] == 204
    with plain.viewer(additional_headers={}) as program:
        assert program.hello["labels"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Cookie": "sensemble_{port}=wrong"},
        {"Cookie": "sensemble_{port}=\xe4"},
    ],
)
def test_without_the_token_nothing_is_answered(guarded: Served, headers: dict[str, str]) -> None:
    headers = {key: value.replace("{port}", str(guarded.port)) for key, value in headers.items()}
    for path in ("/", "/main.js", "/api/state", "/?token=", "/?token=wrong"):
        assert guarded.ask(path, headers=headers)[0] == 401
    own = {"Origin": guarded.origin}
    with pytest.raises(InvalidStatus) as refused, guarded.viewer(additional_headers=headers | own):
        pass
    assert refused.value.response.status_code == 403


def test_the_token_of_the_address_becomes_a_cookie(guarded: Served) -> None:
    status, headers, _ = guarded.ask(f"/?token={TOKEN}")
    assert (status, headers["location"]) == (303, "/")
    cookie, *attributes = (part.strip().lower() for part in headers["set-cookie"].split(";"))
    assert {"httponly", "samesite=lax", "path=/"} <= set(attributes)
    name, _, value = headers["set-cookie"].partition(";")[0].partition("=")
    assert cookie
    shown = {"Cookie": f"other=1; {name}={value}"}
    assert guarded.ask("/", headers=shown)[0] == 200
    with guarded.viewer(additional_headers=shown | {"Origin": guarded.origin}) as viewer:
        assert viewer.hello["labels"]


def test_a_program_shows_the_token_as_a_bearer(guarded: Served) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.ask("/api/state", headers=headers)[0] == 200
    # With the token, the machine may be asked for by its names, but by no other.
    assert guarded.ask("/", headers=headers | {"Host": f"robot.local:{guarded.port}"})[0] == 200
    assert guarded.ask("/", headers=headers | {"Host": f"attacker.example:{guarded.port}"})[0] == 403


def test_a_self_signed_certificate_is_the_one_whose_fingerprint_is_shown(bundle: Bundle) -> None:
    tls, fingerprint = self_signed(["127.0.0.1", "robot.local", "::1"])
    with serving(bundle, access=Access(secure=True, token=TOKEN), tls=tls) as served:
        pem = ssl.get_server_certificate(("127.0.0.1", served.port))
        certificate = x509.load_pem_x509_certificate(pem.encode())
        found = hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest().upper()
        trusting = ssl.create_default_context(cadata=pem)
        headers = {"Authorization": f"Bearer {TOKEN}", "Origin": served.origin}
        with served.viewer(additional_headers=headers, ssl=trusting) as viewer:
            assert viewer.hello["labels"]
    assert fingerprint == ":".join(found[i : i + 2] for i in range(0, 64, 2))


def test_only_this_machines_own_addresses_need_no_token() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.1.2.3", "::1")))
    others = ("0.0.0.0", "::", "192.168.1.2", "robot.local", "localhost.example", "")  # noqa: S104
    assert not any(map(is_loopback, others))
