"""`sensemble bundle sign`: sign a bundle, so that `--trust` accepts it."""

from dataclasses import dataclass
from pathlib import Path

from sensemble_runtime.bundle import bundle

from sensemble_apps.arguments import Common, Folder, Positional
from sensemble_apps.console.output import say
from sensemble_apps.errors import InputError


@dataclass(frozen=True, kw_only=True)
class BundleSign(Common):
    """Sign a bundle with a private key, for those who run it with `--trust` and the public key."""

    bundle: Positional[Folder]
    """A bundle folder; the signature goes into it."""
    key: Positional[Path]
    """An Ed25519 private key, a PEM file. `openssl genpkey -algorithm ed25519 -out KEY` makes one, and
    `openssl pkey -in KEY -pubout -out PUBLIC` writes its public key."""


def main(arguments: BundleSign) -> None:
    """Sign the bundle, and print the path of the signature."""
    try:
        written = bundle.sign(arguments.bundle, arguments.key)
    except OSError as error:
        raise InputError(f"{arguments.bundle}: cannot be written ({error.strerror})") from error
    say(str(written))
