"""Load the templates of the pages."""

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from sensemble_apps.console import estimates, wording


def template(name: str) -> Template:
    """Return a template of this package, with filters that write names and scores as the paper does."""
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
    return environment.get_template(name)
