"""The arguments of `sensemble bundle sign`, `bundle check` and `adapt`; they import nothing heavy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from sensemble_apps.arguments import Common, Folder, OptionalFolder, Trusting, optional


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


@dataclass(frozen=True, kw_only=True)
class Adapting(Trusting):
    """Let the sensors of a recording teach each other, so that each gets a small correction of its own."""

    bundle: Positional[Folder]
    """A bundle folder; nothing in it is changed."""
    replay: OptionalFolder = None
    """A recording, or another dataset, to learn from."""
    split: Annotated[str | None, optional("NAME")] = None
    """The split to learn from; by default, all examples."""
    labels: bool = False
    """Learn from the labels of the examples too, which a person gave."""
    out: OptionalFolder = None
    """The folder of what is learned; by default, beside the bundle: `BUNDLE.learned`."""
    show: bool = False
    """Print what each sensor has learned."""
    reset: Annotated[str | None, optional("SENSOR")] = None
    """Forget what the sensor of this name has learned; `all` for every sensor."""
