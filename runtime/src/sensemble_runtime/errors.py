"""Errors of the runtime; each message is one line with the remedy."""

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


class ComparisonError(SensembleRuntimeError):
    """Two audits cannot be compared: they have nothing in common, or disagree about the truth."""


class KeyFileError(SensembleRuntimeError):
    """A file does not hold an Ed25519 key in PEM."""


class EncoderError(SensembleRuntimeError):
    """An encoder failed while it ran; names the executor's own error."""

    own = True


class SessionError(SensembleRuntimeError):
    """A session cannot do as asked, or a sensor keeps it from closing."""


class RecordError(SensembleRuntimeError):
    """A record file cannot be opened, read or written."""


class AdaptError(SensembleRuntimeError):
    """Learned corrections cannot be used: they are of another bundle, damaged, or in use."""


class MatrixError(SensembleRuntimeError):
    """A train x evaluation matrix is not a map of sets to maps of sets to scores."""
