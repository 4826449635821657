"""How a mammogram lies in its file, by Patient Orientation (0020,0020): PS3.3 C.7.6.1.1.1 and C.8.11.7.1.

The first value is the patient's direction along the rows, the second one down the columns, each of the letters A
(anterior), P (posterior), L, R, H (head), F (foot), the leading one first. Upright, the rows run to or from the chest
wall (A or P), and the columns

| view | down, left breast | down, right breast | upside down                       |
|------|-------------------|--------------------|-----------------------------------|
| CC   | R                 | L                  | the breast's own side: lateral    |
| MLO  | F, FR, FL, R      | F, FL, FR, L       | H, or lateral without H or F      |

Nipple left or right is no fault: the canonical view mirrors. What is lying or upside down is turned; what is none of
these, such as a column that runs to the chest wall as the row does, is refused.
"""

from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from system.imaging.geometry import UPRIGHT, Turn
from system.imaging.refused import ImageRefused
from system.records import Side, ViewPosition

# direction along the upright picture's rows -> its side with the chest wall
CHEST_WALL = {"A": Side.LEFT, "P": Side.RIGHT}
OPPOSITES = ("AP", "LR", "HF")
MEDIAL = {Side.LEFT: "R", Side.RIGHT: "L"}  # the direction from a breast to the body's middle


@dataclass(frozen=True, slots=True)
class Orientation:
    """What a header gives of how its picture lies."""

    chest_wall: Side | None = None  # side of the upright picture; None where the header gives none
    turn: Turn = UPRIGHT


def orientation_of(header: Dataset, *, side: Side, view: ViewPosition) -> Orientation:
    """Return how the picture lies; upright where the header gives nothing that can be read.

    Raises ImageRefused view for directions that no mammogram of this breast and projection has.
    """
    along, down = _directions(header)
    transposed = down[:1] in CHEST_WALL and along[:1] not in CHEST_WALL
    if transposed:
        along, down = down, along
    is_up = _is_upright(down, side=side, view=view)
    lies_unclear = transposed and not down
    # films are at times described as a chest is: rows to the left, columns to the feet
    is_no_mammogram = along != "" and along[0] not in CHEST_WALL and down[:1] != "F"
    if is_up is None or lies_unclear or is_no_mammogram:
        raise ImageRefused(
            "view",
            "Patient Orientation (0020,0020) gives directions that no mammogram of this breast and projection has",
        )
    return Orientation(CHEST_WALL.get(along[:1]), Turn(transposed=transposed, flipped=not is_up))


def _directions(header: Dataset) -> tuple[str, str]:
    """Return the letters along the rows and down the columns; empty ones where a value is none."""
    value = header.get("PatientOrientation")
    values = list(value) if isinstance(value, MultiValue | list | tuple) else [value]
    first, second, *_ = [*(str(text or "").strip().upper() for text in values), ""]
    return first if _is_direction(first) else "", second if _is_direction(second) else ""


def _is_direction(text: str) -> bool:
    """Return whether a value has one to three letters, none of them twice and none with its opposite."""
    pairs = [next((pair for pair in OPPOSITES if letter in pair), "") for letter in text]
    return 0 < len(text) <= 3 and all(pairs) and len(set(pairs)) == len(pairs)


def _is_upright(down: str, *, side: Side, view: ViewPosition) -> bool | None:
    """Return whether the columns run down the upright picture; None for a direction that they cannot have."""
    if not down:
        return True
    letters = [letter for letter in down if letter not in "AP"]
    if not letters or down[0] in "AP":
        return None
    if view is ViewPosition.MLO and (vertical := [letter for letter in letters if letter in "HF"]):
        return vertical[0] == "F"
    if letters[0] in "HF":
        return True if letters[0] == "F" else None  # no CC view runs to the head; some headers have F for "down"
    return letters[0] == MEDIAL[side]
