"""The table of report phrases; phrases_zh.py and phrases_en.py fill it."""

from dataclasses import dataclass

from system.phantom.truth import MassShape, Region
from system.records import Side

Choices = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Phrases:
    """Wordings to choose from. Fields in braces: side, region, shape, size, category, other (the other side)."""

    joiner: str  # between sentences
    sides: dict[Side, Choices]
    regions: dict[Region, Choices]
    shapes: dict[MassShape, Choices]
    densities: dict[str, Choices]
    opening: Choices  # technique, prior studies
    size: Choices  # {millimetres}; a measured mass
    mass: Choices  # {side} {region} {size} {shape}
    mass_unlike_other: Choices  # {other} is as before, {side} has the mass; {region} {size} {shape}
    mass_both: Choices  # masses in both breasts, the largest described: {side} {region} {size} {shape}
    no_mass: Choices  # {side}
    no_mass_both: Choices
    mass_removed: Choices  # {side}; a mass is mentioned, but there is none
    calcifications: Choices  # {side}
    lymph_node: Choices  # {side}
    asymmetry: Choices  # {side}
    closing: Choices  # skin, nipples, axillae
    concluding_mass: Choices  # {side} {region} {category}
    concluding_mass_hedged: Choices
    concluding_side: Choices  # {side} {category}; no mass
    concluding_both: Choices  # {category}; no mass in either
    advice: Choices  # after a mass
    sideless_mass: Choices  # {shape} {size} {category}; the breast is not named
    sideless_none: Choices
