"""The errors of the command itself; the other distributions have their own bases."""

from collections.abc import Iterator
from contextlib import contextmanager

from sensemble_sensors.errors import SensembleError


class Ended(KeyboardInterrupt):
    """A signal ended a command that runs until then; nothing more is printed."""


@contextmanager
def until_stopped() -> Iterator[None]:
    """Raise `Ended` for Ctrl-C in the block: a signal is how it ends."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Ended(*stop.args) from None


class AppsError(SensembleError):
    """Base of every error that this distribution raises; its text is one line with the remedy."""


class InputError(AppsError):
    """A file, folder or option of the user cannot be used; the text names it and the remedy."""


class NotInstalledError(AppsError):
    """A command needs a package or a built page that is not installed."""


class StepError(AppsError):
    """A step of the command failed by Sensemble's fault."""

    own = True


class GateUnmetError(AppsError):
    """An audit does not meet its criteria; `status` is the exit status."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status
