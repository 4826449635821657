"""Overlaps of components, and what is kept of every candidate's match."""

import numpy as np

from system.maps import components
from system.metrics.matching import Outcome, gather, match, overlaps


def test_overlap_is_the_intersection_over_the_union() -> None:
    candidate = components(np.array([[1, 1, 1, 0]], dtype=bool), min_px=1)
    lesions = components(np.array([[1, 0, 1, 1]], dtype=bool), min_px=1)
    assert overlaps(candidate, lesions).tolist() == [[1 / 3, 1 / 4]]


def test_a_map_without_candidates_still_has_the_number_of_lesions() -> None:
    nothing = components(np.zeros((2, 2), dtype=bool), min_px=1)
    lesion = components(np.ones((2, 2), dtype=bool), min_px=1)
    assert overlaps(nothing, lesion).shape == (0, 1)


def test_a_false_positive_keeps_its_best_overlap_below_the_limit() -> None:
    matched = match(gather([(np.array([0.9]), np.array([[0.05, 0.15, 0.1]]))]), iou=0.2)
    assert matched.outcome.tolist() == [Outcome.FALSE_POSITIVE]
    assert (matched.lesion.tolist(), matched.nearest.tolist(), matched.iou.tolist()) == ([-1], [1], [0.15])


def test_an_overlap_of_exactly_the_limit_is_kept_for_a_false_positive() -> None:
    matched = match(gather([(np.array([0.9]), np.array([[0.2]]))]), iou=0.2)
    assert (matched.lesion.tolist(), matched.nearest.tolist(), matched.iou.tolist()) == ([-1], [0], [0.2])


def test_a_candidate_that_touches_no_lesion_has_no_nearest_one() -> None:
    matched = match(gather([(np.array([0.9, 0.8]), np.array([[0.0], [0.5]]))]), iou=0.2)
    assert matched.outcome.tolist() == [Outcome.FALSE_POSITIVE, Outcome.TRUE_POSITIVE]
    assert (matched.nearest.tolist(), matched.iou.tolist()) == ([-1, 0], [0.0, 0.5])


def test_the_nearest_lesion_is_that_of_highest_overlap_also_where_another_was_found() -> None:
    """The second candidate finds lesion 0 because lesion 1, which it overlaps more, is taken."""
    matched = match(gather([(np.array([0.9, 0.8]), np.array([[0.0, 0.5], [0.3, 0.6]]))]), iou=0.2)
    assert matched.outcome.tolist() == [Outcome.TRUE_POSITIVE] * 2
    assert (matched.lesion.tolist(), matched.nearest.tolist(), matched.iou.tolist()) == ([1, 0], [1, 1], [0.5, 0.3])


def test_a_duplicate_keeps_the_lesion_that_it_overlaps_most() -> None:
    matched = match(gather([(np.array([0.9, 0.8]), np.array([[0.5], [0.7]]))]), iou=0.2)
    assert matched.outcome.tolist() == [Outcome.TRUE_POSITIVE, Outcome.DUPLICATE]
    assert (matched.lesion.tolist(), matched.nearest.tolist(), matched.iou.tolist()) == ([0, 0], [0, 0], [0.5, 0.7])


def test_lesions_are_numbered_over_all_images() -> None:
    first = (np.array([0.9]), np.array([[0.1, 0.0]]))
    second = (np.array([0.8]), np.array([[0.05]]))
    matched = match(gather([first, (np.empty(0), np.empty((0, 1))), second]), iou=0.2)
    assert (matched.nearest.tolist(), matched.iou.tolist()) == ([0, 3], [0.1, 0.05])
