"""What may vary in a sweep, per method, as plain tables.

space.py  what a space is: choices and ranges, some of them only beside others
kinds.py  what a trial does, and which settings it uses
check.py  a space against the configuration that its trials start from
own.py    a researcher's own space, as YAML
btv.py    the spaces of the bilateral two-view method
"""

from system.errors import UserError
from tune_spaces import btv
from tune_spaces.check import Fitted, applied, fitted, own_setting
from tune_spaces.kinds import KINDS, keeps_stage1
from tune_spaces.own import read_space
from tune_spaces.space import Choice, Domain, Range, Setting, Space, ask, trials_of

SPACES: dict[str, dict[str, Space]] = {"btv": btv.SPACES}
"""Method (key of methods.METHODS) → name → space."""

__all__ = [
    "KINDS",
    "SPACES",
    "Choice",
    "Domain",
    "Fitted",
    "Range",
    "Setting",
    "Space",
    "applied",
    "ask",
    "find",
    "fitted",
    "keeps_stage1",
    "own_setting",
    "read_space",
    "trials_of",
]


def find(method: str, name: str) -> Space:
    """Return a method's space by name. Raises UserError that lists the known ones."""
    if method not in SPACES:
        raise UserError(f"method {method!r} has no tune spaces; those with some: {', '.join(SPACES)}")
    if name not in SPACES[method]:
        raise UserError(
            f"method {method!r} has no tune space {name!r}; choose one of {', '.join(SPACES[method])}, or give a YAML "
            "file of your own"
        )
    return SPACES[method][name]
