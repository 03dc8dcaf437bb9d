"""`sensemble bundle sign`: sign a bundle, so that `--trust` accepts it."""

from sensemble_runtime.bundle import bundle

from sensemble_apps.bundle_arguments import BundleSign
from sensemble_apps.console.output import say
from sensemble_apps.errors import InputError


def main(arguments: BundleSign) -> None:
    """Sign the bundle, and print the path of the signature.

    Raises:
        BundleError, KeyFileError: the bundle is not sound, or the file is no key.
        InputError: the signature cannot be written.
    """
    try:
        written = bundle.sign(arguments.bundle, arguments.key)
    except OSError as error:
        raise InputError(f"{arguments.bundle}: cannot be written ({error.strerror})") from error
    say(str(written))
