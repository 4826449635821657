"""What a person is shown of a view, and the way from there into the archive."""

from collections.abc import Callable

import numpy as np
import pytest
from pydantic import ValidationError

from system.imaging import (
    DisplayConfig,
    Geometry,
    ImageRefused,
    ImagingConfig,
    Turn,
    canonical_mask,
    canonical_view,
    shown_source,
    shown_stored,
    source_geometry,
    stored_geometry,
)
from system.records import Side

ROWS, COLS = 300, 230
GAP = 16  # dark columns beside the chest wall, which the archive's view leaves out
IMAGING = ImagingConfig(height_px=96, width_px=64)
TURNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it hangs": lambda film: film,
    "mirrored": lambda film: film[:, ::-1],
    "upside down": lambda film: film[::-1],
    "lying": lambda film: film.T,
    "lying and upside down": lambda film: film[::-1].T,
}


def film(*, right: bool) -> np.ndarray:
    """Return a breast with a bright square at rows 120 to 150, 60 to 90 px from the edge, and a burnt-in name."""
    y, x = np.mgrid[:ROWS, :COLS]
    pixels = np.where(((y - 150) / 130) ** 2 + ((x - GAP) / 150) ** 2 < 1, 900.0 + 2 * x + y, 10.0)
    pixels[:, :GAP] = 10
    pixels[120:150, 60:90] = 4000
    pixels[5:12, 190:225] = 4000  # the name
    return pixels[:, ::-1] if right else pixels


def turned(turn: str, *, right: bool) -> tuple[np.ndarray, Geometry]:
    """Return a file's pixels, and the geometry that the archive keeps of it."""
    pixels = TURNS[turn](film(right=right))
    upright = Turn(transposed="lying" in turn, flipped="upside down" in turn)
    return pixels, canonical_view(pixels, config=IMAGING, turn=upright)[1]


@pytest.mark.parametrize("longest_px", [100, 257, 300, 4096])
@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("turn", TURNS)
def test_what_is_drawn_on_a_picture_lies_in_the_view_where_it_lies_in_the_file(
    turn: str, right: bool, longest_px: int
) -> None:
    """The square is found in the picture by its brightness, outlined there, and compared with the file's own mask."""
    side = Side.RIGHT if right else Side.LEFT
    pixels, geometry = turned(turn, right=right)
    shown = shown_source(pixels, geometry=geometry, side=side, config=DisplayConfig(longest_px=longest_px))
    own = source_geometry(geometry, side=side, longest_px=longest_px)
    assert shown.shape == (own.source_rows, own.source_cols)
    assert max(shown.shape) == min(longest_px, 300)
    found = canonical_mask(shown > 200, geometry=own)
    expected = canonical_mask(pixels > 3000, geometry=geometry)
    expected[:30] = False  # the name is not shown
    for axis in (0, 1):
        one, other = (np.flatnonzero(mask.any(axis=axis)) for mask in (found, expected))
        assert abs(int(one[0]) - int(other[0])) <= 1
        assert abs(int(one[-1]) - int(other[-1])) <= 1


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("turn", TURNS)
def test_a_breast_hangs_with_its_chest_wall_on_its_own_side_and_is_upright(turn: str, right: bool) -> None:
    pixels, geometry = turned(turn, right=right)
    shown = shown_source(pixels, geometry=geometry, side=Side.RIGHT if right else Side.LEFT, config=DisplayConfig())
    rows, cols = np.nonzero(shown > 200)
    assert (rows.min(), rows.max()) == (120, 149)
    assert (cols.min(), cols.max()) == ((COLS - 90, COLS - 61) if right else (60, 89))


def test_nothing_outside_of_the_breast_is_shown() -> None:
    pixels, geometry = turned("as it hangs", right=False)
    shown = shown_source(pixels, geometry=geometry, side=Side.LEFT, config=DisplayConfig())
    assert not shown[:15, 180:].any()
    assert shown[150, 20] > 0


def test_the_window_is_of_the_breasts_own_values() -> None:
    pixels, geometry = turned("as it hangs", right=False)
    narrow = DisplayConfig(low_percent=0, high_percent=50)
    shown = shown_source(pixels, geometry=geometry, side=Side.LEFT, config=narrow)
    breast = shown[shown > 0]
    assert np.mean(breast == 255) == pytest.approx(0.5, abs=0.02)
    with pytest.raises(ValidationError, match="a window from 60 to 40 % is empty"):
        DisplayConfig(low_percent=60, high_percent=40)


def test_a_file_of_another_size_than_the_archives_image_is_refused() -> None:
    pixels, geometry = turned("as it hangs", right=False)
    with pytest.raises(ImageRefused, match="the file has"):
        shown_source(pixels[1:], geometry=geometry, side=Side.LEFT, config=DisplayConfig())


@pytest.mark.parametrize("side", list(Side))
def test_what_is_drawn_on_a_stored_view_comes_back_to_the_pixel(side: Side) -> None:
    view = np.zeros((96, 64), np.uint16)
    view[10:90, :50] = 20000
    view[30:40, 5:20] = 65535
    shown = shown_stored(view, side=side, config=DisplayConfig())
    assert not shown.from_source
    assert shown.geometry == stored_geometry(96, 64, side=side)
    assert (shown.pixels[:, -1] > 0).any() == (side is Side.RIGHT)
    np.testing.assert_array_equal(canonical_mask(shown.pixels == 255, geometry=shown.geometry), view == 65535)
