from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from system.archive.tables import SCHEMAS
from system.errors import UserError
from system.records import Quadrant, image_key
from system.schemas import POOL
from system.training.samples import NEGATIVE, POSITIVE, SampleRole, keep_share, make_index, pool_rows, strong_rows


def image(
    name: str, split: str, *, patient: str = "", study: str = "", side: str = "L", view: str = "CC"
) -> dict[str, Any]:
    row = dict.fromkeys(SCHEMAS["images"].names)
    facts = {
        "patient_id": patient or name,
        "study_id": study or name,
        "side": side,
        "view": view,
        "pixel_sha": f"sha-{name}",
    }
    return row | {"image_id": name, "image_key": image_key(name), "split": split} | facts


def images_of(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=SCHEMAS["images"])


def masks_of(**lesions: int) -> pa.Table:
    rows = [
        {"image_id": name, "mask_sha": f"mask-{name}", "num_lesions": number, "area_px": 9}
        for name, number in lesions.items()
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS["masks"])


def pool_of(*rows: tuple[str, Quadrant, float], disputed: tuple[str, ...] = ()) -> pa.Table:
    """Return a pool. rows: image, quadrant, p_mass; disputed: images."""
    return pa.Table.from_pylist(
        [
            {
                "image_key": image_key(name),
                "image_id": name,
                "quadrant": int(quadrant),
                "p_mass": p_mass,
                "score": 0.5,
                "disputed": name in disputed,
                "map_png": b"map" if quadrant is Quadrant.TP else None,
                "mask_png": b"mask" if quadrant is Quadrant.TP else None,
            }
            for name, quadrant, p_mass in rows
        ],
        schema=POOL,
    )


NUM_PATIENTS = 40


@pytest.fixture
def archive() -> tuple[pa.Table, pa.Table]:
    """Return forty strong patients of two images each, every fourth with a mass in the second; two weak ones."""
    strong = [
        image(f"p{number}{side}", "strong", patient=f"p{number}", side=side)
        for number in range(NUM_PATIENTS)
        for side in "LR"
    ]
    weak = [image("weak0", "weak"), image("weak1", "weak")]
    return images_of(*strong, *weak), masks_of(
        **{f"p{number}R": 1 for number in range(0, NUM_PATIENTS, 4)}, p1L=0, weak0=1
    )


def patients(images: pa.Table, split: str = "strong") -> set[str]:
    return {row["patient_id"] for row in images.to_pylist() if row["split"] == split}


def test_a_smaller_share_is_part_of_every_larger_one(archive: tuple[pa.Table, pa.Table]) -> None:
    shares = [patients(keep_share(*archive, share=share)) for share in (0.1, 0.25, 0.5, 1.0)]
    # of 10 with mass and 30 without: 1+3, 3+8 (rounded up), 5+15, all
    assert [len(kept) for kept in shares] == [4, 11, 20, 40]
    assert all(small < large for small, large in pairwise(shares))


def test_a_share_takes_as_much_of_those_with_mass_as_of_those_without(archive: tuple[pa.Table, pa.Table]) -> None:
    kept = patients(keep_share(*archive, share=0.5))
    assert len(kept & {f"p{number}" for number in range(0, NUM_PATIENTS, 4)}) == 5


def test_a_share_keeps_both_images_of_a_patient_and_every_weak_image(archive: tuple[pa.Table, pa.Table]) -> None:
    kept = keep_share(*archive, share=0.1)
    assert len(kept) == 2 * 4 + 2
    assert patients(kept, "weak") == {"weak0", "weak1"}


@pytest.mark.parametrize(("share", "num_patients", "expected"), [(0.07, 100, 7), (0.55, 100, 55), (0.01, 3, 1)])
def test_a_share_is_rounded_up_but_not_for_the_rounding_error_of_a_float(
    share: float, num_patients: int, expected: int
) -> None:
    images = images_of(*(image(f"p{number}", "strong") for number in range(num_patients)))
    assert len(keep_share(images, masks_of(), share=share)) == expected


def test_strong_rows_are_those_of_the_strong_split_alone() -> None:
    images = images_of(*(image(f"an-{split}", split) for split in ("strong", "weak", "validation", "test")))
    # a phantom has the masks of all splits
    masks = masks_of(**{f"an-{split}": 1 for split in ("strong", "weak", "validation", "test")})
    rows = strong_rows(images, masks).to_pylist()
    assert [row["image_key"] for row in rows] == [image_key("an-strong")]
    assert rows[0]["mask_sha"] == "mask-an-strong"


def test_an_image_without_lesion_is_mass_free_whether_or_not_it_has_a_mask() -> None:
    images = images_of(image("mass", "strong"), image("empty", "strong"), image("none", "strong"))
    rows = strong_rows(images, masks_of(mass=2, empty=0)).to_pylist()
    assert [(SampleRole(row["role"]), row["p_mass"], row["mask_sha"]) for row in rows] == [
        (SampleRole.STRONG_MASS, 1.0, "mask-mass"),
        (SampleRole.STRONG_FREE, 0.0, ""),
        (SampleRole.STRONG_FREE, 0.0, ""),
    ]


MINED = (("a", Quadrant.TP, 0.97), ("b", Quadrant.FP, 0.02), ("c", Quadrant.FN, 0.96))


@pytest.mark.parametrize(("mask_labels", "expected"), [("soft", b"map"), ("hard", b"mask")])
@pytest.mark.parametrize(("report_labels", "p_mass"), [("soft", [0.97, 0.02, 0.96]), ("hard", [1.0, 0.0, 1.0])])
def test_soft_and_hard_labels_of_a_pool(
    mask_labels: str, expected: bytes, report_labels: str, p_mass: list[float]
) -> None:
    rows = pool_rows(pool_of(*MINED), mask_labels=mask_labels, report_labels=report_labels)
    assert rows["role"].to_pylist() == [SampleRole.TP, SampleRole.FP, SampleRole.FN]
    assert rows["map_png"].to_pylist() == [expected, None, None]
    assert rows["p_mass"].to_pylist() == pytest.approx(p_mass)
    assert rows["mask_sha"].to_pylist() == ["", "", ""]


def test_disputed_fp_are_left_out_where_they_are_not_to_train() -> None:
    pool = pool_of(*MINED, ("d", Quadrant.FP, 0.03), disputed=("d",))
    left = {
        disputed: pool_rows(pool, mask_labels="soft", report_labels="soft", disputed=disputed)["image_key"].to_pylist()
        for disputed in (True, False)
    }
    assert left == {True: [image_key(name) for name in "abcd"], False: [image_key(name) for name in "abc"]}


def test_a_weak_image_is_never_read_with_its_true_mask(archive: tuple[pa.Table, pa.Table]) -> None:
    images, masks = archive
    mined = pool_rows(pool_of(("weak0", Quadrant.FN, 0.99)), mask_labels="soft", report_labels="soft")
    index = make_index(pa.concat_tables([strong_rows(images, masks), mined]), images)
    row = index.image_key.tolist().index(image_key("weak0"))
    assert (SampleRole(index.role[row]), index.mask_sha[row], index.map_png[row]) == (SampleRole.FN, "", None)


def test_positives_are_mass_tp_and_fn_and_negatives_the_rest() -> None:
    images = images_of(image("s", "strong"), image("t", "strong"), *(image(name, "weak") for name in "abc"))
    rows = pa.concat_tables(
        [strong_rows(images, masks_of(s=1)), pool_rows(pool_of(*MINED), mask_labels="soft", report_labels="soft")]
    )
    index = make_index(rows, images)
    positives, negatives = index.rows_of(*POSITIVE), index.rows_of(*NEGATIVE)
    assert {SampleRole(index.role[row]) for row in positives} == {
        SampleRole.STRONG_MASS,
        SampleRole.TP,
        SampleRole.FN,
    }
    assert {SampleRole(index.role[row]) for row in negatives} == {SampleRole.STRONG_FREE, SampleRole.FP}
    assert sorted([*positives, *negatives]) == list(range(len(index))) == list(range(5))
    assert index.counts() == dict.fromkeys(("STRONG_MASS", "STRONG_FREE", "TP", "FP", "FN"), 1)


def test_the_auxiliary_is_the_same_view_of_the_other_breast_in_the_same_study() -> None:
    places = [(side, view) for side in "LR" for view in ("CC", "MLO")]
    first = [
        image(f"s1-{side}-{view}", "strong", patient="p", study="s1", side=side, view=view) for side, view in places
    ]
    # one breast only
    later = [image(f"s2-L-{view}", "strong", patient="p", study="s2", view=view) for view in ("CC", "MLO")]
    images = images_of(*first, *later)
    index = make_index(strong_rows(images, masks_of()), images)
    found = dict(zip(index.pixel_sha, index.auxiliary_sha, strict=True))
    assert found == {
        "sha-s1-L-CC": "sha-s1-R-CC",
        "sha-s1-R-CC": "sha-s1-L-CC",
        "sha-s1-L-MLO": "sha-s1-R-MLO",
        "sha-s1-R-MLO": "sha-s1-L-MLO",
        "sha-s2-L-CC": "",
        "sha-s2-L-MLO": "",
    }


def test_the_index_has_one_order_whatever_the_order_of_its_rows(archive: tuple[pa.Table, pa.Table]) -> None:
    images, masks = archive
    rows = strong_rows(images, masks)
    shuffled = rows.take(pa.array(np.random.default_rng(0).permutation(len(rows))))
    first, second = make_index(rows, images), make_index(shuffled, images)
    assert first.image_key.tolist() == second.image_key.tolist() == sorted(rows["image_key"].to_pylist())
    assert (first.pixel_sha, first.mask_sha) == (second.pixel_sha, second.mask_sha)
    assert first.role.tolist() == second.role.tolist()


def test_a_strong_image_that_comes_back_through_a_pool_is_refused() -> None:
    images = images_of(image("a", "strong"))
    mined = pool_rows(pool_of(("a", Quadrant.FP, 0.02)), mask_labels="soft", report_labels="soft")
    with pytest.raises(UserError, match=r"1 images are strong and mined at once: .*leak"):
        make_index(pa.concat_tables([strong_rows(images, masks_of()), mined]), images)
