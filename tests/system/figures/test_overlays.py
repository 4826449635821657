"""Overlays: what is drawn where."""

import numpy as np

from system.figures.overlays import (
    OUTCOME_COLOURS,
    TRUTH_COLOUR,
    outcome_picture,
    with_candidates,
    with_contours,
    with_map,
    with_truth,
)
from system.records import Candidate

IMAGE = np.full((40, 30), 30000, dtype=np.uint16)
TRUTH = np.zeros((40, 30), dtype=bool)
TRUTH[10:20, 10:20] = True


def test_the_outline_lies_around_the_mass_and_leaves_it_free() -> None:
    drawn = (with_truth(IMAGE, TRUTH, height_px=40) == TRUTH_COLOUR).all(axis=-1)
    assert drawn[8:10, 15].all()
    assert not drawn[12:18, 12:18].any()
    assert not drawn[30:].any()


def test_a_picture_keeps_the_images_aspect() -> None:
    assert with_truth(IMAGE, TRUTH, height_px=80).shape == (80, 60, 3)


def test_where_the_map_is_zero_the_tissue_shows() -> None:
    nothing = np.zeros((40, 30), dtype=bool)
    coloured = with_map(IMAGE, nothing, np.zeros((10, 8)), height_px=40, ceiling=0.5)
    np.testing.assert_array_equal(coloured, with_truth(IMAGE, nothing, height_px=40))


def test_the_map_is_reddest_at_its_ceiling() -> None:
    nothing, probability = np.zeros((40, 30), dtype=bool), np.zeros((40, 30))
    probability[:20], probability[20:] = 0.5, 0.1
    coloured = with_map(np.zeros_like(IMAGE), nothing, probability, height_px=40, ceiling=0.5).astype(int)
    assert coloured[5, 5, 0] > coloured[5, 5, 2]
    assert coloured[35, 5, 2] > coloured[35, 5, 0] > 0


def test_a_candidates_box_lies_just_around_it_and_turns_with_a_mirrored_picture() -> None:
    candidate, nowhere = Candidate((3, 10, 9, 16), 0.5, 36, (5.5, 12.5)), np.zeros((10, 8))
    plain, mirrored = (with_candidates(IMAGE, nowhere, [candidate], mirrored=turned) for turned in (False, True))
    drawn = (plain == TRUTH_COLOUR).all(axis=-1)
    assert drawn[9, 2:10].all()
    assert drawn[9:17, 2].all()
    assert drawn[9:17, 9].all()
    assert not drawn[10:16, 3:9].any()
    turned = (mirrored == TRUTH_COLOUR).all(axis=-1)
    np.testing.assert_array_equal(turned[9:17], drawn[9:17, ::-1])


def test_contours_run_around_the_maps_blob_and_leave_the_rest_as_it_is() -> None:
    probability = np.zeros((10, 8), dtype=np.float32)
    probability[4:6, 3:5] = 0.8
    plain, drawn = (with_contours(IMAGE, each, height_px=160) for each in (None, probability))
    changed = (plain != drawn).any(axis=-1)
    assert changed.any()
    assert not changed[:48].any()
    assert not changed[112:].any()
    assert not changed[78:82, 62:66].any()  # the peak itself


def test_contours_of_a_blob_at_the_border_close() -> None:
    probability = np.zeros((10, 8), dtype=np.float32)
    probability[:3, :3] = 0.8
    changed = (with_contours(IMAGE, None, height_px=160) != with_contours(IMAGE, probability, height_px=160)).any(
        axis=-1
    )
    assert changed[:, 0].any()
    assert changed[0].any()


def test_an_empty_map_has_no_contour() -> None:
    empty = np.zeros((10, 8), dtype=np.float32)
    np.testing.assert_array_equal(with_contours(IMAGE, empty, height_px=160), with_contours(IMAGE, None, height_px=160))


def test_each_candidate_has_the_colour_of_its_outcome() -> None:
    nothing = np.zeros((40, 30), dtype=bool)
    marked = [((2, 2, 8, 8), "TP", 0.9), ((14, 2, 20, 8), "FP", 0.5), ((2, 20, 8, 26), "duplicate", 0.4)]
    drawn = outcome_picture(IMAGE, nothing, marked, height_px=40)
    for (x0, y0, _, _), outcome, _ in marked:
        assert tuple(drawn[y0 + 2, x0 - 1]) == OUTCOME_COLOURS[outcome]
    assert not (drawn == TRUTH_COLOUR).all(axis=-1).any()
