"""A model on a phone: the page of a static site, which runs a bundle by itself, served without a copy."""

from pathlib import Path

from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from sensemble_apps.web.handlers import given
from sensemble_apps.web.site import APP, bundle_files

POLICY = "frame-ancestors 'none'"
"""The page says itself what may run; it needs WebAssembly."""
EVERYWHERE = "0.0.0.0"  # noqa: S104 - a phone is another machine, and needs the token


def routes(bundle: Path, trust: Path | None = None) -> list[BaseRoute]:
    """Return the routes of the page and of a bundle's files, each verified when it is read.

    No copy is made, which a kill would leave behind. Raises as `bundle_files`.
    """
    beside = [given(name, read) for name, read in bundle_files(bundle, trust).items()]
    return [*beside, Mount("/", StaticFiles(directory=APP, html=True))]
