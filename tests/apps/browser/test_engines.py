"""A bundle in Chromium, Firefox and WebKit: it opens there, and encodes as ONNX Runtime does here."""

from pathlib import Path

import numpy as np
import pytest
from sensemble_apps.web.browser import Browser
from sensemble_apps.web.site import write_site
from sensemble_runtime import Bundle

from tests.needs import WEBKIT

from .colours import SPECS, windows, write_colours
from .hosting import build

pytestmark = [pytest.mark.slow, pytest.mark.needs("web-app")]

PROGRAMS = [
    pytest.param("/usr/bin/chromium", marks=pytest.mark.needs("chromium")),
    pytest.param("firefox-esr", marks=pytest.mark.needs("firefox-esr")),
    pytest.param(f"xvfb-run -a {WEBKIT}", marks=pytest.mark.needs("webkit")),
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_opens_a_bundle_and_predicts(program: str, tmp_path: Path) -> None:
    build()
    folder = write_colours(tmp_path / "bundle")
    write_site(folder, tmp_path / "site")
    bundle = Bundle.open(folder, "onnx")
    with Browser(program, tmp_path / "site") as browser:
        for modality in SPECS:
            for window in windows(modality):
                embedding, milliseconds = browser.encode(modality, window)
                np.testing.assert_allclose(embedding, bundle.encode(modality, window), atol=1e-5)  # type: ignore[arg-type]
                assert milliseconds >= 0
