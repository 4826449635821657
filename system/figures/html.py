"""The pages' templates, filled in: texts are escaped, numbers are written as on the terminal."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from system.durations import duration_in_words
from system.figures import format as text
from system.records import p0_text

_FILTERS = {
    "share": text.share,
    "signed": text.signed,
    "interval": text.interval,
    "signed_interval": text.signed_interval,
    "number": text.number,
    "count": text.count,
    "duration": duration_in_words,
    "p0": p0_text,
}


def render(template: str, **values: object) -> str:
    """Return a template of templates/, filled in. Raises jinja2's UndefinedError where a value is missing."""
    return _templates().get_template(template).render(**values)


@cache
def _templates() -> Environment:
    found = Environment(
        loader=PackageLoader("system.figures"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= _FILTERS
    return found
