"""How much of each kind of data an archive has."""

import pyarrow as pa

from system.archive.amounts import Amount, amounts
from system.records import Split


def test_images_patients_and_lesions_are_counted_by_split() -> None:
    images = pa.table(
        {
            "image_id": ["a1", "a2", "b1", "c1", "d1"],
            "patient_id": ["a", "a", "b", "c", "d"],
            "split": ["strong", "strong", "strong", "test", "weak"],
        }
    )
    masks = pa.table({"image_id": ["a1", "a2", "b1", "c1"], "num_lesions": [2, 1, 0, 1]})
    found = amounts(images, masks)
    assert found[Split.STRONG] == Amount(3, 2, num_images_with_mass=2, num_patients_with_mass=1, num_lesions=3)
    assert found[Split.TEST] == Amount(1, 1, 1, 1, 1)
    assert found[Split.WEAK] == Amount(1, 1, 0, 0, 0)
    assert found[Split.VALIDATION] == Amount(0, 0, 0, 0, 0)
