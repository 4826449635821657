import pytest

from system.training.config import TrainConfig
from system.training.rates import rate_factor


def factors(config: TrainConfig, places: list[tuple[int, int]], *, steps_per_epoch: int) -> list[float]:
    return [rate_factor(config, epoch=epoch, step=step, steps_per_epoch=steps_per_epoch) for epoch, step in places]


def test_the_papers_plan_takes_a_fifth_every_ten_epochs() -> None:
    found = factors(TrainConfig(), [(0, 0), (9, 99), (10, 0), (25, 3), (49, 0)], steps_per_epoch=100)
    assert found == pytest.approx([1, 1, 0.2, 0.04, 0.0016])


def test_cosine_starts_whole_is_half_in_the_middle_and_ends_near_nothing() -> None:
    config = TrainConfig(plan="cosine", num_epochs=4)
    # (1 + cos(pi * share)) / 2 at shares 0, 1/4, 1/2, 31/32
    found = factors(config, [(0, 0), (1, 0), (2, 0), (3, 7)], steps_per_epoch=8)
    assert found == pytest.approx([1.0, 0.8535534, 0.5, 0.0024076], abs=1e-6)


def test_constant_stays() -> None:
    assert factors(TrainConfig(plan="constant"), [(0, 0), (14, 5)], steps_per_epoch=6) == [1.0, 1.0]


def test_warming_up_rises_evenly_across_epochs_and_then_leaves_the_plan_alone() -> None:
    config = TrainConfig(plan="constant", warmup_steps=4)
    found = factors(config, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (5, 2)], steps_per_epoch=3)
    assert found == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


def test_warming_up_multiplies_the_plan() -> None:
    config = TrainConfig(decay_every_epochs=1, warmup_steps=4)
    assert factors(config, [(1, 0)], steps_per_epoch=2) == pytest.approx([0.75 * 0.2])
