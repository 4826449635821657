"""The types of the fixture `mammoloop`, for the tests that name them."""

from collections.abc import Callable
from typing import NamedTuple


class Called(NamedTuple):
    """How a call of the command line ended."""

    code: object  # exit code
    out: str
    err: str


Mammoloop = Callable[..., Called]

HEARING = ("env", "--default-signal=HUP")
"""Words before a command that is to hear of a lost terminal, also where the tests run under nohup."""
