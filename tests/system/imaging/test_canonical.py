"""The canonical view of drawn breasts whose place is known."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from system.imaging import ImageRefused, ImagingConfig, canonical_mask, canonical_view, read_plain, to_network
from system.imaging.film_frame import white_frame
from system.records import Side

CONFIG = ImagingConfig(height_px=160, width_px=128)


def drawn_breast(rows: int = 320, cols: int = 256, *, chest_wall: str = "left", seed: int = 0) -> np.ndarray:
    """Half an ellipse of tissue against one border, darker towards the skin, on a faintly noisy background."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :cols]
    radius = np.sqrt((x / (0.75 * cols)) ** 2 + ((y - rows / 2) / (0.45 * rows)) ** 2)
    pixels = np.where(radius < 1, 600 + 800 * (1 - radius), 20) + rng.normal(0, 8, (rows, cols))
    pixels = pixels.astype(np.float32)
    return pixels if chest_wall == "left" else pixels[:, ::-1].copy()


def test_the_view_has_the_configured_size_and_sixteen_bits() -> None:
    view, _ = canonical_view(drawn_breast(), config=CONFIG)

    assert (view.shape, view.dtype) == ((160, 128), np.uint16)


def test_the_breast_spans_the_full_range_and_the_rest_is_zero() -> None:
    view, _ = canonical_view(drawn_breast(), config=CONFIG)

    assert view.max() == 65535
    assert view[view > 0].min() == 1
    assert not view[:, 110:].any()
    assert not view[:4].any()
    assert (view[20:140, :40] > 0).all()


def test_a_breast_with_its_chest_wall_on_the_right_is_mirrored_to_the_same_view() -> None:
    left, _ = canonical_view(drawn_breast(), config=CONFIG)
    right, geometry = canonical_view(drawn_breast(chest_wall="right"), config=CONFIG)

    assert geometry.mirrored
    np.testing.assert_array_equal(left, right)


def test_a_bright_film_label_beside_the_breast_is_removed_and_does_not_dim_it() -> None:
    film = drawn_breast()
    film[10:40, 215:245] = 60000

    view, _ = canonical_view(film, config=CONFIG)

    without = canonical_view(drawn_breast(), config=CONFIG)[0]
    np.testing.assert_allclose(view.astype(float), without, atol=0.01 * 65535)  # the outline may move by a grid cell
    assert not view[5:20, 105:].any()


def test_a_film_that_does_not_begin_at_the_border_is_moved_to_column_zero() -> None:
    film = np.full((320, 400), 20, np.float32)
    film[:, 100:356] = drawn_breast()

    view, geometry = canonical_view(film, config=CONFIG)

    assert geometry.left_px == pytest.approx(100, abs=3)
    assert view[80, :3].all()


def test_a_breast_wider_than_the_view_is_made_smaller_and_padded_above_and_below() -> None:
    _, geometry = canonical_view(drawn_breast(200, 400), config=CONFIG)

    assert geometry.scale < 160 / 200
    assert geometry.top_px > 0


def test_when_the_breast_fills_the_film_the_bright_muscle_shows_the_chest_wall() -> None:
    y, x = np.mgrid[:300, :300]
    filled = np.where((x - 150) ** 2 + (y - 140) ** 2 < 190**2, 500.0, 10.0)
    filled[(299 - x) + y < 80] = 900  # pectoral muscle in the upper right corner

    _, geometry = canonical_view(filled, config=CONFIG)

    assert geometry.mirrored


def test_one_pixel_of_the_source_is_found_again_within_half_a_pixel() -> None:
    plain = drawn_breast(chest_wall="right")
    spotted = plain.copy()
    spotted[60:66, 186:192] = 1300

    view, geometry = canonical_view(spotted, config=CONFIG)

    change = view.astype(float) - canonical_view(plain, config=CONFIG)[0]
    rows, cols = np.nonzero(change > 5000)
    centre = [np.average(cols, weights=change[rows, cols]), np.average(rows, weights=change[rows, cols])]
    np.testing.assert_allclose(geometry.to_source(np.array([centre]))[0], [188.5, 62.5], atol=0.5)


# derandomised: at a scale of 1.5 the error reaches the bound, and the rounding of gray values decides
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    rows=st.integers(200, 400),
    cols=st.integers(150, 400),
    chest_wall=st.sampled_from(["left", "right"]),
    size=st.sampled_from([(160, 128), (96, 64), (512, 416)]),
    place=st.tuples(st.floats(0.05, 0.5), st.floats(0.35, 0.6)),
)
def test_a_bright_dot_anywhere_is_found_again_within_half_a_source_pixel(
    rows: int, cols: int, chest_wall: str, size: tuple[int, int], place: tuple[float, float]
) -> None:
    depth, row = round(place[0] * cols), round(place[1] * rows)
    # of the dot, which covers at least three pixels of the view
    half = 1 + math.ceil(1.5 * max(rows / size[0], cols / size[1]))
    assume(half <= depth)
    plain = drawn_breast(rows, cols)
    plain[3 * rows // 4 : 4 * rows // 5, : cols // 4] = 3000  # sets the upper end of the window for both
    dotted = plain.copy()
    dotted[row - half : row + half + 1, depth - half : depth + half + 1] += 800
    column = depth if chest_wall == "left" else cols - 1 - depth
    views = [image if chest_wall == "left" else image[:, ::-1] for image in (plain, dotted)]

    (before, _), (after, geometry) = (
        canonical_view(image, config=ImagingConfig(height_px=size[0], width_px=size[1])) for image in views
    )

    assert geometry.mirrored == (chest_wall == "right")
    change = np.maximum(after.astype(float) - before - 1500, 0)  # the two windows differ by a little
    centre = [
        np.average(np.arange(size[1]), weights=change.sum(axis=0)),
        np.average(np.arange(size[0]), weights=change.sum(axis=1)),
    ]
    np.testing.assert_allclose(geometry.to_source(np.array([centre]))[0], [column, row], atol=0.5)


@pytest.mark.parametrize("cols", range(190, 210))
def test_a_breast_that_ends_at_the_frames_last_column_is_accepted_at_every_width(cols: int) -> None:
    assert canonical_view(drawn_breast(206, cols, chest_wall="right"), config=CONFIG)[1].left_px >= 0


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(100, 400), cols=st.integers(100, 400), mirrored=st.booleans(), data=st.data())
def test_a_masks_edges_lie_where_the_geometry_puts_them(
    rows: int, cols: int, mirrored: bool, data: st.DataObject
) -> None:
    _, geometry = canonical_view(drawn_breast(rows, cols, chest_wall="right" if mirrored else "left"), config=CONFIG)
    top = data.draw(st.integers(rows // 4, rows // 2))
    left = data.draw(st.integers(cols // 4, cols // 2))  # the breast, and so the view, ends at three quarters
    mask = np.zeros((rows, cols), bool)
    mask[top : top + 25, left : left + 20] = True

    ys, xs = np.nonzero(canonical_mask(mask, geometry=geometry))

    corners = geometry.to_source(np.array([[xs.min() - 0.5, ys.min() - 0.5], [xs.max() + 0.5, ys.max() + 0.5]]))
    # a pixel of the view is set by the half of it that is covered, and covered to half a source pixel
    tolerance = 0.5 + 0.5 / geometry.scale + 0.01
    np.testing.assert_allclose(sorted(corners[:, 0]), [left - 0.5, left + 19.5], atol=tolerance)
    np.testing.assert_allclose(sorted(corners[:, 1]), [top - 0.5, top + 24.5], atol=tolerance)


def test_a_mask_is_mapped_like_its_image_and_back_to_its_place() -> None:
    _, geometry = canonical_view(drawn_breast(chest_wall="right"), config=CONFIG)
    mask = np.zeros((320, 256), bool)
    mask[100:140, 200:230] = True

    rows, cols = np.nonzero(canonical_mask(mask, geometry=geometry))

    corners = geometry.to_source(np.array([[cols.min() - 0.5, rows.min() - 0.5], [cols.max() + 0.5, rows.max() + 0.5]]))
    np.testing.assert_allclose(sorted(corners[:, 0]), [199.5, 229.5], atol=0.5)
    np.testing.assert_allclose(sorted(corners[:, 1]), [99.5, 139.5], atol=0.5)


def test_a_canonical_mask_pixel_is_set_when_at_least_half_of_its_area_is() -> None:
    _, geometry = canonical_view(drawn_breast(), config=CONFIG)
    assert geometry.scale == 0.5
    mask = np.zeros((320, 256), np.uint8)
    mask[100, 100:102] = 255  # two of four
    mask[110, 110] = 255  # one of four

    assert np.argwhere(canonical_mask(mask, geometry=geometry)).tolist() == [[50, 50]]


def test_a_mask_of_another_size_is_refused() -> None:
    _, geometry = canonical_view(drawn_breast(), config=CONFIG)

    with pytest.raises(ImageRefused, match=r"mask_size: the mask is \[10, 12\]"):
        canonical_mask(np.zeros((10, 12), bool), geometry=geometry)


@pytest.mark.parametrize("pixels", [np.zeros((300, 200)), np.full((300, 200), 4095.0), np.full((300, 200), np.nan)])
def test_an_image_without_signal_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ImageRefused, match="no_signal"):
        canonical_view(pixels, config=CONFIG)


@pytest.mark.parametrize("chest_wall", ["left", "right"])
def test_a_negative_is_refused(chest_wall: str) -> None:
    breast = drawn_breast(chest_wall=chest_wall)

    with pytest.raises(ImageRefused, match="no_signal: the background is bright all round"):
        canonical_view(breast.max() - breast, config=CONFIG)


def test_a_breast_that_fills_the_frame_but_for_its_corners_is_no_negative() -> None:
    y, x = np.mgrid[:300, :300]

    view, _ = canonical_view(np.where((x - 150) ** 2 + (y - 150) ** 2 < 190**2, 500.0 + x, 10.0), config=CONFIG)

    assert view.any()


def with_frame(
    film: np.ndarray, *, width: int, sides: str = "tbrl", askew: float = 0, white: float = 1500
) -> np.ndarray:
    """Return the film under a white frame; where it lies askew, one end of each side is wider."""
    rows, cols = film.shape
    y, x = np.mgrid[:rows, :cols]
    framed = film.copy()
    for side, place, wider in (
        ("t", y, askew * x / cols),
        ("b", rows - 1 - y, askew * x / cols),
        ("l", x, askew * y / rows),
        ("r", cols - 1 - x, askew * y / rows),
    ):
        if side in sides:
            framed[place < width + wider] = white
    return framed


FRAMES = [
    {"width": 1},
    {"width": 3, "sides": "tbr"},
    {"width": 8},
    {"width": 16},
    {"width": 5, "sides": "tbl"},
    {"width": 2, "askew": 8},
    {"width": 6, "white": 1250},
    {"width": 4, "sides": "r"},
]


@pytest.mark.parametrize("chest_wall", ["left", "right"])
@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_a_white_frame_is_cut_off_and_the_breast_is_that_of_the_film_without_it(
    frame: dict[str, Any], chest_wall: str
) -> None:
    film = drawn_breast(400, 320, chest_wall=chest_wall)

    view, geometry = canonical_view(with_frame(film, **frame), config=CONFIG)

    expected, bare = canonical_view(film, config=CONFIG)
    assert geometry.mirrored == bare.mirrored
    overlap = ((view > 0) & (expected > 0)).sum() / ((view > 0) | (expected > 0)).sum()
    assert overlap > (0.9 if frame["width"] > 8 else 0.94)
    both = (view > 0) & (expected > 0)
    assert np.abs(view[both].astype(float) - expected[both]).mean() < 0.05 * 65535


def test_a_frame_does_not_hide_a_negative() -> None:
    film = drawn_breast(400, 320)

    with pytest.raises(ImageRefused, match="no_signal"):
        canonical_view(with_frame(film.max() - film, width=6), config=CONFIG)


def test_a_picture_without_a_frame_has_none() -> None:
    assert white_frame(drawn_breast()) is None
    assert white_frame(drawn_breast().max() - drawn_breast()) is None
    assert white_frame(np.zeros((20, 20), np.float32)) is None


def test_real_films_under_a_frame_are_accepted_as_without_it(shared_data: Path) -> None:
    for path in sorted((shared_data / "data" / "mini-mias").glob("*.pgm"))[5::24]:
        film = read_plain(path).astype(np.float32)
        expected, bare = canonical_view(film, config=CONFIG)

        view, geometry = canonical_view(with_frame(film, width=8, white=255), config=CONFIG)

        assert geometry.mirrored == bare.mirrored
        assert ((view > 0) & (expected > 0)).sum() / ((view > 0) | (expected > 0)).sum() > 0.9


def test_real_films_are_accepted_and_their_negatives_are_not(shared_data: Path) -> None:
    paths = sorted((shared_data / "data" / "mini-mias").glob("*.pgm"))[::10]
    assert len(paths) >= 10

    for path in paths:
        film = read_plain(path).astype(np.float32)
        canonical_view(film, config=CONFIG)
        with pytest.raises(ImageRefused, match="no_signal"):
            canonical_view(film.max() - film, config=CONFIG)


def test_a_chest_wall_on_the_side_that_the_header_names_is_accepted() -> None:
    left, _ = canonical_view(drawn_breast(), config=CONFIG)

    np.testing.assert_array_equal(canonical_view(drawn_breast(), config=CONFIG, chest_wall=Side.LEFT)[0], left)


@pytest.mark.parametrize(("drawn", "named"), [("left", Side.RIGHT), ("right", Side.LEFT)])
def test_a_chest_wall_clearly_on_the_other_side_is_refused(drawn: str, named: Side) -> None:
    with pytest.raises(ImageRefused, match="view: Patient Orientation"):
        canonical_view(drawn_breast(chest_wall=drawn), config=CONFIG, chest_wall=named)


def test_a_chest_wall_that_the_picture_does_not_show_clearly_contradicts_nothing() -> None:
    y, x = np.mgrid[:300, :300]
    filled = np.where((x - 150) ** 2 + (y - 140) ** 2 < 190**2, 500.0, 10.0)
    filled[(299 - x) + y < 80] = 900  # pectoral muscle in the upper right corner

    _, geometry = canonical_view(filled, config=CONFIG, chest_wall=Side.LEFT)

    assert geometry.mirrored


def test_a_strip_too_thin_for_the_view_is_refused() -> None:
    strip = np.zeros((2, 12000), np.float32)
    strip[:, :6000] = np.linspace(1000, 500, 6000)

    with pytest.raises(ImageRefused, match="pixel_size: 12000x2 px"):
        canonical_view(strip, config=CONFIG)


def test_network_input_runs_from_zero_to_one() -> None:
    assert to_network(np.array([[0, 65535]], np.uint16)).tolist() == [[0, 1]]


@pytest.mark.parametrize("size", [{"height_px": 1000}, {"width_px": 810}])
def test_a_size_that_no_network_can_take_is_refused_with_the_nearest_ones(size: dict[str, int]) -> None:
    nearest = "take 992 or 1024" if "height_px" in size else "take 800 or 832"
    with pytest.raises(ValueError, match=f"no network can take it: it is no multiple of 32; {nearest}"):
        ImagingConfig(**size)
