"""The arguments of `sensemble bundle sign` and `bundle check`; they import nothing heavy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from sensemble_apps.arguments import Common, Folder, Trusting


@dataclass(frozen=True, kw_only=True)
class BundleSign(Common):
    """Sign a bundle with a private key, for those who run it with `--trust` and the public key."""

    bundle: Positional[Folder]
    """A bundle folder; the signature goes into it."""
    key: Annotated[Positional[Path], tyro.conf.arg(metavar="KEY")]
    """An Ed25519 private key, a PEM file. `openssl genpkey -algorithm ed25519 -out KEY` makes one, and
    `openssl pkey -in KEY -pubout -out PUBLIC` writes its public key."""


@dataclass(frozen=True, kw_only=True)
class BundleCheck(Trusting):
    """Verify a bundle and run each encoder in a process of its own, to see whether one crashes or hangs.

    A process is no sandbox: run a bundle of unknown origin under another user, or in a container.
    """

    bundle: Positional[Folder]
    """A bundle folder."""
