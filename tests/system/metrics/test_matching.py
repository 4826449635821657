"""Components, overlaps and upsampling on small maps."""

import numpy as np
import torch

from system.metrics.matching import components, highest, overlaps, upsample
from system.refine import regions


def test_components_that_touch_at_a_corner_are_one():
    assert components(np.eye(3, dtype=bool), min_px=1).area_px.tolist() == [3]


def test_small_components_are_dropped_and_the_rest_numbered_anew():
    mask = np.array([[1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 0]], dtype=bool)
    found = components(mask, min_px=2)
    assert found.labels.tolist() == [[0, 0, 1, 1], [0, 0, 0, 0], [2, 2, 2, 0]]
    assert found.area_px.tolist() == [2, 3]


def test_cuts_of_a_stack_are_labelled_apart():
    assert components(np.ones((3, 2, 2), dtype=bool), min_px=1).area_px.tolist() == [4, 4, 4]


def test_overlap_is_the_intersection_over_the_union():
    candidate = components(np.array([[1, 1, 1, 0]], dtype=bool), min_px=1)
    lesions = components(np.array([[1, 0, 1, 1]], dtype=bool), min_px=1)
    assert overlaps(candidate, lesions).tolist() == [[1 / 3, 1 / 4]]


def test_a_map_without_candidates_still_says_how_many_lesions_there_are():
    nothing, lesion = (
        components(np.zeros((2, 2), dtype=bool), min_px=1),
        components(np.ones((2, 2), dtype=bool), min_px=1),
    )
    assert overlaps(nothing, lesion).shape == (0, 1)


def test_upsampling_is_the_nets_own():
    coarse = np.random.default_rng(0).random((5, 4), dtype=np.float32)
    wanted = torch.nn.functional.interpolate(torch.from_numpy(coarse)[None, None], scale_factor=4, mode="bilinear")[
        0, 0
    ].numpy()
    np.testing.assert_allclose(upsample(coarse, shape=(20, 16)), wanted, atol=1e-6)


def test_candidates_are_those_of_the_inference():
    smooth = upsample(np.random.default_rng(1).random((10, 8), dtype=np.float32), shape=(80, 64))
    found = components(smooth >= 0.6, min_px=20)
    (expected,) = regions(smooth[None], floor=0.6, min_px=20)
    assert len(expected) > 3
    assert sorted(zip(highest(smooth, found).tolist(), found.area_px.tolist(), strict=True)) == sorted(
        (candidate.score, candidate.area_px) for candidate in expected
    )
