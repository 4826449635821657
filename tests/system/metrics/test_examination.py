"""One map against its truth, and the second mode's cuts."""

import numpy as np
import pytest

from system.maps import components
from system.metrics import FrocConfig
from system.metrics.examination import examine
from system.metrics.matching import gather, match
from system.metrics.rethreshold import cut_curve, cut_levels, cuts_by_patient

CONFIG = FrocConfig(min_lesion_px=4, min_candidate_px=4, candidate_threshold=0.1)
LEVELS = np.array([0.9, 0.5, 0.1])


def square(size: int, *, at: tuple[int, int], value: float = 1.0, shape: tuple[int, int] = (20, 20)) -> np.ndarray:
    drawn = np.zeros(shape)
    drawn[at[0] : at[0] + size, at[1] : at[1] + size] = value
    return drawn


def test_specks_of_the_truth_are_no_lesions_and_are_counted() -> None:
    truth = (square(3, at=(2, 2)) + square(1, at=(10, 10))) > 0
    found = examine(np.zeros((20, 20)), truth, levels=LEVELS, config=CONFIG)
    assert (found.num_lesions, found.num_specks) == (1, 1)


def test_candidates_below_the_smallest_size_are_left_out() -> None:
    found = examine(
        square(1, at=(2, 2), value=0.9) + square(2, at=(8, 8), value=0.3),
        np.zeros((20, 20), dtype=bool),
        levels=LEVELS,
        config=CONFIG,
    )
    assert found.scores.tolist() == [pytest.approx(0.3)]
    assert found.boxes_px == [(8, 8, 10, 10)]


def test_a_map_of_another_size_than_its_truth_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the map is \[5, 5\] but the truth \[20, 20\]"):
        examine(np.zeros((5, 5)), np.zeros((20, 20), dtype=bool), levels=LEVELS, config=CONFIG)


def test_a_cut_can_find_a_lesion_that_the_sweep_misses() -> None:
    truth = square(4, at=(4, 4)) > 0
    halo = np.maximum(
        square(14, at=(2, 2), value=0.2), square(4, at=(4, 4), value=0.8)
    )  # IoU 16/196 at the floor, 1 at 0.5
    found = examine(halo, truth, levels=LEVELS, config=CONFIG)
    assert match(gather([(found.scores, found.iou)]), iou=0.2).outcome.tolist() == [0]
    assert found.cuts.found.tolist() == [0, 1, 0]
    assert found.cuts.false.tolist() == [0, 0, 1]


def test_cuts_agree_with_cutting_each_level_by_itself() -> None:
    rng = np.random.default_rng(5)
    levels = np.linspace(0.9, 0.1, 9)
    for _ in range(5):
        probability = rng.random((20, 20)) * rng.random()
        truth = rng.random((20, 20)) > 0.55
        found = examine(probability, truth, levels=levels, config=CONFIG).cuts
        for place, level in enumerate(levels):
            cut = examine(probability, truth, levels=LEVELS, config=CONFIG.changed(candidate_threshold=level))
            outcome = match(gather([(cut.scores, cut.iou)]), iou=0.2).outcome
            assert (found.found[place], found.false[place]) == ((outcome == 1).sum(), (outcome == 0).sum())
        assert len(components(truth, min_px=4).area_px)


def test_own_peak_candidates_find_a_faint_mass_that_a_threshold_melts_into_its_surroundings() -> None:
    truth = square(4, at=(4, 4)) > 0
    halo = np.maximum(square(14, at=(2, 2), value=0.2), square(4, at=(4, 4), value=0.8))
    config = CONFIG.changed(candidates="own_peak")
    found = examine(halo, truth, levels=LEVELS, config=config)
    assert (found.scores.tolist(), found.boxes_px) == ([pytest.approx(0.8)], [(4, 4, 8, 8)])
    assert match(gather([(found.scores, found.iou)]), iou=0.2).outcome.tolist() == [1]
    assert found.cuts.found.tolist() == [0, 1, 0]


def test_the_masks_components_are_the_candidates_whatever_the_map_is_beside_it() -> None:
    truth = square(4, at=(4, 4)) > 0
    halo = np.maximum(square(14, at=(2, 2), value=0.2), square(4, at=(4, 4), value=0.8))
    mask = square(5, at=(4, 4)) > 0
    found = examine(halo, truth, levels=LEVELS, config=CONFIG.changed(regions="mask"), mask=mask)
    assert (found.scores.tolist(), found.boxes_px, found.area_px.tolist()) == (
        [pytest.approx(0.8)],
        [(4, 4, 9, 9)],
        [25],
    )
    assert found.iou.tolist() == [[16 / 25]]
    assert found.cuts.found.tolist() == [0, 1, 1]  # at .1 the map's 14 x 14 would miss it, the mask's 5 x 5 does not
    with pytest.raises(ValueError, match="takes candidates from a mask, and none was given"):
        examine(halo, truth, levels=LEVELS, config=CONFIG.changed(regions="mask"))


def test_under_own_peak_the_second_mode_cuts_below_the_candidate_threshold() -> None:
    config = CONFIG.changed(candidates="own_peak", candidate_threshold=0.5)
    levels = cut_levels(np.array([0.3]), config=config)
    assert (levels[0], levels[-1]) == (pytest.approx(0.3), 0.02)
    truth = square(4, at=(4, 4)) > 0
    assert examine(square(4, at=(4, 4), value=0.3), truth, levels=levels, config=config).cuts.found[-1] == 1


def test_cut_levels_fall_from_the_highest_peak_to_the_floor() -> None:
    levels = cut_levels(np.array([0.01, 0.2, 0.6]), config=CONFIG)
    assert (levels[0], levels[-1]) == (0.6, 0.1)
    assert (np.diff(levels) < 0).all()


def test_cut_levels_of_maps_below_the_floor_are_the_floor_alone() -> None:
    assert cut_levels(np.array([0.01]), config=CONFIG).tolist() == [0.1]


def test_the_cut_curve_may_fall_and_keeps_its_best() -> None:
    truth = square(4, at=(4, 4)) > 0
    halo = np.maximum(square(14, at=(2, 2), value=0.2), square(4, at=(4, 4), value=0.8))
    cuts = [examine(halo, truth, levels=LEVELS, config=CONFIG).cuts]
    curve = cut_curve(cuts, levels=LEVELS, num_lesions=1)
    assert curve.sensitivity.tolist() == [0.0, 1.0, 0.0]
    counts = cuts_by_patient(cuts, image_patient=["one"], image_lesions=[1])
    assert counts.found.toarray().ravel().tolist() == [0, 1, -1]
