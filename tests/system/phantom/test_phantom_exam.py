"""One patient's exam: the masses, their masks, and the similarity of both breasts."""

from typing import Any

import numpy as np
import pytest

from system.phantom import PhantomConfig, PhantomView, make_exam
from system.phantom.anatomy import Grid, draw_tissue
from system.phantom.exam import _draw_views
from system.phantom.scene import Outlines, Scene
from system.records import Side, ViewPosition

SMALL = PhantomConfig(height_px=160, width_px=128)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def test_an_exam_does_not_depend_on_the_others_or_on_the_order() -> None:
    first, again = make_exam(7, 3, SMALL), make_exam(7, 3, SMALL)
    assert all(np.array_equal(one.pixels, two.pixels) for one, two in zip(first.views, again.views, strict=True))
    assert first.report == again.report
    assert not np.array_equal(first.views[0].pixels, make_exam(8, 3, SMALL).views[0].pixels)


def test_an_exam_has_the_four_standard_views_with_12_bit_pixels() -> None:
    exam = make_exam(0, 1, SMALL)
    assert {(view.side, view.view) for view in exam.views} == {(side, view) for side in Side for view in ViewPosition}
    for view in exam.views:
        assert view.pixels.shape == view.mask.shape == (160, 128)
        assert view.pixels.dtype == np.uint16
        assert view.pixels.max() <= 4095


def test_the_chest_wall_is_at_the_left_of_a_left_breast_and_at_the_right_of_a_right_one() -> None:
    for view in make_exam(4, 1, SMALL).views:
        near_left, near_right = view.pixels[:, :20].mean(), view.pixels[:, -20:].mean()
        assert (near_left > 3 * near_right) if view.side is Side.LEFT else (near_right > 3 * near_left)


def test_the_mask_is_where_the_mass_was_added(monkeypatch: pytest.MonkeyPatch) -> None:
    config = SMALL.model_copy(
        update={"mass_share": 1.0, "contrast_low": 0.3, "contrast_high": 0.3, "one_view_share": 0.0}
    )
    with_mass = make_exam(5, 2, config)
    monkeypatch.setattr("system.phantom.exam._draw_views", _views_without_masses)
    without = make_exam(5, 2, config)
    compared = 0
    for view, plain in zip(with_mass.views, without.views, strict=True):
        added = (view.pixels.astype(float) - plain.pixels) / 4095
        if view.num_masses:
            compared += 1
            assert added[view.mask].mean() > 0.12
        assert np.abs(added[~view.mask]).mean() < 0.01
    assert compared == 2


def _views_without_masses(grid: Grid, outlines: Outlines, scene: Scene, **options: Any) -> tuple[PhantomView, ...]:
    scene.masses.clear()
    return _draw_views(grid, outlines, scene, **options)


def test_the_truth_agrees_with_the_masks_on_which_breast_has_a_mass() -> None:
    config = SMALL.model_copy(update={"one_view_share": 0.5})
    one_view, both_views = 0, 0
    for index in range(40):
        exam = make_exam(index, 11, config)
        for side in Side:
            shown = sorted(view.num_masses for view in exam.views if view.side is side)
            assert any(shown) == bool(exam.truth[side].masses)
            one_view += shown == [0, 1]
            both_views += shown == [1, 1]
        assert all(view.mask.any() == (view.num_masses > 0) for view in exam.views)
    assert one_view >= 3
    assert both_views >= 3


def test_the_share_of_patients_with_a_mass_is_the_configured_one() -> None:
    config = SMALL.model_copy(update={"height_px": 64, "width_px": 51, "mass_share": 0.3})
    num = sum(any(breast.masses for breast in make_exam(index, 0, config).truth.values()) for index in range(150))
    assert 27 <= num <= 63  # 45 expected, three standard deviations


def test_a_patients_breasts_resemble_each_other_more_than_another_patients() -> None:
    grid = Grid.of(height_px=160, width_px=128, spacing_mm=1.5)
    patients = [draw_tissue(grid, symmetry=0.8, rng=np.random.default_rng([9, number])) for number in range(6)]
    left, right = (Side.LEFT, ViewPosition.MLO), (Side.RIGHT, ViewPosition.MLO)
    own = [correlation(patient[left].coarse, patient[right].coarse) for patient in patients]
    foreign = [correlation(patients[at][left].coarse, patients[at - 1][right].coarse) for at in range(6)]
    assert min(own) > 0.5
    assert np.mean(np.abs(foreign)) < 0.3
    assert min(own) > max(foreign)


def test_symmetry_zero_leaves_nothing_in_common() -> None:
    grid = Grid.of(height_px=160, width_px=128, spacing_mm=1.5)
    tissue = draw_tissue(grid, symmetry=0.0, rng=np.random.default_rng(1))
    pairs = [(tissue[Side.LEFT, view].strands, tissue[Side.RIGHT, view].strands) for view in ViewPosition]
    assert all(abs(correlation(*pair)) < 0.1 for pair in pairs)


def test_tissue_power_falls_with_the_exponent_of_its_spectrum() -> None:
    grid = Grid.of(height_px=256, width_px=256, spacing_mm=0.5)
    field = draw_tissue(grid, symmetry=0.5, rng=np.random.default_rng(2))[Side.LEFT, ViewPosition.CC].coarse
    power = np.abs(np.fft.fft2(field)) ** 2
    frequency = np.hypot(np.fft.fftfreq(256, 0.5)[:, None], np.fft.fftfreq(256, 0.5)[None, :])
    bands = [0.08, 0.16, 0.32, 0.64]
    means = [power[(frequency > low) & (frequency < 1.1 * low)].mean() for low in bands]
    slope = np.polyfit(np.log(bands), np.log(means), 1)[0]
    assert slope == pytest.approx(-3.8, abs=0.3)


def test_a_range_upside_down_is_refused() -> None:
    with pytest.raises(ValueError, match=r"contrast_low is 0.5, above contrast_high = 0.35; swap them"):
        PhantomConfig(contrast_low=0.5)
