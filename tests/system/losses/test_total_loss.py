import math
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from system.losses import (
    LossConfig,
    LossTerms,
    Targets,
    cells_with_mass,
    soft_cross_entropy,
    soft_focal_loss,
    total_loss,
)

CONFIG = LossConfig()
NUM_STRONG, NUM_TP, NUM_OTHER = 3, 2, 3  # other: FP and FN, which have no mask
SIZES = {"mask_strong": 3.0, "class_strong": 3.0, "mask_weak": 2.0, "class_weak": 5.0}


def batch() -> tuple[Tensor, Tensor, Targets]:
    generator = torch.Generator().manual_seed(4)
    size = NUM_STRONG + NUM_TP + NUM_OTHER
    targets = Targets(
        mask=torch.rand((size, 1, 3, 2), generator=generator),
        p_mass=torch.rand(size, generator=generator),
        is_strong=torch.arange(size) < NUM_STRONG,
        has_mask=torch.arange(size) < NUM_STRONG + NUM_TP,
        group_sizes=SIZES,
    )
    masks = torch.randn((size, 1, 3, 2), generator=generator).requires_grad_()
    classes = torch.randn((size, 2), generator=generator).requires_grad_()
    return masks, classes, targets


def rows(targets: Targets, chosen: slice | Tensor, *, sizes: dict[str, float]) -> Targets:
    return Targets(
        targets.mask[chosen], targets.p_mass[chosen], targets.is_strong[chosen], targets.has_mask[chosen], sizes
    )


def sizes_of(targets: Targets, *, num_workers: int = 1) -> dict[str, float]:
    strong, masked = targets.is_strong, targets.has_mask
    counts = {
        "mask_strong": strong & masked,
        "class_strong": strong,
        "mask_weak": ~strong & masked,
        "class_weak": ~strong,
    }
    return {name: float(chosen.sum()) / num_workers for name, chosen in counts.items()}


def test_each_term_is_the_mean_over_its_own_samples() -> None:
    masks, classes, targets = batch()
    terms = total_loss(masks, classes, targets, config=CONFIG)
    log_odds = classes[:, 1] - classes[:, 0]
    for found, chosen in ((terms.mask_strong, slice(0, 3)), (terms.mask_weak, slice(3, 5))):
        expected = soft_focal_loss(masks[chosen], targets.mask[chosen], alpha=CONFIG.alpha, gamma=CONFIG.gamma)
        torch.testing.assert_close(found, expected)
    for found, chosen in ((terms.class_strong, slice(0, 3)), (terms.class_weak, slice(3, 8))):
        torch.testing.assert_close(found, soft_cross_entropy(log_odds[chosen], targets.p_mass[chosen]))


def test_the_class_term_is_the_cross_entropy_of_a_softmax_over_no_mass_and_mass() -> None:
    masks, classes, targets = batch()
    log_p = functional.log_softmax(classes.detach().double(), dim=1)[:NUM_STRONG]
    p_mass = targets.p_mass[:NUM_STRONG].double()
    expected = (-(1 - p_mass) * log_p[:, 0] - p_mass * log_p[:, 1]).mean()
    found = total_loss(masks, classes, targets, config=CONFIG).class_strong
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_sum_is_equation_6_with_the_papers_weights() -> None:
    terms = total_loss(*batch(), config=CONFIG)
    expected = terms.mask_strong + 0.3 * terms.class_strong + 0.6 * terms.mask_weak + 0.2 * terms.class_weak
    torch.testing.assert_close(terms.total, expected)
    assert (CONFIG.alpha, CONFIG.gamma) == (0.25, 2.0)


def test_other_weights_are_used_as_given() -> None:
    terms = total_loss(*batch(), config=LossConfig(class_strong=0, mask_weak=0, class_weak=2))
    torch.testing.assert_close(terms.total, terms.mask_strong + 2 * terms.class_weak)


def test_stage_1_has_mask_terms_only() -> None:
    masks, _, targets = batch()
    terms = total_loss(masks, None, targets, config=CONFIG)
    assert (terms.class_strong.item(), terms.class_weak.item()) == (0.0, 0.0)
    torch.testing.assert_close(terms.total, terms.mask_strong + 0.6 * terms.mask_weak)


def test_a_batch_without_any_mask_costs_nothing_for_masks_but_keeps_them_in_the_graph() -> None:
    masks, classes, targets = batch()
    weak = replace(
        rows(targets, slice(5, 8), sizes={}),
        group_sizes={"mask_strong": 0, "class_strong": 0, "mask_weak": 0, "class_weak": 3},
    )
    terms = total_loss(masks[5:8], classes[5:8], weak, config=CONFIG)
    terms.total.backward()
    assert (terms.mask_strong.item(), terms.mask_weak.item(), terms.class_strong.item()) == (0.0, 0.0, 0.0)
    assert masks.grad is not None
    assert not masks.grad.any()
    assert classes.grad is not None
    assert classes.grad[5:8].all()


def test_the_target_map_of_a_sample_without_a_mask_does_not_matter() -> None:
    masks, classes, targets = batch()
    changed = targets.mask.clone()
    changed[5:] = 1 - changed[5:]
    first, second = (
        total_loss(masks, classes, changed_or_not, config=CONFIG)
        for changed_or_not in (targets, replace(targets, mask=changed))
    )
    torch.testing.assert_close(first.total, second.total, rtol=0, atol=0)


@pytest.mark.parametrize("num_workers", [2, 4])
@pytest.mark.parametrize(
    "config", [LossConfig(), LossConfig(report_weights=True), LossConfig(pixel_mean="positive", report_weights=True)]
)
def test_the_mean_over_workers_is_the_loss_of_the_whole_batch(num_workers: int, config: LossConfig) -> None:
    masks, classes, targets = batch()
    targets = replace(targets, group_sizes=cells_in(targets))
    whole = total_loss(masks, classes, targets, config=config)
    whole.total.backward()
    assert masks.grad is not None
    expected, masks.grad = masks.grad, None
    sizes = cells_in(targets, num_workers=num_workers)
    shares: list[LossTerms] = []
    for rank in range(num_workers):  # uneven groups: some worker has no strong sample at all
        chosen = torch.arange(rank * 8 // num_workers, (rank + 1) * 8 // num_workers)
        share = total_loss(masks[chosen], classes[chosen], rows(targets, chosen, sizes=sizes), config=config)
        (share.total / num_workers).backward()  # DDP averages the gradients
        shares.append(share)
    torch.testing.assert_close(torch.stack([share.total for share in shares]).mean(), whole.total)
    torch.testing.assert_close(masks.grad, expected)


POSITIVE = LossConfig(pixel_mean="positive")


def focal(logit: float, target: float) -> float:
    """Return equation 5 of one cell by hand, with alpha .25 and gamma 2."""
    p = 1 / (1 + math.exp(-logit))
    cross_entropy = -target * math.log(p) - (1 - target) * math.log(1 - p)
    return (0.25 * target + 0.75 * (1 - target)) * (target - p) ** 2 * cross_entropy


def cells_in(targets: Targets, *, num_workers: int = 1) -> dict[str, float]:
    """Return all group sizes of a whole batch, those of cells too, as training gives them to each worker."""
    cells = {name: max(1.0, float(count)) / num_workers for name, count in cells_with_mass(targets).items()}
    return sizes_of(targets, num_workers=num_workers) | cells


def test_the_mask_terms_are_divided_by_the_cells_with_a_mass_where_pixel_mean_is_positive() -> None:
    """Two strong images of two cells: one with a mass in one cell, one without; a TP with masses of .5 and 1."""
    targets = Targets(
        mask=torch.tensor([[[[1.0, 0.0]]], [[[0.0, 0.0]]], [[[0.5, 1.0]]]]),
        p_mass=torch.tensor([1.0, 0.0, 0.9]),
        is_strong=torch.tensor([True, True, False]),
        has_mask=torch.tensor([True, True, True]),
        group_sizes={},
    )
    logits = torch.tensor([[[[2.0, -1.0]]], [[[-2.0, 0.5]]], [[[0.0, 1.0]]]])
    targets = replace(targets, group_sizes=cells_in(targets))
    assert (targets.group_sizes["cells_strong"], targets.group_sizes["cells_weak"]) == (1.0, 1.5)
    terms = total_loss(logits, None, targets, config=POSITIVE)
    strong = focal(2.0, 1.0) + focal(-1.0, 0.0) + focal(-2.0, 0.0) + focal(0.5, 0.0)
    assert terms.mask_strong.item() == pytest.approx(strong, rel=1e-5)
    assert terms.mask_weak.item() == pytest.approx((focal(0.0, 0.5) + focal(1.0, 1.0)) / 1.5, rel=1e-5)
    by_image = total_loss(logits, None, targets, config=CONFIG)
    assert by_image.mask_strong.item() == pytest.approx(strong / 4, rel=1e-5)
    assert by_image.mask_weak.item() == pytest.approx(terms.mask_weak.item() * 1.5 / 2, rel=1e-5)


def test_masks_that_do_not_train_have_no_cells() -> None:
    _, _, targets = batch()
    expected = {"cells_strong": targets.mask[:3].sum(), "cells_weak": targets.mask[3:5].sum()}
    for name, found in cells_with_mass(targets).items():
        assert found.item() == pytest.approx(expected[name].item(), rel=1e-6)


def test_pixel_mean_changes_nothing_in_the_class_terms() -> None:
    masks, classes, targets = batch()
    targets = replace(targets, group_sizes=cells_in(targets))
    by_image, by_cell = (total_loss(masks, classes, targets, config=config) for config in (CONFIG, POSITIVE))
    assert (by_cell.class_strong, by_cell.class_weak) == (by_image.class_strong, by_image.class_weak)
    assert by_cell.mask_strong.item() != pytest.approx(by_image.mask_strong.item())


def test_a_weak_image_weighs_as_much_as_its_report_is_sure() -> None:
    masks, classes, targets = batch()
    p_mass = torch.tensor([1.0, 0.0, 0.3, 0.9, 0.6, 0.2, 0.05, 0.5])
    targets = replace(targets, p_mass=p_mass)
    terms = total_loss(masks, classes, targets, config=LossConfig(report_weights=True))
    pixels = [
        soft_focal_loss(masks[[row]], targets.mask[[row]], alpha=CONFIG.alpha, gamma=CONFIG.gamma).item()
        for row in range(8)
    ]
    log_odds = classes[:, 1] - classes[:, 0]
    images = [soft_cross_entropy(log_odds[[row]], p_mass[[row]]).item() for row in range(8)]
    assert terms.mask_weak.item() == pytest.approx((0.9 * pixels[3] + 0.6 * pixels[4]) / 2, rel=1e-5)
    weights = {3: 0.9, 4: 0.6, 5: 0.8, 6: 0.95, 7: 0.5}
    expected = sum(weight * images[row] for row, weight in weights.items()) / 5
    assert terms.class_weak.item() == pytest.approx(expected, rel=1e-5)
    plain = total_loss(masks, classes, targets, config=CONFIG)
    assert (terms.mask_strong, terms.class_strong) == (plain.mask_strong, plain.class_strong)


def test_reports_that_are_all_sure_weigh_as_if_nothing_were_weighed() -> None:
    masks, classes, targets = batch()
    targets = replace(targets, p_mass=targets.p_mass.round())
    for config in (CONFIG, POSITIVE):
        sizes = replace(targets, group_sizes=cells_in(targets))
        plain = total_loss(masks, classes, sizes, config=config)
        weighed = total_loss(masks, classes, sizes, config=config.changed(report_weights=True))
        assert weighed == plain


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_of_80_give_a_finite_sum(dtype: torch.dtype) -> None:
    _, _, targets = batch()
    masks = torch.full((8, 1, 3, 2), 80.0, dtype=dtype).requires_grad_()
    classes = torch.tensor([[80.0, -80.0]] * 8, dtype=dtype).requires_grad_()
    terms = total_loss(masks, classes, targets, config=CONFIG)
    terms.total.backward()
    assert torch.isfinite(terms.total)
    assert masks.grad is not None
    assert torch.isfinite(masks.grad).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha": 1.1},
        {"gamma": -1},
        {"mask_weak": -0.1},
        {"mask_labels": "fuzzy"},
        {"pixel_mean": "mass"},
        {"lambda1": 0.3},
    ],
)
def test_impossible_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        LossConfig.model_validate(wrong)
