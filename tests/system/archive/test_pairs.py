"""Bilateral pairs."""

import pyarrow as pa

from system.archive import other_breasts, pair_table
from system.archive.tables import SCHEMAS
from system.records import image_key


def images(*rows: tuple[str, str, str, str]) -> pa.Table:
    """rows: (image_id, study_id, side, view)"""
    filled = [
        dict.fromkeys(SCHEMAS["images"].names)
        | {
            "image_id": image,
            "image_key": image_key(image),
            "patient_id": f"p of {study}",
            "study_id": study,
            "side": side,
            "view": view,
        }
        | {"pixel_sha": f"sha of {image}"}
        for image, study, side, view in rows
    ]
    return pa.Table.from_pylist(filled, schema=SCHEMAS["images"])


def test_the_same_view_of_both_breasts_becomes_one_row_whatever_the_order() -> None:
    four = [("a", "s", "L", "CC"), ("b", "s", "R", "CC"), ("c", "s", "L", "MLO"), ("d", "s", "R", "MLO")]

    pairs = pair_table(images(*four))

    assert {(row["view"], row["left_id"], row["right_id"]) for row in pairs.to_pylist()} == {
        ("CC", "a", "b"),
        ("MLO", "c", "d"),
    }
    assert pairs == pair_table(images(*reversed(four)))


def test_a_row_carries_keys_and_pixels_of_both_images() -> None:
    (row,) = pair_table(images(("a", "s", "L", "CC"), ("b", "s", "R", "CC"))).to_pylist()

    assert (row["left_key"], row["left_sha"]) == (image_key("a"), "sha of a")
    assert (row["right_key"], row["right_sha"]) == (image_key("b"), "sha of b")
    assert (row["patient_id"], row["pair_key"]) == ("p of s", image_key("s/CC"))


def test_a_missing_breast_leaves_empty_text_and_zero() -> None:
    (row,) = pair_table(images(("b", "s", "R", "CC"))).to_pylist()

    assert (row["left_id"], row["left_key"], row["left_sha"]) == ("", 0, "")
    assert row["right_id"] == "b"


def test_repeats_make_pairs_of_their_own() -> None:
    views = images(("a", "s", "L", "CC"), ("b", "s", "L", "CC"), ("c", "s", "R", "CC"), ("d", "s", "L", "CC"))
    rows = pair_table(views).to_pylist()
    assert sorted((row["left_id"], row["right_id"]) for row in rows) == [("a", "c"), ("b", ""), ("d", "")]
    assert len({row["pair_key"] for row in rows}) == 3


def test_an_image_is_looked_at_beside_the_one_that_it_is_paired_with() -> None:
    views = images(("a", "s", "L", "CC"), ("b", "s", "L", "CC"), ("c", "s", "R", "CC"), ("e", "t", "R", "CC"))
    keys = dict(zip(views["image_id"].to_pylist(), views["image_key"].to_pylist(), strict=True))
    shas = dict(zip(views["image_id"].to_pylist(), views["pixel_sha"].to_pylist(), strict=True))
    assert other_breasts(views) == {keys["a"]: shas["c"], keys["c"]: shas["a"]}


def test_rows_are_sorted_by_key() -> None:
    keys = pair_table(images(*((f"i{number}", f"s{number}", "L", "CC") for number in range(20))))[
        "pair_key"
    ].to_pylist()

    assert keys == sorted(keys)
