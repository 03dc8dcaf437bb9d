"""`sensemble bundle sign`: vouch for a bundle, so that whoever trusts the key can tell it from another."""

from sensemble_runtime.bundle import bundle

from sensemble_apps.arguments import BundleSign
from sensemble_apps.console.output import say
from sensemble_apps.errors import InputError


def main(arguments: BundleSign) -> None:
    """Sign the bundle, and print where the signature is.

    Raises:
        BundleError, KeyFileError: the bundle is not sound, or the key is none.
        InputError: the signature cannot be written.
    """
    try:
        written = bundle.sign(arguments.bundle, arguments.key)
    except OSError as error:
        raise InputError(f"{arguments.bundle}: cannot be written ({error.strerror})") from error
    say(str(written))
