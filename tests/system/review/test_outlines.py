"""Masks from boxes and polygons."""

import numpy as np

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
