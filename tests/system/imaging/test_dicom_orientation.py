"""Pictures that lie or stand on their head in the file: turned upright, or refused; never taken as they are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from system.imaging import (
    Geometry,
    ImageRefused,
    ImagingConfig,
    Turn,
    canonical_mask,
    canonical_view,
    read_dicom,
)
from system.records import Side

UPRIGHT, FLIPPED = Turn(), Turn(flipped=True)
LYING, LYING_AND_FLIPPED = Turn(transposed=True), Turn(transposed=True, flipped=True)
CONFIG = ImagingConfig(height_px=128, width_px=96)


@pytest.mark.parametrize(
    ("side", "view", "orientation", "turn", "chest_wall"),
    [
        # what units write: chest wall of the left breast at the left, of the right breast at the right
        ("L", "CC", ["A", "R"], UPRIGHT, Side.LEFT),
        ("R", "CC", ["P", "L"], UPRIGHT, Side.RIGHT),
        ("L", "MLO", ["A", "F"], UPRIGHT, Side.LEFT),
        ("L", "MLO", ["A", "FR"], UPRIGHT, Side.LEFT),
        ("R", "MLO", ["P", "FL"], UPRIGHT, Side.RIGHT),
        ("R", "MLO", ["P", "LF"], UPRIGHT, Side.RIGHT),
        ("L", "MLO", ["AR", "FL"], UPRIGHT, Side.LEFT),
        ("L", "MLO", ["A", "R"], UPRIGHT, Side.LEFT),
        ("L", "CC", ["A", "F"], UPRIGHT, Side.LEFT),
        # left and right exchanged: the chest wall is elsewhere, up is up
        ("L", "CC", ["P", "R"], UPRIGHT, Side.RIGHT),
        ("R", "MLO", ["A", "F"], UPRIGHT, Side.LEFT),
        # upside down, and turned by half a circle
        ("L", "MLO", ["A", "H"], FLIPPED, Side.LEFT),
        ("L", "MLO", ["P", "HL"], FLIPPED, Side.RIGHT),
        ("R", "MLO", ["P", "HR"], FLIPPED, Side.RIGHT),
        ("R", "MLO", ["A", "RH"], FLIPPED, Side.LEFT),
        ("L", "MLO", ["A", "L"], FLIPPED, Side.LEFT),
        ("L", "CC", ["A", "L"], FLIPPED, Side.LEFT),
        ("L", "CC", ["P", "L"], FLIPPED, Side.RIGHT),
        ("R", "CC", ["A", "R"], FLIPPED, Side.LEFT),
        # lying
        ("L", "MLO", ["F", "A"], LYING, Side.LEFT),
        ("L", "MLO", ["FR", "P"], LYING, Side.RIGHT),
        ("L", "MLO", ["H", "A"], LYING_AND_FLIPPED, Side.LEFT),
        ("R", "CC", ["L", "P"], LYING, Side.RIGHT),
        ("R", "CC", ["R", "A"], LYING_AND_FLIPPED, Side.LEFT),
        # nothing is given, or nothing that can be read
        ("L", "MLO", ["L", "F"], UPRIGHT, None),
        ("L", "MLO", [], UPRIGHT, None),
        ("L", "MLO", None, UPRIGHT, None),
        ("L", "MLO", ["", ""], UPRIGHT, None),
        ("L", "MLO", ["CC", "MLO"], UPRIGHT, None),
        ("L", "MLO", ["LR", "HF"], UPRIGHT, None),
        ("L", "MLO", "P", UPRIGHT, Side.RIGHT),
        ("L", "MLO", ["", "F"], UPRIGHT, None),
        ("L", "MLO", ["", "H"], FLIPPED, None),
    ],
)
def test_the_patient_orientation_gives_the_turn_and_the_side_of_the_chest_wall(
    write: Callable[..., Path], side: str, view: str, orientation: object, turn: Turn, chest_wall: Side | None
) -> None:
    elements = {} if orientation is None else {"PatientOrientation": orientation}

    image = read_dicom(write(ImageLaterality=side, ViewPosition=view, **elements))

    assert (image.turn, image.chest_wall) == (turn, chest_wall)


@pytest.mark.parametrize(
    ("side", "view", "orientation"),
    [
        ("L", "CC", ["A", "H"]),  # no CC view runs to the head
        ("L", "CC", ["L", "H"]),
        ("L", "MLO", ["L", "H"]),
        ("L", "MLO", ["A", "P"]),
        ("L", "MLO", ["F", "L"]),
        ("L", "MLO", ["H", ""]),
        ("L", "MLO", ["", "A"]),
        ("R", "CC", ["L", "R"]),
    ],
)
def test_directions_that_no_mammogram_has_are_refused(
    write: Callable[..., Path], side: str, view: str, orientation: list[str]
) -> None:
    with pytest.raises(ImageRefused, match=r"view: Patient Orientation \(0020,0020\)"):
        read_dicom(write(ImageLaterality=side, ViewPosition=view, PatientOrientation=orientation))


def drawn_breast() -> np.ndarray:
    """A breast with its chest wall at the left, a muscle above and a mass below."""
    y, x = np.mgrid[:256, :192]
    pixels = np.where((x / 140) ** 2 + ((y - 128) / 115) ** 2 < 1, 500.0 + x + y, 10.0)
    pixels[x + y < 90] = 1200
    pixels[180:196, 60:76] = 2000
    return pixels.astype(np.float32)


TURNS = {
    ("A", "FR"): lambda upright: upright,
    ("P", "FR"): lambda upright: upright[:, ::-1],
    ("A", "HL"): lambda upright: upright[::-1],
    ("P", "HL"): lambda upright: np.rot90(upright, 2),
    ("FR", "A"): lambda upright: upright.T,
    ("HL", "A"): lambda upright: np.rot90(upright, -1),
    ("FR", "P"): lambda upright: np.rot90(upright, 1),
    ("HL", "P"): lambda upright: np.rot90(upright, 2).T,
}


@pytest.mark.parametrize("orientation", TURNS)
def test_a_turned_picture_gives_the_view_of_the_upright_one_and_its_mask_and_points_go_with_it(
    write: Callable[..., Path], orientation: tuple[str, str]
) -> None:
    mass = np.zeros((256, 192), bool)
    mass[180:196, 60:76] = True
    stored = np.ascontiguousarray(TURNS[orientation](drawn_breast())).astype(np.uint16)
    in_file = TURNS[orientation](mass)

    image = read_dicom(write(stored=stored, PatientOrientation=list(orientation)))
    view, geometry = canonical_view(image.pixels, config=CONFIG, chest_wall=image.chest_wall, turn=image.turn)

    np.testing.assert_array_equal(image.pixels, stored)  # as in the file
    expected, upright = canonical_view(drawn_breast(), config=CONFIG)
    np.testing.assert_array_equal(view, expected)
    np.testing.assert_array_equal(canonical_mask(in_file, geometry=geometry), canonical_mask(mass, geometry=upright))
    rows, cols = np.nonzero(in_file)
    found = geometry.to_source(upright.to_canonical(np.array([[67.5, 187.5]])))
    np.testing.assert_allclose(found, [[cols.mean(), rows.mean()]])


def test_a_mask_of_the_upright_size_beside_a_lying_file_is_refused() -> None:
    _, geometry = canonical_view(drawn_breast().T, config=CONFIG, turn=LYING)

    assert (geometry.source_rows, geometry.source_cols) == (192, 256)
    with pytest.raises(ImageRefused, match=r"mask_size: the mask is \[256, 192\] px, its image \[192, 256\]"):
        canonical_mask(np.zeros((256, 192), bool), geometry=geometry)


@given(
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.floats(0, 5000), st.floats(0, 5000)), min_size=1, max_size=5),
)
def test_any_point_of_a_turned_picture_goes_there_and_back(
    transposed: bool, flipped: bool, mirrored: bool, points: list[tuple[float, float]]
) -> None:
    geometry = Geometry(
        source_rows=5000,
        source_cols=4000,
        rows=1024,
        cols=800,
        mirrored=mirrored,
        scale=0.2,
        left_px=13.5,
        top_px=7,
        transposed=transposed,
        flipped=flipped,
    )

    np.testing.assert_allclose(geometry.to_source(geometry.to_canonical(np.array(points))), points, atol=1e-6)


def test_a_geometry_from_before_turning_is_upright() -> None:
    text = (
        '{"cols": 3, "left_px": 0.0, "mirrored": false, "rows": 4, "scale": 0.5, "source_cols": 6, '
        '"source_rows": 8, "top_px": 0}'
    )

    assert Geometry.from_json(text).turn == UPRIGHT
