"""The errors of the command itself; the other distributions have their own bases."""

from sensemble_sensors.errors import SensembleError


class Ended(KeyboardInterrupt):
    """Ctrl-C or another signal ended a command that runs until then; there is nothing more to print."""


class AppsError(SensembleError):
    """Base of every error that this distribution raises; its text is one line with the remedy."""


class InputError(AppsError):
    """A file, folder or option of the user cannot be used; the text names it and the remedy."""


class NotInstalledError(AppsError):
    """A command needs training or export, which are not installed."""


class StepError(AppsError):
    """A step of the command failed, although the user's input was good."""

    own = True


class GateUnmetError(AppsError):
    """An audit does not meet what was required of it."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status
