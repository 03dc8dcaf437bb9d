"""`sensemble export verify`: the parity of a bundle's artifacts, measured on this machine."""

from rich.console import Console
from rich.table import Table
from sensemble_export.errors import ParityFailedError
from sensemble_export.parity import least_cosine
from sensemble_export.verify import verify

from sensemble_apps.arguments import ExportVerify

_WIDTH = 110  # columns that the table takes; a pipe has no width of its own


def main(arguments: ExportVerify) -> None:
    """Print what was measured, and keep in the manifest what no machine had measured before.

    Raises:
        BundleError, ExportError: the bundle cannot be used.
        ParityFailedError: an artifact is too far from its float encoder.
    """
    table = Table(title="Parity on this machine", title_justify="left", box=None)
    for column in ("modality", "target", "scheme", "cosine", "largest error", "same class", "windows", "ms"):
        table.add_column(column)
    far = []
    for found in verify(arguments.bundle):
        row = [found.modality, found.target, found.artifact.scheme]
        parity = found.parity
        if parity is None:
            table.add_row(*row, f"not run: {found.reason}")
            continue
        agreement = f"{100 * (parity.agreement or 0):.0f} %"
        latency = f"{found.latency_ms:.1f}"
        table.add_row(
            *row, f"{parity.cosine:.4f}", f"{parity.max_error:.3f}", agreement, str(parity.windows), latency
        )
        least = least_cosine(found.artifact.scheme)
        if not parity.cosine >= least:
            far.append(f"{found.modality} for {found.target}: mean cosine {parity.cosine:.5f}, below {least}")
    console = Console()
    console.width = max(console.width, _WIDTH)
    console.print(table)
    if far:
        raise ParityFailedError(f"{'; '.join(far)}: do not ship it, and file it as a bug")
