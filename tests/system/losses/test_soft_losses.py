import math

import pytest
import torch

from system.losses import soft_cross_entropy, soft_focal_loss


def plain_cross_entropy(logit: float, y: float) -> float:
    """Eq. 4 of Tang et al. 2021 as it is printed, in double precision."""
    predicted = 1 / (1 + math.exp(-logit))
    return -y * math.log(predicted) - (1 - y) * math.log(1 - predicted)


def plain_focal(logit: float, y: float, alpha: float, gamma: float) -> float:
    """Eq. 5 of Tang et al. 2021 as it is printed, in double precision."""
    predicted = 1 / (1 + math.exp(-logit))
    return (alpha * y + (1 - alpha) * (1 - y)) * abs(y - predicted) ** gamma * plain_cross_entropy(logit, y)


def standard_focal(logit: float, positive: bool, alpha: float, gamma: float) -> float:
    """The focal loss of Lin et al.: −α_t (1 − p_t)^γ log p_t."""
    p = 1 / (1 + math.exp(-logit))
    p_t, alpha_t = (p, alpha) if positive else (1 - p, 1 - alpha)
    return -alpha_t * (1 - p_t) ** gamma * math.log(p_t)


def soft_examples() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.randn((2, 1, 5, 4), generator=generator) * 3, torch.rand((2, 1, 5, 4), generator=generator)


def test_soft_cross_entropy_is_the_mean_of_equation_4() -> None:
    logits, target = soft_examples()
    expected = [
        plain_cross_entropy(x, y) for x, y in zip(logits.flatten().tolist(), target.flatten().tolist(), strict=True)
    ]
    assert soft_cross_entropy(logits, target).item() == pytest.approx(sum(expected) / len(expected), rel=1e-6)


@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 2.5, 3.0, 5.0])
def test_soft_focal_is_the_mean_of_equation_5(alpha: float, gamma: float) -> None:
    logits, target = soft_examples()
    expected = [
        plain_focal(x, y, alpha, gamma)
        for x, y in zip(logits.flatten().tolist(), target.flatten().tolist(), strict=True)
    ]
    found = soft_focal_loss(logits, target, alpha=alpha, gamma=gamma)
    assert found.item() == pytest.approx(sum(expected) / len(expected), rel=1e-5)
    assert found.item() > 0  # an odd power of a negative difference would be negative


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.75, 1.0), (0.5, 5.0)])
def test_at_hard_labels_it_is_the_standard_focal_loss(alpha: float, gamma: float) -> None:
    logits = torch.linspace(-8, 8, 33)
    for positive in (False, True):
        for logit in logits:
            found = soft_focal_loss(logit, torch.tensor(float(positive)), alpha=alpha, gamma=gamma).item()
            assert found == pytest.approx(standard_focal(logit.item(), positive, alpha, gamma), abs=1e-6)


def test_one_pixel_by_hand() -> None:
    # ŷ = 0.5, y = 0.75: α_t = 0.25·0.75 + 0.75·0.25 = 0.375; |y − ŷ|² = 1/16; cross-entropy = ln 2
    found = soft_focal_loss(torch.zeros(1, 1, 1, 1), torch.full((1, 1, 1, 1), 0.75), alpha=0.25, gamma=2.0)
    assert found.item() == pytest.approx(0.375 / 16 * math.log(2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_loss_and_gradient_are_finite_at_extreme_logits_in_any_precision(dtype: torch.dtype, gamma: float) -> None:
    logits = torch.tensor([-80.0, 80.0, 0.0]).repeat_interleave(4).to(dtype).requires_grad_()
    target = torch.tensor([0.0, 0.5, 0.9, 1.0]).repeat(3)
    loss = soft_focal_loss(logits, target, alpha=0.25, gamma=gamma) + soft_cross_entropy(logits, target)
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
    assert loss.dtype == torch.float32


def test_a_wrong_prediction_of_full_certainty_costs_its_logit() -> None:
    loss = soft_cross_entropy(torch.tensor([80.0, -80.0], dtype=torch.bfloat16), torch.tensor([0.0, 1.0]))
    assert loss.item() == pytest.approx(80.0)


def test_the_prediction_with_the_lowest_loss_is_the_label_itself() -> None:
    y = 0.3
    logits = torch.linspace(-4, 4, 401)
    costs = torch.stack([soft_focal_loss(x, torch.tensor(y), alpha=0.25, gamma=2.0) for x in logits])
    assert torch.sigmoid(logits[costs.argmin()]).item() == pytest.approx(y, abs=0.01)
