import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from system.errors import UserError
from system.reports.folds import assign_folds, check_folds, choose_early_stopping, choose_share


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(-1, 1), st.integers(-1, 1)), min_size=1, max_size=60),
    st.integers(0, 99),
)
def test_a_patient_is_never_in_two_folds(rows: list[tuple[int, int, int]], seed: int) -> None:
    patients = np.array([f"p{patient}" for patient, _, _ in rows])
    truth = np.array([[left, right] for _, left, right in rows], np.int8)
    folds = assign_folds(patients, truth, num_folds=3, rng=np.random.default_rng(seed))
    for patient in set(patients):
        assert len(set(folds[patients == patient])) == 1
    assert set(folds) <= {0, 1, 2}


def test_folds_share_out_each_pattern_of_masses_evenly() -> None:
    truth = np.array([[1, 0]] * 9 + [[0, 1]] * 6 + [[0, 0]] * 15, np.int8)
    patients = np.arange(30).astype(str)
    folds = assign_folds(patients, truth, num_folds=3, rng=np.random.default_rng(5))
    for fold in range(3):
        assert truth[folds == fold].sum(axis=0).tolist() == [3, 2]
        assert (folds == fold).sum() == 10


def test_folds_depend_on_the_generator_alone() -> None:
    truth, patients = np.zeros((20, 2), np.int8), np.arange(20).astype(str)
    first, again, other = (
        assign_folds(patients, truth, num_folds=3, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_a_fold_without_a_mass_to_train_on_is_refused() -> None:
    truth = np.array([[1, 1], [0, 0], [0, 1], [0, 0], [0, 1], [0, 0]], np.int8)
    with pytest.raises(
        UserError, match="left report model of fold 0 would learn from 0 reports with and 4 without a mass"
    ):
        check_folds(truth, np.array([0, 0, 1, 1, 2, 2], np.int8), num_folds=3)


def test_a_share_of_patients_keeps_all_of_a_patients_reports() -> None:
    patients = np.repeat(np.arange(10).astype(str), 2)
    chosen = choose_share(patients, share=0.3, rng=np.random.default_rng(0))
    assert chosen.sum() == 6
    assert (chosen[::2] == chosen[1::2]).all()


@pytest.mark.parametrize("share", [0.1, 0.15, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5])
@pytest.mark.parametrize("number", [40, 200])
def test_early_stopping_takes_the_share_that_was_asked_for(share: float, number: int) -> None:
    truth = np.zeros((number, 2), np.int8)
    truth[: number // 4, 0] = 1
    rng = np.random.default_rng(0)
    chosen = choose_early_stopping(np.arange(number).astype(str), truth, share=share, rng=rng)
    assert chosen.sum() == pytest.approx(share * number, abs=1.01)
    assert chosen[: number // 4].sum() == pytest.approx(share * number / 4, abs=1.01)


@pytest.mark.parametrize(("share", "number", "fewest", "most"), [(0.35, 6, 1, 3), (0.001, 500, 1, 5), (0.5, 2, 1, 1)])
def test_early_stopping_never_takes_none_nor_most_of_few_patients(
    share: float, number: int, fewest: int, most: int
) -> None:
    patients, truth = np.arange(number).astype(str), np.zeros((number, 2), np.int8)
    chosen = choose_early_stopping(patients, truth, share=share, rng=np.random.default_rng(0))
    assert fewest <= chosen.sum() <= most
