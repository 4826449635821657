"""The frozen records and names that flow between the parts."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum, StrEnum

import xxhash

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, half open."""


P0 = float
"""How sure a report must be to be used: above p0 it says mass, below 1 - p0 none; 0.5 to below 1."""


class Side(StrEnum):
    """Which breast: DICOM Image Laterality (0020,0062)."""

    LEFT = "L"
    RIGHT = "R"

    @property
    def other(self) -> "Side":
        """The opposite breast."""
        return Side.RIGHT if self is Side.LEFT else Side.LEFT


class ViewPosition(StrEnum):
    """The two standard projections: DICOM View Position (0018,5101)."""

    CC = "CC"
    MLO = "MLO"


class Split(StrEnum):
    """What an image is used for; decided per patient, never per image."""

    STRONG = "strong"  # D_F: pixel masks
    WEAK = "weak"  # D_W: a report only
    VALIDATION = "validation"  # D_F held out for thresholds and early stopping
    TEST = "test"  # never seen before evaluation


class Quadrant(IntEnum):
    """Where an image stands when its report is compared with its mask (Tang et al. 2021, table 1)."""

    UNUSED = 0  # the report is not sure enough at this p0
    TP = 1  # report and map agree on a mass
    FP = 2  # a mass on the map, none in the report
    FN = 3  # a mass in the report, none on the map
    TN = 4  # report and map agree that there is none


@dataclass(frozen=True, slots=True)
class Candidate:
    """One suspected mass in one image."""

    box_px: Box  # canonical view
    score: float  # highest probability inside, 0 to 1
    area_px: int
    centroid_px: tuple[float, float]  # x, y in the canonical view


def p0_text(p0: P0) -> str:
    """Return p0 for people: two decimals, or as many as it needs."""
    return f"{p0:.2f}" if round(p0, 2) == p0 else f"{p0:.4g}"


def encode_candidates(candidates: Sequence[Candidate]) -> str:
    """Return candidates as JSON text, as the column `candidates` of predictions holds them."""
    return json.dumps([asdict(candidate) for candidate in candidates])


def decode_candidates(text: str | None) -> tuple[Candidate, ...]:
    """Return the candidates of a JSON text that `encode_candidates` wrote; none of an empty one."""
    rows = json.loads(text) if text else []
    return tuple(
        Candidate(tuple(row["box_px"]), row["score"], row["area_px"], tuple(row["centroid_px"])) for row in rows
    )


def image_key(image_id: str) -> int:
    """Return the signed 64-bit key that stands for a text id in columns and in Ray Data's checkpoints."""
    return xxhash.xxh3_64_intdigest(image_id.encode()) - (1 << 63)
