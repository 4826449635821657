"""The mapping between source and canonical pixels."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from system.imaging import Geometry

HALVED = Geometry(source_rows=8, source_cols=6, rows=4, cols=3, mirrored=False, scale=0.5, left_px=0.0, top_px=0)
MIRRORED = Geometry(source_rows=8, source_cols=6, rows=8, cols=6, mirrored=True, scale=1.0, left_px=2.0, top_px=3)


def test_the_middle_of_a_block_of_four_is_the_centre_of_the_pixel_it_becomes() -> None:
    assert HALVED.to_canonical(np.array([[0.5, 0.5], [2.5, 4.5]])).tolist() == [[0, 0], [1, 2]]


def test_mirroring_cutting_and_padding_move_a_point_as_worked_by_hand() -> None:
    # column 3 of 6 mirrored is column 2; two columns are cut off: 0; three rows are padded above: row 1 -> 4
    assert MIRRORED.to_canonical(np.array([[3.0, 1.0]])).tolist() == [[0, 4]]


def test_there_and_back_is_the_same_point() -> None:
    geometry = Geometry(
        source_rows=3062, source_cols=2394, rows=1024, cols=800, mirrored=True, scale=0.3344, left_px=17.25, top_px=4
    )
    points = np.random.default_rng(0).uniform(0, 2394, (50, 2))

    np.testing.assert_allclose(geometry.to_source(geometry.to_canonical(points)), points, atol=1e-9)


@given(
    st.builds(
        Geometry,
        source_rows=st.integers(1, 6000),
        source_cols=st.integers(1, 6000),
        rows=st.just(1024),
        cols=st.just(800),
        mirrored=st.booleans(),
        scale=st.floats(0.01, 20),
        left_px=st.floats(0, 3000),
        top_px=st.integers(0, 500),
    ),
    st.lists(st.tuples(st.floats(-0.5, 6000), st.floats(-0.5, 6000)), min_size=1, max_size=5),
)
def test_any_point_of_any_geometry_goes_there_and_back(geometry: Geometry, points: list[tuple[float, float]]) -> None:
    np.testing.assert_allclose(geometry.to_source(geometry.to_canonical(np.array(points))), points, atol=1e-6)


def test_the_text_form_comes_back_whole() -> None:
    assert Geometry.from_json(MIRRORED.to_json()) == MIRRORED
