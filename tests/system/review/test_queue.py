"""Which images a radiologist sees next."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from system.review import QueueConfig, Why, acquire


def choose(
    p_mass: ArrayLike,
    score: ArrayLike,
    entropy: ArrayLike,
    *,
    p0: float = 0.9,
    disputed: tuple[int, ...] = (),
    **settings: Any,
) -> list[tuple[int, Why]]:
    """disputed: places."""
    columns = [np.array(column, np.float32) for column in (p_mass, score, entropy)]
    marked = np.isin(np.arange(len(columns[0])), disputed)
    places, why = acquire(columns[0], columns[1], columns[2], marked, p0=p0, config=QueueConfig(**settings))
    return list(zip(places.tolist(), why, strict=True))


def test_each_criterion_chooses_its_own_image() -> None:
    p_mass, score, entropy = [0.99, 0.5, 0.9, 0.99, 0.01], [0.05, 0.5, 0.88, 0.95, 0.02], [0.1, 0.9, 0.2, 0.1, 0.1]
    found = choose(p_mass, score, entropy, size=3, random_share=0)
    assert dict(found) == {0: Why.DISAGREEMENT, 1: Why.ENTROPY, 2: Why.NEAR_P0}


def test_disputed_images_come_before_all_others_by_falling_score() -> None:
    p_mass, score, entropy = [0.99, 0.01, 0.01, 0.01, 0.5], [0.0, 0.3, 0.7, 0.5, 0.5], [0.1, 0.2, 0.1, 0.0, 0.9]
    found = choose(p_mass, score, entropy, size=4, random_share=0, disputed=(1, 2, 3))
    assert found[:3] == [(2, Why.DISPUTED), (3, Why.DISPUTED), (1, Why.DISPUTED)]
    assert found[3] == (0, Why.DISAGREEMENT)
    undisputed = choose(p_mass, score, entropy, size=5, random_share=0)
    assert Why.DISPUTED not in dict(undisputed).values()


def test_a_disputed_image_that_was_drawn_at_random_is_shown_once_as_such() -> None:
    everything = ([0.01] * 6, [0.9] * 6, [0.5] * 6)
    found = choose(*everything, size=6, random_share=0.5, disputed=(0, 1, 2, 3, 4, 5))
    assert sorted(place for place, _ in found) == list(range(6))
    assert [why for _, why in found] == [Why.DISPUTED] * 3 + [Why.RANDOM] * 3


def test_a_report_that_is_nearly_sure_of_no_mass_is_near_p0_too() -> None:
    assert choose([0.5, 0.1, 0.3], [0.5, 0.1, 0.3], [0, 0, 0], size=1, random_share=0) == [(1, Why.NEAR_P0)]


def test_an_image_without_a_report_may_be_chosen_for_its_map_only() -> None:
    found = choose([np.nan, 0.5, 0.5], [0.9, 0.5, 0.5], [0.9, 0.1, 0.2], size=1, random_share=0)
    assert found == [(0, Why.ENTROPY)]


def test_the_random_share_is_drawn_evenly_from_all_and_never_twice() -> None:
    rng = np.random.default_rng(0)
    columns = [rng.random(50) for _ in range(3)]
    seen = np.zeros(50)
    for seed in range(400):
        found = choose(*columns, size=10, random_share=0.5, seed=seed)
        assert len({place for place, _ in found}) == 10
        drawn = [place for place, why in found if why is Why.RANDOM]
        assert len(drawn) == 5
        seen[drawn] += 1
    assert seen.min() > 0.4 * 40  # 40 expected each
    assert seen.max() < 1.8 * 40


def test_a_queue_is_the_same_again_and_never_longer_than_there_are_images() -> None:
    columns = [np.random.default_rng(number).random(7) for number in range(3)]
    assert choose(*columns, size=100) == choose(*columns, size=100)
    assert sorted(place for place, _ in choose(*columns, size=100)) == list(range(7))


def test_images_with_equal_values_are_chosen_in_order() -> None:
    assert [place for place, _ in choose([0.5] * 4, [0.5] * 4, [0.5] * 4, size=2, random_share=0)] == [0, 1]


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match="random_share"):
        QueueConfig(random_share=1.5)
