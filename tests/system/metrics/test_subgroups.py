"""An evaluation of a part: its own images, its own lesions, no hits of others."""

import numpy as np
import pytest

from system.metrics import Detections, FrocConfig, Match, match
from system.metrics.matching import gather
from system.metrics.subgroups import by_image, by_lesion, diameter_mm, size_of

CONFIG = FrocConfig(fppi=(0.0, 1.0), bootstrap=20)
IMAGES = [
    (np.array([0.9, 0.8]), np.array([[0.5, 0.0], [0.0, 0.0]])),  # one of two lesions found, one false
    (np.array([0.7]), np.array([[0.6]])),  # found
    (np.array([0.95, 0.6]), np.zeros((2, 0))),  # two false
]
PATIENTS = ["a", "a", "b"]


Found = tuple[Detections, Match]


@pytest.fixture
def found() -> Found:
    detections = gather(IMAGES)
    return detections, match(detections, iou=0.2)


def test_a_group_of_images_has_their_lesions_and_their_false_positives_alone(found: Found) -> None:
    rows = {
        group.name: group.row(config=CONFIG)
        for group in by_image("view", ["CC", "MLO", "MLO"], *found, image_patient=PATIENTS)
    }
    cc, mlo = rows["CC"], rows["MLO"]
    assert (cc.num_images, cc.num_lesions, cc.sensitivity) == (1, 2, {"0": 0.5, "1": 0.5})
    assert (mlo.num_images, mlo.num_lesions, mlo.sensitivity) == (2, 1, {"0": 0.0, "1": 1.0})


def test_all_images_in_one_group_are_the_whole(found: Found) -> None:
    (group,) = by_image("source", ["x"] * 3, *found, image_patient=PATIENTS)
    row = group.row(config=CONFIG)
    assert (row.num_images, row.num_lesions) == (3, 3)
    assert row.sensitivity == {"0": 0.0, "1": pytest.approx(2 / 3)}


def test_a_hit_on_a_lesion_of_another_group_counts_neither_way(found: Found) -> None:
    rows = {
        group.name: group.row(config=CONFIG)
        for group in by_lesion("size", ["small", "small", "large"], *found, image_patient=PATIENTS)
    }
    assert (rows["large"].num_lesions, rows["large"].num_images) == (1, 3)
    assert rows["large"].sensitivity == {"0": 0.0, "1": 1.0}
    assert rows["small"].sensitivity == {"0": 0.0, "1": 0.5}


def test_a_group_without_a_lesion_has_no_sensitivity(found: Found) -> None:
    rows = {
        group.name: group.row(config=CONFIG)
        for group in by_image("density", ["a", "a", "d"], *found, image_patient=PATIENTS)
    }
    assert np.isnan(rows["d"].mean)


@pytest.mark.parametrize(
    ("diameter", "name"), [(9.99, "under 10 mm"), (10, "10 to 20 mm"), (20, "from 20 mm"), (0, "size not known")]
)
def test_sizes_are_half_open(diameter: float, name: str) -> None:
    assert size_of(diameter) == name


def test_the_diameter_is_that_of_the_circle_of_equal_area() -> None:
    assert diameter_mm(np.array([np.pi * 25, 4.0]), np.array([2.0, 0.0])).tolist() == pytest.approx([20.0, 0.0])
