"""What can go wrong in the command itself; the other distributions bring their own bases."""

from sensemble_sensors.errors import SensembleError


class Ended(KeyboardInterrupt):
    """Ctrl-C, or another signal, of what runs until then: it has said what it came to, which is all."""


class AppsError(SensembleError):
    """Base of every error that this distribution raises; its text is one line with the remedy."""


class InputError(AppsError):
    """What the user gave cannot be used: a file, a folder or an option; names it and the remedy."""


class NotInstalledError(AppsError):
    """A command needs what a board does without: training and export."""


class StepError(AppsError):
    """A step of the command failed though the user's input was good."""

    own = True
