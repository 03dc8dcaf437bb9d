"""`sensemble export verify`: measure the parity of a bundle's artifacts on this machine."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from sensemble_apps.arguments import Folder, Positional, Trusting

if TYPE_CHECKING:
    from sensemble_export.verification import Verified

_WIDTH = 110  # of the table; a pipe has no width of its own


@dataclass(frozen=True, kw_only=True)
class ExportVerify(Trusting):
    """Measure the parity of a bundle's artifacts on this machine, such as Core ML's on a Mac."""

    bundle: Positional[Folder]
    """A bundle folder."""


def main(arguments: ExportVerify) -> None:
    """Print the measurements, and add those to the manifest that no machine had made before."""
    from sensemble_export.errors import ParityFailedError
    from sensemble_export.verification import verify

    table = Table(title="Parity on this machine", title_justify="left", box=None)
    for column in ("modality", "target", "scheme", "cosine", "largest error", "same class", "windows", "ms"):
        table.add_column(column)
    try:
        for verified in verify(arguments.bundle, arguments.trust):
            table.add_row(verified.modality, verified.target, verified.artifact.scheme, *_cells(verified))
    except ParityFailedError:  # raised after the last artifact
        _print(table)
        raise
    _print(table)


def _cells(verified: "Verified") -> list[str]:
    parity = verified.parity
    if parity is None:
        return [f"not run: {verified.reason}"]
    agreement, latency = f"{100 * parity.agreement:.0f} %", f"{verified.latency_ms:.1f}"
    return [f"{parity.cosine:.4f}", f"{parity.max_error:.3f}", agreement, str(parity.windows), latency]


def _print(table: Table) -> None:
    console = Console()
    console.width = max(console.width, _WIDTH)
    console.print(table)
