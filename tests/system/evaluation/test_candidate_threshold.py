"""Where a candidate begins, chosen on validation."""

from collections.abc import Sequence

import numpy as np

from system.evaluation.candidate_threshold import GRID, candidate_grid, choose_candidate_threshold
from system.metrics import FrocConfig

CONFIG = FrocConfig(min_lesion_px=4, min_candidate_px=4, candidate_threshold=0.03, fppi=(1.0,))
MASK = np.zeros((20, 20), dtype=bool)
MASK[5:9, 5:9] = True


def choose(probability: np.ndarray, mask: np.ndarray, *, grid: Sequence[float] = GRID) -> tuple[float, str]:
    found = candidate_grid(CONFIG, grid=grid)
    found.add(probability, mask)
    return choose_candidate_threshold(found, config=CONFIG)


def test_a_threshold_at_which_masses_melt_into_their_surroundings_is_not_taken() -> None:
    halo = np.where(MASK, 0.5, 0.1)
    threshold, why = choose(halo, MASK, grid=(0.05, 0.2, 0.4, 0.6))
    assert threshold == 0.2  # 0.4 does as well; the lowest of equals is taken
    assert "best mean sensitivity 1.000 over 1 lesions in 1 validation images" in why


def test_without_a_lesion_the_configured_threshold_is_kept() -> None:
    threshold, why = choose(np.full((20, 20), 0.5), np.zeros((20, 20), dtype=bool))
    assert threshold == 0.03
    assert "no lesion" in why
