"""Errors of the runtime; each message is one line with the remedy."""

from collections.abc import Sequence

from sensemble_sensors.errors import SensembleError


class SensembleRuntimeError(SensembleError):
    """Base of every error that this distribution raises; its message is one line with the remedy."""


class SubsetError(SensembleRuntimeError):
    """A set of modalities is not written as names joined with `+`, such as `audio+video`."""


class BundleError(SensembleRuntimeError):
    """Base of errors that make a bundle unusable; names the file and, in the manifest, the field."""


class BundleCorruptError(BundleError):
    """A file of the bundle is missing, truncated, altered, or contradicts the manifest."""


class BundleIncompatibleError(BundleError):
    """This installation cannot run the bundle: it has another schema version, or no executor here runs it."""


class BundlePathError(BundleError):
    """A path in the manifest leaves the bundle's folder."""


class BundleChangedError(BundleError):
    """The folder has changed since the bundle was opened, so nothing more is loaded from it."""


class BundleUntrustedError(BundleError):
    """The trusted key did not sign the manifest."""


class KeyFileError(SensembleRuntimeError):
    """A file does not hold an Ed25519 key in PEM."""


class EncoderError(SensembleRuntimeError):
    """An encoder failed while it ran; names the executor's own error."""

    own = True


class SessionError(SensembleRuntimeError):
    """A session cannot do as asked, or a sensor keeps it from closing."""


def check_stopped(
    encoders: Sequence[str],
    sensors: Sequence[str],
    subscribers: int,
    freeing: bool,
    seconds: float,
) -> None:
    """Check that everything has stopped when a session is closed.

    Args:
        encoders: the modalities whose encoders did not return.
        sensors: the names of those that did not.
        subscribers: how many callbacks did not.
        freeing: whether encoders are still being freed.
        seconds: how long they had.

    Raises:
        SessionError: something has not; names each, and says how many there are.
    """
    found = [
        *_counted("the {} encoder", "encoders ({})", encoders),
        *(["the freeing of encoders"] if freeing else []),
        *_counted("a subscriber", "subscribers", [""] * subscribers),
        *_counted("{}", "sensors ({})", sensors),
    ]
    if found:
        raise SessionError(
            f"{', '.join(found)}: did not stop within {seconds:g} s; what runs on is left behind"
        )


def _counted(one: str, several: str, names: Sequence[str]) -> list[str]:
    if len(names) > 1:
        return [f"{len(names)} {several.format(', '.join(names))}"]
    return [one.format(name) for name in names]


class RecordError(SensembleRuntimeError):
    """A record file cannot be opened, read or written."""


class AdaptError(SensembleRuntimeError):
    """A device's lessons about its sensors cannot be used: of another bundle, damaged, or in use."""


class MatrixError(SensembleRuntimeError):
    """A train x evaluation matrix is not a map of sets to maps of sets to scores."""
