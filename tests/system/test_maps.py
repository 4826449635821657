import numpy as np

from system.maps import covered_share


def test_a_cell_at_stride_4_is_its_covered_share() -> None:
    mask = np.zeros((8, 12), bool)
    mask[:4, :4] = True  # all of cell (0, 0)
    mask[1:3, 4:8] = True  # two rows of cell (0, 1)
    mask[7, 11] = True  # one pixel of cell (1, 2)
    found = covered_share(mask)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[1, 0.5, 0], [0, 0, 1 / 16]])
