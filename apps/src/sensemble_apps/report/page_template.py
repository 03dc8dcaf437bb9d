"""Load the templates of the pages."""

import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from sensemble_apps.console import estimates, wording

_APART = re.compile(r"(\d) %( on\b)?")  # a number and its unit, at which a line may not break


def render(name: str, **values: Any) -> str:  # noqa: ANN401 - what the template asks for
    """Return a template of this package as HTML; its filters write names and scores as the paper does."""
    environment = Environment(
        loader=PackageLoader("sensemble_apps"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": wording.percent,
        "percent_within": estimates.percent_within,
        "ends": estimates.ends,
        "abbreviation": wording.abbreviation,
        "set_title": wording.set_title,
        "sensor_words": wording.sensor_words,
        "words": wording.words,
        "method": wording.method_title,
    }
    html = environment.get_template(name).render(**values)
    return _APART.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), html)
