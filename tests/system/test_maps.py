"""Maps as PNG, brought to the canonical view, reduced, and cut into components."""

from typing import Literal

import numpy as np
import pytest
import torch

from system.imaging import decode_png
from system.maps import (
    components,
    covered_share,
    decode_map,
    encode_map,
    encode_mask,
    find_boxes,
    label_components,
    peaks,
    reduce_mask,
    upsample,
)
from system.refine import regions


def test_full_scale_stands_for_certainty() -> None:
    found = decode_png(encode_map(np.array([[0.0, 0.5, 1.0]], dtype=np.float32), bits=8))
    assert (found.dtype, found.tolist()) == (np.uint8, [[0, 128, 255]])
    found = decode_png(encode_map(np.array([[1.0]], dtype=np.float32), bits=16))
    assert (found.dtype, found.tolist()) == (np.uint16, [[65535]])


@pytest.mark.parametrize("bits", [8, 16])
def test_a_stored_map_comes_back_within_half_a_step(bits: Literal[8, 16]) -> None:
    probability = np.random.default_rng(0).random((16, 12), dtype=np.float32)
    probability[0, :2] = 0.0, 1.0
    found = decode_map(encode_map(probability, bits=bits))
    assert found.dtype == np.float32
    assert found[0, :2].tolist() == [0.0, 1.0]
    np.testing.assert_allclose(found, probability, atol=0.5 / (2**bits - 1) + 1e-7)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_map_that_was_stored_once_is_stored_again_without_a_change(bits: Literal[8, 16]) -> None:
    once = decode_map(encode_map(np.random.default_rng(1).random((16, 12), dtype=np.float32), bits=bits))
    np.testing.assert_array_equal(decode_map(encode_map(once, bits=bits)), once)


def test_a_stored_mask_is_a_map_of_zeros_and_ones() -> None:
    mask = np.array([[True, False, False], [False, True, True]])
    assert decode_png(encode_mask(mask)).tolist() == [[255, 0, 0], [0, 255, 255]]
    np.testing.assert_array_equal(decode_map(encode_mask(mask)), mask.astype(np.float32))


def test_upsampling_is_the_nets_own() -> None:
    coarse = np.random.default_rng(0).random((5, 4), dtype=np.float32)
    fine = torch.nn.functional.interpolate(torch.from_numpy(coarse)[None, None], scale_factor=4, mode="bilinear")
    np.testing.assert_allclose(upsample(coarse, shape=(20, 16)), fine[0, 0].numpy(), atol=1e-6)


def test_a_cell_at_stride_4_is_its_covered_share() -> None:
    mask = np.zeros((8, 12), bool)
    mask[:4, :4] = True  # all of cell (0, 0)
    mask[1:3, 4:8] = True  # two rows of cell (0, 1)
    mask[7, 11] = True  # one pixel of cell (1, 2)
    found = covered_share(mask)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[1, 0.5, 0], [0, 0, 1 / 16]])


def test_a_cell_is_set_when_half_of_it_is_covered() -> None:
    mask = np.zeros((8, 8), dtype=bool)
    mask[:4, :2] = True  # half of the first cell
    mask[4:, 4:5] = True  # a quarter of the last
    assert reduce_mask(mask).tolist() == [[True, False], [False, False]]


def test_a_mask_smaller_than_half_a_cell_does_not_vanish() -> None:
    mask = np.zeros((8, 8), dtype=bool)
    mask[5, 5] = True
    assert reduce_mask(mask).tolist() == [[False, False], [False, True]]


def test_components_that_touch_at_a_corner_are_one() -> None:
    assert components(np.eye(3, dtype=bool), min_px=1).area_px.tolist() == [3]


def test_small_components_are_dropped_and_the_rest_numbered_anew() -> None:
    mask = np.array([[1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 0]], dtype=bool)
    found = components(mask, min_px=2)
    assert found.labels.dtype == np.int32
    assert found.labels.tolist() == [[0, 0, 1, 1], [0, 0, 0, 0], [2, 2, 2, 0]]
    assert found.area_px.tolist() == [2, 3]


def test_a_component_of_exactly_the_least_size_is_kept() -> None:
    mask = np.array([[1, 1, 0, 1]], dtype=bool)
    assert [components(mask, min_px=size).area_px.tolist() for size in (1, 2, 3)] == [[2, 1], [2], []]


def test_an_empty_mask_has_no_component() -> None:
    found = components(np.zeros((3, 4), dtype=bool), min_px=1)
    assert (found.labels.shape, found.labels.any(), len(found.area_px)) == ((3, 4), False, 0)


def test_images_of_a_stack_are_labelled_apart() -> None:
    found = components(np.ones((3, 2, 2), dtype=bool), min_px=1)
    assert found.area_px.tolist() == [4, 4, 4]
    assert found.labels[:, 0, 0].tolist() == [1, 2, 3]


def test_boxes_come_in_the_order_of_the_numbers() -> None:
    labels, count = label_components(np.array([[1, 0, 0], [0, 0, 1], [0, 0, 1]], dtype=bool))
    boxes = [[(part.start, part.stop) for part in box] for box in find_boxes(labels)]
    assert (count, boxes) == (2, [[(0, 1), (0, 1)], [(1, 3), (2, 3)]])


def test_a_peak_is_the_highest_value_inside_its_component() -> None:
    values = np.array([[0.9, 0.2, 0.7], [0.1, 0.8, 0.6]], dtype=np.float32)
    found = components(np.array([[1, 0, 1], [0, 0, 1]], dtype=bool), min_px=1)
    assert peaks(values, found).tolist() == [pytest.approx(0.9), pytest.approx(0.7)]


def test_one_map_gives_the_peaks_of_a_whole_stack_of_its_cuts() -> None:
    values = np.array([[0.9, 0.2, 0.7]], dtype=np.float32)
    found = components(np.array([[[1, 0, 1]], [[1, 0, 0]]], dtype=bool), min_px=1)
    assert peaks(values, found).tolist() == pytest.approx([0.9, 0.7, 0.9])


def test_without_a_component_there_is_no_peak() -> None:
    assert peaks(np.ones((2, 2)), components(np.zeros((2, 2), dtype=bool), min_px=1)).tolist() == []


def test_components_and_peaks_are_the_candidates_of_the_inference() -> None:
    smooth = upsample(np.random.default_rng(1).random((10, 8), dtype=np.float32), shape=(80, 64))
    found = components(smooth >= 0.6, min_px=20)
    (expected,) = regions(smooth[None], candidate_threshold=0.6, min_px=20)
    assert len(expected) > 3
    assert sorted(zip(peaks(smooth, found).tolist(), found.area_px.tolist(), strict=True)) == sorted(
        (candidate.score, candidate.area_px) for candidate in expected
    )
