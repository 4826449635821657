import numpy as np
import pytest

from system.records import Candidate
from system.refine import own_peak_regions, regions


def test_two_components_worked_by_hand_come_highest_score_first() -> None:
    found = np.zeros((6, 8), dtype=np.float32)
    found[1, 1], found[1, 2] = 0.25, 0.75  # centroid x = (0.25 * 1 + 0.75 * 2) / 1
    found[3:5, 5] = 0.875
    assert regions(found[None], candidate_threshold=0.2, min_px=1) == [
        [
            Candidate(box_px=(5, 3, 6, 5), score=0.875, area_px=2, centroid_px=(5.0, 3.5)),
            Candidate(box_px=(1, 1, 3, 2), score=0.75, area_px=2, centroid_px=(1.75, 1.0)),
        ]
    ]


def test_pixels_that_touch_by_a_corner_are_one_candidate() -> None:
    found = np.zeros((4, 4), dtype=np.float32)
    found[0, 0] = found[1, 1] = 0.5
    assert [candidate.area_px for candidate in regions(found[None], candidate_threshold=0.5, min_px=1)[0]] == [2]


def test_a_pixel_at_the_candidate_threshold_belongs_to_a_candidate() -> None:
    found = np.full((2, 2), 0.5, dtype=np.float32)
    assert regions(found[None], candidate_threshold=0.5, min_px=4)[0][0].area_px == 4
    assert regions(found[None], candidate_threshold=0.51, min_px=1) == [[]]


def test_components_below_the_smallest_area_are_dropped() -> None:
    found = np.zeros((5, 5), dtype=np.float32)
    found[0, 0] = 0.9
    found[2:4, 2:4] = 0.6
    (kept,) = regions(found[None], candidate_threshold=0.1, min_px=2)[0]
    assert kept.score == pytest.approx(0.6)


def test_each_map_of_a_batch_has_its_own_candidates() -> None:
    found = np.zeros((3, 6, 6), dtype=np.float32)
    found[0, 4:6, 2:4] = 0.5  # touches the first row of the next map only in memory
    found[1, 0, 2:4] = 0.7
    first, second, third = regions(found, candidate_threshold=0.2, min_px=1)
    assert [candidate.box_px for candidate in first] == [(2, 4, 4, 6)]
    assert [candidate.box_px for candidate in second] == [(2, 0, 4, 1)]
    assert third == []


def test_own_peak_candidates_end_at_half_of_their_peak_in_every_map_of_a_batch() -> None:
    bright, faint = np.zeros((2, 8, 8), dtype=np.float32)
    bright[1:4, 1:4], bright[2, 2] = 0.5, 0.9
    bright[0, 0] = 0.4  # below half of the peak that it touches
    faint[5:7, 5:7] = 0.1
    first, second = own_peak_regions(np.stack([bright, faint]), min_px=2)
    assert [(candidate.box_px, candidate.area_px) for candidate in first] == [((1, 1, 4, 4), 9)]
    assert [(candidate.score, candidate.area_px) for candidate in second] == [(pytest.approx(0.1), 4)]
