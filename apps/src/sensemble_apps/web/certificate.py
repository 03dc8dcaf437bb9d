"""TLS certificates of a page, and its address as a QR code; browsers give cameras over TLS alone."""

import ssl
from datetime import UTC, datetime, timedelta
from io import StringIO
from ipaddress import ip_address
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, gethostname, socket
from tempfile import TemporaryDirectory

import segno
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_VALID = timedelta(days=90)
_EARLIER = timedelta(hours=1)  # for a phone whose clock is behind


def self_signed(names: list[str]) -> tuple[ssl.SSLContext, str]:
    """Make a certificate for host names and addresses; return a context with it, and its fingerprint.

    The fingerprint is its SHA-256 as browsers show it: `AB:CD:...`. The key is on the disk, readable by this
    user alone, only while it is loaded.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sensemble")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with TemporaryDirectory() as folder:  # of this user alone: ssl takes paths
        path = Path(folder, "certificate.pem")
        path.touch(0o600)
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path.write_bytes(private + certificate.public_bytes(pem))
        context.load_cert_chain(path)
    return context, certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def address_of_this_machine() -> str:
    """Return the address by which others reach this machine; its name where no network says one."""
    with socket(AF_INET, SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it asks the kernel for a route (RFC 5737)
            return str(probe.getsockname()[0])
        except OSError:
            return gethostname()


def qr_code(text: str) -> str:
    """Return a QR code for a terminal."""
    drawn = StringIO()
    segno.make(text, error="l", micro=False).terminal(drawn, border=2, compact=True)
    return drawn.getvalue()


def qr_picture(text: str) -> str:
    """Return a QR code as a `data:` address of an SVG picture, dark on light with its quiet zone."""
    return str(segno.make(text, error="l", micro=False).svg_data_uri(scale=5, border=4, light="white"))


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
