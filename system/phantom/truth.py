"""The content of a breast in a radiologist's terms: the truth that a report puts into words."""

from dataclasses import dataclass
from enum import StrEnum


class MassShape(StrEnum):
    """The margin of a mass: how it ends towards the tissue around it."""

    CIRCUMSCRIBED = "circumscribed"
    SPICULATED = "spiculated"
    ILL_DEFINED = "ill-defined"


class Region(StrEnum):
    """The quadrant of the breast: upper or lower from MLO, outer or inner from CC."""

    UPPER_OUTER = "upper outer"
    UPPER_INNER = "upper inner"
    LOWER_OUTER = "lower outer"
    LOWER_INNER = "lower inner"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class MassTruth:
    """One mass as a radiologist would describe it."""

    shape: MassShape
    diameter_mm: float  # largest extent; 0 when not measured
    region: Region = Region.UNKNOWN


@dataclass(frozen=True, slots=True)
class BreastTruth:
    """Everything in one breast that a report may mention."""

    masses: tuple[MassTruth, ...] = ()
    has_calcifications: bool = False
    has_lymph_node: bool = False
    has_asymmetry: bool = False
    density: str = "b"  # ACR a (fatty) to d (extremely dense)
