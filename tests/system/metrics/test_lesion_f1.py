"""The lesion F1 of masks, by hand, and the file in which a trial keeps its counts."""

import math
from pathlib import Path

import numpy as np
import pytest

from system.errors import UserError
from system.evaluation.counts_file import read_counts, write_counts
from system.metrics import FrocConfig, PatientCounts, match
from system.metrics.lesion_f1 import counts_of_all, gain_in_f1, lesion_f1
from system.metrics.matching import gather

CONFIG = FrocConfig(bootstrap=200)


def counted(*images: tuple[str, list[list[float]], int]) -> PatientCounts:
    """Count images: patient, IoU of each candidate with each lesion, number of lesions."""
    examined = [
        (np.linspace(0.9, 0.1, len(iou), dtype=np.float32), np.array(iou, float).reshape(len(iou), lesions))
        for _, iou, lesions in images
    ]
    detections = gather(examined)
    matched = match(detections, iou=0.2)
    return counts_of_all(detections, matched, image_patient=[patient for patient, *_ in images], config=CONFIG)


FOUND = ("a", [[0.8]], 1)  # one lesion, found
MISSED = ("b", [[0.1]], 1)  # one lesion, missed, and one false candidate
FALSE = ("c", [[], []], 0)  # no lesion, two false candidates


def test_every_component_counts_also_the_false_ones_behind_the_last_true_one() -> None:
    value, interval = lesion_f1(counted(FOUND, MISSED, FALSE), config=CONFIG)
    assert value == pytest.approx(2 * 1 / (1 + 3 + 2))
    assert interval.low <= value <= interval.high


def test_perfect_and_useless_masks() -> None:
    assert lesion_f1(counted(FOUND, ("b", [[0.9]], 1)), config=CONFIG)[0] == 1
    assert lesion_f1(counted(("a", [[0.0]], 1)), config=CONFIG)[0] == 0
    assert math.isnan(lesion_f1(counted(FALSE), config=CONFIG)[0])


def test_a_gain_is_paired_by_patient() -> None:
    worse, better = counted(FOUND, MISSED, FALSE), counted(FOUND, ("b", [[0.9]], 1), FALSE)
    gain, interval = gain_in_f1(worse, better, config=CONFIG)
    assert gain == pytest.approx(4 / (2 + 2 + 2) - 2 / 6)
    assert 0 <= interval.low <= gain <= interval.high
    assert gain_in_f1(worse, worse, config=CONFIG)[1].pair() == (0, 0)
    with pytest.raises(UserError, match="the same patients and lesions only"):
        gain_in_f1(worse, counted(FOUND), config=CONFIG)


def test_counts_come_back_as_they_were_written(tmp_path: Path) -> None:
    counts = counted(FOUND, MISSED, FALSE)
    write_counts(counts, tmp_path / "counts.npz")
    found = read_counts(tmp_path / "counts.npz")
    assert found.patients == counts.patients
    for name in ("images", "lesions"):
        np.testing.assert_array_equal(getattr(found, name), getattr(counts, name))
    for name in ("found", "false"):
        np.testing.assert_array_equal(getattr(found, name).toarray(), getattr(counts, name).toarray())


def test_a_damaged_file_of_counts_is_named(tmp_path: Path) -> None:
    (tmp_path / "counts.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(UserError, match=r"counts\.npz is not what was written"):
        read_counts(tmp_path / "counts.npz")
