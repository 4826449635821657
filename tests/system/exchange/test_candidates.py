"""Candidates in the pixels of their source."""

import numpy as np
import pytest

from system.exchange import to_source
from system.imaging import Geometry, ImagingConfig, canonical_view
from system.records import Box, Candidate

HALVED = Geometry(source_rows=8, source_cols=6, rows=4, cols=3, mirrored=False, scale=0.5, left_px=0.0, top_px=0)
MIRRORED = Geometry(source_rows=8, source_cols=6, rows=16, cols=6, mirrored=True, scale=1.0, left_px=2.0, top_px=3)


def candidate(box: Box, centroid: tuple[float, float] = (0.0, 0.0)) -> Candidate:
    return Candidate(box_px=box, score=0.5, area_px=4, centroid_px=centroid)


def test_a_box_covers_the_source_pixels_that_its_pixels_were_made_of() -> None:
    found = to_source(candidate((1, 0, 3, 2), centroid=(1.0, 0.0)), HALVED)
    assert found.box_px == (2, 0, 6, 4)
    assert found.centroid_px == (3, 1)  # the middle of columns 2 and 3, rows 0 and 1
    assert found.area_px == 16


def test_a_mirrored_box_has_its_left_edge_on_the_left_again() -> None:
    # canonical columns 1 and 2 are mirrored columns 3 and 4, source columns 2 and 1; three rows are padding
    assert to_source(candidate((1, 4, 3, 6)), MIRRORED).box_px == (1, 1, 3, 3)


def test_what_lies_in_the_padding_is_cut_off() -> None:
    assert to_source(candidate((0, 0, 6, 16)), MIRRORED).box_px == (0, 0, 4, 8)


@pytest.mark.parametrize("chest_wall", ["left", "right"])
def test_a_bright_square_is_found_again_where_it_was_drawn(chest_wall: str) -> None:
    picture = np.zeros((400, 300), np.float32)
    rows, cols = np.mgrid[:400, :300]
    picture[(rows - 200) ** 2 / 180**2 + cols**2 / 200**2 < 1] = 400
    picture += np.where(picture > 0, np.random.default_rng(0).uniform(0, 100, picture.shape), 0).astype(np.float32)
    picture[100:140, 60:120] = 4000
    x0, x1 = (60, 120) if chest_wall == "left" else (180, 240)
    view, geometry = canonical_view(
        picture if chest_wall == "left" else picture[:, ::-1], config=ImagingConfig(height_px=128, width_px=96)
    )
    bright = np.argwhere(view > 50000)
    (top, left), (bottom, right) = bright.min(axis=0), bright.max(axis=0) + 1
    found = to_source(candidate((int(left), int(top), int(right), int(bottom))), geometry)
    assert geometry.mirrored == (chest_wall == "right")
    assert found.box_px == pytest.approx((x0, 100, x1, 140), abs=1 / geometry.scale)
