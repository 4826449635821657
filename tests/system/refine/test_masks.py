import numpy as np
import pytest
import torch

from system.errors import UserError
from system.refine import CrfParams, RefineConfig, refine_masks, shift_threshold
from system.refine.masks import drop_small, removed_share

NO_CRF = RefineConfig(backend="none", min_candidate_px=1)


def test_the_shift_puts_the_threshold_at_even_odds() -> None:
    assert shift_threshold(torch.tensor([0.2]), 0.2).item() == pytest.approx(0.5, abs=1e-6)
    # odds 0.8 / 0.2 = 4, threshold's odds 0.25: shifted odds 16, probability 16 / 17
    assert shift_threshold(torch.tensor([0.8]), 0.2).item() == pytest.approx(16 / 17, abs=1e-6)


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1])
def test_a_threshold_outside_zero_to_one_is_refused(threshold: float) -> None:
    with pytest.raises(UserError, match="mask_threshold must lie between 0 and 1"):
        shift_threshold(torch.tensor([0.2]), threshold)


def test_an_underconfident_map_gets_a_mask_at_its_own_threshold() -> None:
    prob = torch.full((1, 16, 16), 0.01)
    prob[0, 4:12, 4:12] = 0.3
    image = torch.full((1, 16, 16), 100.0)
    assert not refine_masks(prob, image, mask_threshold=0.5, config=NO_CRF).mask.any()
    assert refine_masks(prob, image, mask_threshold=0.2, config=NO_CRF).mask[0].sum() == 64


def test_with_an_extent_a_component_reaches_down_to_a_share_of_its_own_peak() -> None:
    slope = torch.tensor([0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.8, 0.05, 0.1, 0.3, 0.1, 0.05])
    prob = slope.repeat(3, 1)[None]
    # the first component peaks at 0.8: down to 0.4; the second at 0.3 never reaches the threshold of 0.5
    shifted = shift_threshold(prob, 0.5, extent=0.5)
    assert (shifted[0, 1] >= 0.5).tolist() == [False] * 4 + [True] * 3 + [False] * 5
    # at a threshold of 0.2 both are found: the first from 0.4, the second from 0.15
    shifted = shift_threshold(prob, 0.2, extent=0.5)
    assert (shifted[0, 1] >= 0.5).tolist() == [False] * 4 + [True] * 3 + [False] * 2 + [True] + [False] * 2


def test_without_an_extent_the_threshold_is_the_same_everywhere() -> None:
    prob = torch.rand((2, 8, 8), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(shift_threshold(prob, 0.3) >= 0.5, prob >= 0.3)


def test_small_components_are_dropped_image_by_image() -> None:
    mask = np.zeros((2, 6, 6), dtype=bool)
    mask[0, :2, :2] = True  # 4 px
    mask[0, 4, 4] = mask[0, 5, 5] = True  # 2 px, joined by a corner
    mask[1, 0, 0] = True  # beneath the first image's block, but another image
    kept = drop_small(mask, min_px=3)
    assert kept[0].sum() == 4
    assert kept[1].sum() == 0
    assert drop_small(mask, min_px=2)[0].sum() == 6


def test_the_removed_share_is_that_of_the_worst_component_of_each_image() -> None:
    before = np.zeros((2, 8, 8), dtype=bool)
    before[0, :2, :5] = True  # 10 px, 4 stay: 0.6 gone
    before[0, 6, :4] = True  # 4 px, 3 stay
    before[1, 0, 0] = True  # too small to count
    after = np.zeros_like(before)
    after[0, :2, :2] = True
    after[0, 6, :3] = True
    np.testing.assert_allclose(removed_share(before, after, min_px=2), [0.6, 0.0], atol=1e-6)


def test_a_crf_that_wipes_out_a_blob_is_reported_as_having_removed_it_all() -> None:
    prob = torch.full((1, 40, 40), 0.02)
    prob[0, 18:22, 18:22] = 0.6
    image = torch.full((1, 40, 40), 100.0)
    config = RefineConfig(params=CrfParams(smoothness_sigma_px=6, smoothness_weight=10), min_candidate_px=4)
    refined = refine_masks(prob, image, mask_threshold=0.5, config=config)
    assert not refined.mask.any()
    assert refined.removed.tolist() == [1.0]
