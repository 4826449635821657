import numpy as np

from system.mining.purity import PoolPurity, purity
from system.records import Quadrant

TP, FP, FN = Quadrant.TP, Quadrant.FP, Quadrant.FN


def test_each_pool_is_judged_by_what_it_takes_its_images_for() -> None:
    found = purity(
        np.array([1, 2, 3, 4, 5, 6, 7]),
        np.array([TP, TP, TP, FP, FP, FN, FN], np.uint8),
        np.array([False, False, False, True, False, False, False]),
        truth_keys=np.array([7, 6, 5, 4, 2, 1, 99]),
        has_mass=np.array([True, False, False, True, False, True, True]),
    )
    assert found == (
        PoolPurity("TP", num_known=2, share=0.5),  # 1 has a mass, 2 has not, 3 is unknown
        PoolPurity("FP", num_known=2, share=0.5),  # 4 has a mass, 5 has not
        PoolPurity("FN", num_known=2, share=0.5),
        PoolPurity("FP disputed", num_known=1, share=0.0),  # 4
    )


def test_all_right_pools_are_pure() -> None:
    found = purity(
        np.array([1, 2, 3]),
        np.array([TP, FP, FN], np.uint8),
        np.array([False, True, False]),
        truth_keys=np.array([1, 2, 3]),
        has_mass=np.array([True, False, True]),
    )
    assert [pool.share for pool in found] == [1.0, 1.0, 1.0, 1.0]


def test_where_nothing_is_known_no_share_is_given() -> None:
    nothing = np.zeros(0, np.int64)
    found = purity(
        np.array([1]),
        np.array([TP], np.uint8),
        np.array([False]),
        truth_keys=nothing,
        has_mass=nothing.astype(bool),
    )
    assert [pool.num_known for pool in found] == [0, 0, 0, 0]
    assert np.isnan([pool.share for pool in found]).all()
