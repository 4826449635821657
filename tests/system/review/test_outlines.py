"""Masks from boxes and polygons."""

import numpy as np
import pytest

from system.errors import UserError
from system.review import from_box, from_coco


def test_the_ellipse_touches_the_edges_of_its_box_and_leaves_its_corners() -> None:
    mask = from_box((2, 4, 12, 10), shape=(20, 16))
    rows, cols = np.nonzero(mask)
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (4, 9, 2, 11)
    assert not mask[4, 2]
    assert abs(mask.sum() / (np.pi / 4 * 60) - 1) < 0.1


def test_polygons_count_from_the_corner_of_the_first_pixel() -> None:
    square = {"segmentation": [[2, 3, 6, 3, 6, 8, 2, 8]], "bbox": [2, 3, 4, 5]}
    expected = np.zeros((12, 12), bool)
    expected[3:8, 2:6] = True
    found = from_coco([square], shape=(12, 12))
    assert (found ^ expected).sum() <= 9  # at most the pixels of two edges
    assert found[4:7, 3:5].all()
    assert not found[:2].any()


def test_a_box_stands_in_for_a_missing_polygon_and_all_annotations_are_joined() -> None:
    found = from_coco([{"bbox": [0, 0, 4, 4]}, {"bbox": [6, 6, 4, 4], "segmentation": []}], shape=(12, 12))
    assert found[1:3, 1:3].all()
    assert found[7:9, 7:9].all()
    assert not found[5, 5]


def test_a_polygon_needs_no_box_and_a_flat_list_is_one_polygon() -> None:
    square = [2, 3, 6, 3, 6, 8, 2, 8]
    expected = np.zeros((12, 16), bool)
    expected[3:8, 2:6] = True
    for segmentation in ([square], square, [square, []], [[str(at) for at in square]], [square, {}]):
        np.testing.assert_array_equal(from_coco([{"segmentation": segmentation}], shape=(12, 16)), expected)


def test_what_percent_leaves_of_a_place_between_pixels_does_not_move_the_outline() -> None:
    """Label Studio keeps places in percent: 10.5 of 96 comes back as 10.499999999999998."""
    exact = [10.5, 20.5, 30.5, 20.5, 30.5, 40.5, 10.5, 40.5]
    kept = [at / size * 100 / 100 * size for at, size in zip(exact, 4 * (96, 128), strict=True)]
    off = [at - 4e-15 for at in kept]
    for points in (kept, off):
        found = from_coco([{"segmentation": [points]}], shape=(128, 96))
        np.testing.assert_array_equal(found, from_coco([{"segmentation": [exact]}], shape=(128, 96)))


def test_an_outline_over_the_edge_is_cut_there() -> None:
    found = from_coco([{"segmentation": [[-3.5, -2, 4, -2, 4, 3, -3.5, 3]]}], shape=(8, 10))
    expected = np.zeros((8, 10), bool)
    expected[:3, :4] = True
    np.testing.assert_array_equal(found, expected)


def test_runs_go_down_the_columns_and_begin_outside() -> None:
    """Of 3 rows and 4 columns: 2 out, 3 in, 4 out, 3 in. As text, worked by hand: from the fourth run on differences.

    2 -> "2", 3 -> "3", 4 -> "4", 3 - 3 = 0 -> "0".
    """
    expected = np.array([[0, 1, 0, 1], [0, 1, 0, 1], [1, 0, 0, 1]], bool)
    for counts in ([2, 3, 4, 3], "2340"):
        for segmentation in ({"counts": counts, "size": [3, 4]}, [{"counts": counts, "size": (3, 4)}]):
            np.testing.assert_array_equal(from_coco([{"segmentation": segmentation}], shape=(3, 4)), expected)


def test_a_long_run_and_a_falling_one_take_several_characters_and_a_sign() -> None:
    """40 x 40: runs 100, 60, 200, 20, 1220.

    100 = 4 + 3 * 32 -> "T3"; 60 = 28 + 1 * 32 -> "l1"; 200 = 8 + 6 * 32 -> "X6".
    20 - 60 = -40: 24 of it, then -2 -> "hN"; 1220 - 200 = 1020 = 28 + 31 * 32, whose high bits need a third -> "lo0".
    """
    text = "T3l1X6hNlo0"
    expected = np.repeat([False, True, False, True, False], [100, 60, 200, 20, 1220]).reshape(40, 40).T
    np.testing.assert_array_equal(
        from_coco([{"segmentation": {"counts": text, "size": [40, 40]}}], shape=(40, 40)), expected
    )


@pytest.mark.parametrize("counts", ["2350", "23", "23!0", "2340P", "~" * 40, None, [2.5, 9.5], [True, 11], [12, 1]])
def test_what_are_no_runs_of_the_picture_is_refused(counts: object) -> None:
    with pytest.raises(UserError, match="of its mask"):
        from_coco([{"segmentation": {"counts": counts, "size": [3, 4]}}], shape=(3, 4))
