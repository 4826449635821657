"""Which patient is in which split."""

import hashlib
from collections import Counter
from dataclasses import replace
from typing import Literal

import pyarrow as pa
import pytest
from pydantic import ValidationError

from system.archive import SplitConfig, assign_splits, check_no_leak, share_of_patients
from system.archive.splits import Patient
from system.errors import UserError
from system.records import Split

CONFIG = SplitConfig(strong=0.25, weak=0.5, validation=0.05, test=0.2, draw="by_count")
BY_HASH = CONFIG.model_copy(update={"draw": "by_hash"})


def make_patients(number: int, *, has_mass: bool, prefix: str = "") -> list[Patient]:
    ids = (hashlib.sha256(f"{prefix}{has_mass}{index}".encode()).hexdigest()[:24] for index in range(number))
    return [Patient(patient_id, has_mass=has_mass, has_truth=True) for patient_id in ids]


def test_the_shares_hold_among_patients_with_and_without_a_mass() -> None:
    positive, negative = make_patients(40, has_mass=True), make_patients(200, has_mass=False)

    splits = assign_splits(positive + negative, config=CONFIG)

    assert Counter(splits[patient.patient_id] for patient in positive) == {
        "strong": 10,
        "weak": 20,
        "validation": 2,
        "test": 8,
    }
    assert Counter(splits[patient.patient_id] for patient in negative) == {
        "strong": 50,
        "weak": 100,
        "validation": 10,
        "test": 40,
    }


def test_remainders_go_to_the_largest_first() -> None:
    # 7 patients: 1.75, 3.5, 0.35, 1.4 -> 1, 3, 0, 1 and the two left to strong (.75) and weak (.5)
    splits = assign_splits(make_patients(7, has_mass=True), config=CONFIG)

    assert Counter(splits.values()) == {"strong": 2, "weak": 4, "test": 1}


def test_the_order_in_which_patients_are_named_does_not_matter() -> None:
    patients = make_patients(30, has_mass=True) + make_patients(50, has_mass=False)

    assert assign_splits(patients, config=CONFIG) == assign_splits(patients[::-1], config=CONFIG)


def test_drawn_by_hash_a_patient_keeps_their_split_whoever_else_is_there() -> None:
    patients = make_patients(300, has_mass=True) + make_patients(700, has_mass=False)

    alone = {key: split for patient in patients for key, split in assign_splits([patient], config=BY_HASH).items()}

    assert assign_splits(patients, config=BY_HASH) == alone
    assert set(alone.values()) == {"strong", "weak", "validation", "test"}


def test_drawn_by_hash_a_mass_found_on_a_later_day_does_not_change_the_split() -> None:
    before = make_patients(200, has_mass=False)
    after = [replace(patient, has_mass=True) for patient in before]

    assert assign_splits(after, config=BY_HASH) == assign_splits(before, config=BY_HASH)


@pytest.mark.parametrize("has_mass", [True, False])
def test_drawn_by_hash_the_shares_hold_on_average(has_mass: bool) -> None:
    counts = Counter(assign_splits(make_patients(10_000, has_mass=has_mass), config=BY_HASH).values())

    # four standard deviations of a binomial: 4 * sqrt(10000 * 0.5 * 0.5) = 200
    assert all(
        abs(counts[split] - 10_000 * share) < 200 for split, share in zip(Split, (0.25, 0.5, 0.05, 0.2), strict=True)
    )


def test_a_share_of_zero_is_never_drawn() -> None:
    config = SplitConfig(strong=0, weak=0.5, validation=0.5, test=0)

    assert set(assign_splits(make_patients(500, has_mass=True), config=config).values()) == {"weak", "validation"}


def test_a_given_split_wins() -> None:
    given = Patient("0" * 24, has_mass=True, has_truth=True, split="validation")

    assert assign_splits([given, *make_patients(9, has_mass=True)], config=CONFIG)["0" * 24] == "validation"


@pytest.mark.parametrize(("has_truth", "known"), [(False, True), (True, False)])
def test_without_truth_or_name_a_patient_is_weak(has_truth: bool, known: bool) -> None:
    patients = [Patient(f"{index:024x}", has_mass=True, has_truth=has_truth, known=known) for index in range(20)]

    assert set(assign_splits(patients, config=CONFIG).values()) == {"weak"}


def test_shares_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"sum to 1\.3, expected 1"):
        SplitConfig(strong=0.5, weak=0.5, validation=0.1, test=0.2)


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([("p1", "a", "strong"), ("p1", "b", "test")], "1 patients"),
        ([("p1", "a", "strong"), ("p2", "a", "test")], "1 images"),
    ],
)
def test_a_patient_or_a_picture_in_two_splits_is_a_leak(rows: list[tuple[str, str, str]], what: str) -> None:
    images = pa.Table.from_pylist([dict(zip(("patient_id", "pixel_sha", "split"), row, strict=True)) for row in rows])

    with pytest.raises(UserError, match=f"{what} are in more than one split"):
        check_no_leak(images)


def test_patients_with_several_images_in_one_split_are_no_leak() -> None:
    images = pa.table({"patient_id": ["p", "p", "q"], "pixel_sha": ["a", "b", "c"], "split": ["weak", "weak", "test"]})

    assert check_no_leak(images) is None


def test_a_share_of_the_patients_is_part_of_every_larger_share_and_keeps_a_patients_images_together() -> None:
    patients = [f"p{number:02d}" for number in (7, 3, 9, 1, 5, 0, 2, 8)]
    images = pa.table(
        {"patient_id": [patient for patient in patients for _ in range(4)], "image_id": [str(n) for n in range(32)]}
    )
    kept = [share_of_patients(images, share=share)["patient_id"].to_pylist() for share in (0.01, 0.25, 0.5, 1.0)]
    assert [len(set(each)) for each in kept] == [1, 2, 4, 8]
    assert [len(each) for each in kept] == [4, 8, 16, 32]
    assert set(kept[0]) < set(kept[1]) < set(kept[2]) < set(kept[3])


def who_tests(patients: list[Patient], *, rotate: float, draw: Literal["by_count", "by_hash"]) -> set[str]:
    config = SplitConfig(strong=0.25, weak=0.15, validation=0.1, test=0.5, draw=draw, rotate=rotate)
    return {patient for patient, split in assign_splits(patients, config=config).items() if split is Split.TEST}


@pytest.mark.parametrize("draw", ["by_count", "by_hash"])
def test_two_draws_half_the_patients_apart_test_every_patient_once(draw: Literal["by_count", "by_hash"]) -> None:
    patients = make_patients(60, has_mass=True)
    first, second = (who_tests(patients, rotate=rotate, draw=draw) for rotate in (0.0, 0.5))
    assert first | second == {patient.patient_id for patient in patients}
    assert not first & second
