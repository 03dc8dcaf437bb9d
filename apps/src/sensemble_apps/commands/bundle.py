"""`sensemble bundle check` and `bundle sign`: verify a bundle, and sign one so that `--trust` accepts it."""

from dataclasses import dataclass
from pathlib import Path

from sensemble_runtime.bundle import bundle
from sensemble_runtime.bundle.probe import probe

from sensemble_apps.console.output import say
from sensemble_apps.console.wording import words
from sensemble_apps.errors import InputError
from sensemble_apps.options import BundleFolder, Common, Positional, Trusting


@dataclass(frozen=True, kw_only=True)
class BundleCheck(Trusting):
    """Verify a bundle and run each encoder in its own process, to see whether one crashes or hangs.

    A process is no sandbox: run a bundle of unknown origin under another user, or in a container.
    """

    bundle: Positional[BundleFolder]
    """A bundle folder."""


def check(arguments: BundleCheck) -> None:
    """Print one line per encoder: its longest time for a window, or its failure."""
    failed = []
    for probed in probe(arguments.bundle, arguments.trust):
        result = probed.problem or f"{probed.latency_ms:.1f} ms a window"
        say(f"{'failed' if probed.problem else 'ok':<8} {probed.modality:<8} {probed.target:<20} {result}")
        if probed.problem:
            failed.append(probed.modality)
    if failed:
        raise InputError(f"{arguments.bundle}: {words(failed)} failed; do not run it; report it to its maker")


@dataclass(frozen=True, kw_only=True)
class BundleSign(Common):
    """Sign a bundle with a private key, for those who run it with `--trust` and the public key."""

    bundle: Positional[BundleFolder]
    """A bundle folder; the signature goes into it."""
    key: Positional[Path]
    """An Ed25519 private key, a PEM file. `openssl genpkey -algorithm ed25519 -out KEY` makes one, and
    `openssl pkey -in KEY -pubout -out PUBLIC` writes its public key."""


def sign(arguments: BundleSign) -> None:
    """Sign the bundle, and print the path of the signature."""
    try:
        written = bundle.sign(arguments.bundle, arguments.key)
    except OSError as error:
        raise InputError(
            f"{arguments.bundle}: cannot be written ({error.strerror}); make room, or make it writable"
        ) from error
    say(str(written))
