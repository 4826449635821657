"""What a tune space is: dotted keys of the configuration, and the values they may take."""

from collections.abc import Mapping
from dataclasses import dataclass

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
