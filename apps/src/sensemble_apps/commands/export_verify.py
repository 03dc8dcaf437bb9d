"""`sensemble export verify`: measure the parity of a bundle's artifacts on this machine."""

import dataclasses
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, cast

from rich.console import Console
from rich.table import Table
from sensemble_runtime.auditing.audit import AuditResult, audit
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.manifest import BROWSER, FILE_NAME
from sensemble_runtime.bundle.manifest_file import write_manifest

from sensemble_apps.console.output import say
from sensemble_apps.console.progress import progress
from sensemble_apps.errors import InputError
from sensemble_apps.options import BundleFolder, OptionalFolder, Positional, Trusting
from sensemble_apps.running.inputs import examples_of

if TYPE_CHECKING:
    from sensemble_export.bundle.verification import Verified
    from sensemble_runtime.executors.executor import Embedding, Input

    from sensemble_apps.web.browser import Browser

_WIDTH = 110  # of the table, because a pipe has no width


@dataclass(frozen=True, kw_only=True)
class ExportVerify(Trusting):
    """Measure the parity of a bundle's artifacts on this machine, such as Core ML's on a Mac."""

    bundle: Positional[BundleFolder]
    """A bundle folder."""
    browser: Annotated[str | None, "PROGRAM"] = None
    """Also run the artifacts for ONNX Runtime in a browser, such as `chromium` or `firefox`."""
    data: OptionalFolder = None
    """With --browser, also audit the bundle there on the split eval of a dataset, and save the scores."""


def main(arguments: ExportVerify) -> None:
    """Print the measurements; the manifest gets those that it lacked."""
    from sensemble_export.bundle.verification import verify
    from sensemble_export.errors import ParityFailedError

    if arguments.data is not None and arguments.browser is None:
        raise InputError("--data: only for --browser; leave it out, or name a browser")
    table = Table(title="Parity on this machine", title_justify="left", box=None)
    for column in ("modality", "target", "scheme", "cosine", "largest error", "same class", "windows", "ms"):
        table.add_column(column)
    with ExitStack() as stack:
        browser = _opened(arguments, stack) if arguments.browser else None
        try:
            for verified in verify(arguments.bundle, arguments.trust, browser.encode if browser else None):
                table.add_row(verified.modality, verified.target, verified.artifact.scheme, *_cells(verified))
        except ParityFailedError:  # raised after the last artifact
            _print(table)
            raise
        _print(table)
        if browser is not None and arguments.data is not None:
            _audit(arguments.bundle, arguments.data, browser)


def _opened(arguments: ExportVerify, stack: ExitStack) -> "Browser":
    from sensemble_apps.web.browser import Browser
    from sensemble_apps.web.site import write_site

    site = Path(stack.enter_context(TemporaryDirectory()), "site")
    write_site(arguments.bundle, site, arguments.trust)
    return stack.enter_context(Browser(arguments.browser or "", site))


class _InBrowser(Bundle):
    """A bundle whose windows a browser encodes."""

    browser: "Browser"

    def encode(self, modality: str, window: "Input | str") -> "Embedding":
        return self.browser.encode(modality, self.tokenize(window) if isinstance(window, str) else window)[0]


def _audit(path: Path, data: Path, browser: "Browser") -> None:
    """Audit the artifacts in the browser and here, print both, and enter the browser's scores."""
    examples = examples_of(data, "eval")

    def scored(bundle: Bundle) -> AuditResult:
        with progress("Auditing") as advance:
            return audit(bundle, examples, progress=advance)

    there = cast("_InBrowser", _InBrowser.open(path, "onnx"))
    there.browser = browser
    in_browser, here = scored(there), scored(Bundle.open(path, "onnx"))
    for name, score in in_browser.subsets.items():
        own = here.subsets[name].accuracy
        lost = 100 * (own - score.accuracy)
        say(f"{name}: {100 * score.accuracy:.1f} % in the browser, {100 * own:.1f} % here, {lost:+.1f} lost")
    scores = {name: score.accuracy for name, score in in_browser.subsets.items()}
    origin = there.manifest.provenance
    quantized = {**origin.accuracy_quantized, BROWSER: scores}
    provenance = dataclasses.replace(origin, accuracy_quantized=quantized)
    write_manifest(dataclasses.replace(there.manifest, provenance=provenance), path / FILE_NAME)


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
