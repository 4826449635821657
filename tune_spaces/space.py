"""What a tune space is: dotted keys of the configuration, and the values they may take."""

from collections.abc import Mapping
from dataclasses import dataclass

from system.errors import UserError

Setting = Mapping[str, float]
"""Dotted key of config.RunConfig → value, e.g. {"loss.alpha": 0.25}."""


@dataclass(frozen=True, slots=True)
class Range:
    """The values a key may take: low <= value <= high."""

    low: float
    high: float
    log: bool = False  # searched evenly in its logarithm


@dataclass(frozen=True, slots=True)
class Grid:
    """Every one of these settings is tried once."""

    points: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """Settings are drawn from the ranges, the later ones near the best of the earlier ones."""

    ranges: Mapping[str, Range]
    num_trials: int  # unless the caller wants another number
    first: tuple[Setting, ...] = ()  # tried before anything is drawn, so that the search starts from known settings


Space = Grid | Search


def trials_of(space: Space, *, asked: int = 0) -> int:
    """Return how many trials a sweep of the space has. asked: of a search; 0 = the space's own number.

    Raises UserError where a number is asked for of a grid.
    """
    if not isinstance(space, Grid):
        return asked or space.num_trials
    if asked:
        raise UserError(
            f"--trials {asked}: the space is a grid of {len(space.points)} settings, and all of them are tried; leave "
            "--trials out, or choose a space that is searched"
        )
    return len(space.points)
