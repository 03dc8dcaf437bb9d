"""The bundle of sessions on real threads."""

from dataclasses import replace

import pytest
from sensemble_runtime.bundle.bundle import Bundle


@pytest.fixture
def bundle(bundle: Bundle) -> Bundle:
    """A bundle whose embeddings live long, so that a slow machine takes nothing out of the live set."""
    bundle.specs = {m: replace(spec, ttl=600.0) for m, spec in bundle.specs.items()}
    return bundle
