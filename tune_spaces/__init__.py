"""What may vary in a sweep, per method, as plain tables.

space.py  what a space is: a grid of settings, or ranges to search
btv.py    the spaces of the bilateral two-view method
"""

from system.errors import UserError
from tune_spaces import btv
from tune_spaces.space import Grid, Range, Search, Setting, Space, trials_of

SPACES: dict[str, dict[str, Space]] = {"btv": btv.SPACES}
"""Method (key of methods.METHODS) → name → space."""

__all__ = ["SPACES", "Grid", "Range", "Search", "Setting", "Space", "find", "trials_of"]


def find(method: str, name: str) -> Space:
    """Return a method's space by name. Raises UserError that lists the known ones."""
    if method not in SPACES:
        raise UserError(f"method {method!r} has no tune spaces; those with some: {', '.join(SPACES)}")
    if name not in SPACES[method]:
        raise UserError(f"method {method!r} has no tune space {name!r}; choose one of {', '.join(SPACES[method])}")
    return SPACES[method][name]
