"""What can go wrong between a bundle, a session and its records."""

from sensemble_sensors.errors import SensembleError


class SensembleRuntimeError(SensembleError):
    """Base of every error that this distribution raises; its text is one line with the remedy."""


class SubsetError(SensembleRuntimeError):
    """A set of modalities is not written as sorted names joined with `+`, such as `audio+video`."""


class BundleError(SensembleRuntimeError):
    """Base of what makes a bundle unusable; names the bundle's file and, in its manifest, the field."""


class BundleCorruptError(BundleError):
    """A file of the bundle is missing, truncated, altered or not what its manifest says."""


class BundleIncompatibleError(BundleError):
    """A sound bundle that this version cannot run: another schema version, or no executor for it here."""


class BundlePathError(BundleError):
    """A path in the manifest leaves the bundle's folder."""


class BundleChangedError(BundleError):
    """The folder is no longer what it was when the bundle was opened, so nothing more is loaded from it."""


class BundleUntrustedError(BundleError):
    """The manifest is not signed by the key that is trusted."""


class KeyFileError(SensembleRuntimeError):
    """A file holds no Ed25519 key in PEM."""


class EncoderError(SensembleRuntimeError):
    """An encoder failed while it ran; names the executor's own error."""

    own = True


class SessionError(SensembleRuntimeError):
    """A session was asked for what it cannot do, or a sensor keeps it from closing."""


class RecordError(SensembleRuntimeError):
    """A record file cannot be opened, read or written."""


class MatrixError(SensembleRuntimeError):
    """A train x evaluation matrix is not a map of sets to maps of sets to scores."""
