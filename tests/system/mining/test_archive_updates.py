import numpy as np
import pyarrow as pa
import pytest

from system.archive.tables import SCHEMAS
from system.mining import (
    first_labels,
    hard_labels,
    judged_at_random,
    known_truth,
    labels_since,
    on_these_pictures,
    outlined_by_radiologists,
    true_labels,
    verdicts_of,
)
from system.mining.label_updates import UpdateSource


def table(name: str, *rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist([dict.fromkeys(SCHEMAS[name].names) | row for row in rows], schema=SCHEMAS[name])


SPLITS = {"a": "weak", "b": "weak", "c": "test"}
IMAGES = table(
    "images",
    *[
        {
            "image_id": f"{study}{side}{view}",
            "image_key": key,
            "study_id": study,
            "side": side,
            "view": view,
            "split": SPLITS[study],
        }
        for key, (study, side, view) in enumerate(
            (study, side, view) for study in "abc" for side in "LR" for view in ("CC", "MLO")
        )
    ],
)


def label(study: str, side: str, p_mass: float | None, *, version: int = 1, model: str = "m") -> dict[str, object]:
    return {"study_id": study, "side": side, "p_mass": p_mass, "model": model, "report_version": version}


def test_a_withdrawn_report_takes_both_views_labels_back() -> None:
    before = table("labels", label("a", "L", 0.9), label("a", "R", 0.1), label("b", "L", None))
    now = table("labels", label("a", "L", None), label("a", "R", 0.1), label("b", "L", None))
    found = labels_since(before, now, IMAGES, round_number=2)
    assert (found.source, found.round, found.keys.tolist()) == (UpdateSource.LABEL, 2, [0, 1])
    assert np.isnan(found.p_mass).all()


def test_a_breasts_first_label_is_that_of_the_first_table_that_has_it() -> None:
    began = table("labels", label("a", "L", 0.9), label("a", "R", None))
    later = table("labels", label("a", "L", 0.2, version=2), label("a", "R", 0.7, version=2), label("b", "L", 0.4))
    found = first_labels([began, later])
    assert found.schema == SCHEMAS["labels"]
    rows = {(row["study_id"], row["side"]): row["p_mass"] for row in found.to_pylist()}
    assert rows == {("a", "L"): pytest.approx(0.9), ("a", "R"): None, ("b", "L"): pytest.approx(0.4)}
    update = labels_since(found, later, IMAGES, round_number=3)
    assert update.keys.tolist() == [0, 1, 2, 3]  # b is labelled as when it came


def test_a_corrected_report_gives_its_new_label() -> None:
    before = table("labels", label("a", "L", 0.9), label("b", "R", None))
    now = table("labels", label("a", "L", 0.2, version=2), label("b", "R", 0.8, version=3))
    found = labels_since(before, now, IMAGES, round_number=1)
    assert found.keys.tolist() == [0, 1, 6, 7]
    assert found.p_mass.tolist() == pytest.approx([0.2, 0.2, 0.8, 0.8])
    assert found.order.tolist() == [2, 2, 3, 3]


def test_a_report_read_again_by_newer_models_keeps_the_runs_label() -> None:
    before, now = table("labels", label("a", "L", 0.9)), table("labels", label("a", "L", 0.7, model="n"))
    assert len(labels_since(before, now, IMAGES, round_number=1)) == 0


def verdict(image: str, text: str, at: str, *, mask: str = "", why: str = "entropy") -> dict[str, object]:
    return {"image_id": image, "verdict": text, "at": at, "mask_sha": mask, "reader": "r", "why": why}


def test_verdicts_stand_for_probabilities_and_times() -> None:
    given = table(
        "verdicts",
        verdict("aLCC", "mass", "2026-03-01T10:00:00Z", mask="abc"),
        verdict("bRCC", "no mass", "2026-03-01T10:00:01+00:00"),
        verdict("cLMLO", "unsure", "2026-03-01T11:00:00+01:00"),
        verdict("elsewhere", "mass", "2026-03-01T10:00:00Z"),
    )
    found = verdicts_of(given, IMAGES, round_number=1)
    assert found.source is UpdateSource.VERDICT
    assert dict(zip(found.keys.tolist(), found.masked.tolist(), strict=True)) == {0: True, 6: False, 9: False}
    p_mass = dict(zip(found.keys.tolist(), found.p_mass.tolist(), strict=True))
    assert (p_mass[0], p_mass[6], np.isnan(p_mass[9])) == (1.0, 0.0, True)
    at = dict(zip(found.keys.tolist(), found.order.tolist(), strict=True))
    assert at[6] - at[0] == 10**9
    assert at[9] == at[0]


def test_nothing_said_is_an_empty_message() -> None:
    assert len(verdicts_of(table("verdicts"), IMAGES, round_number=1)) == 0
    assert len(labels_since(table("labels"), table("labels"), IMAGES, round_number=1)) == 0


def test_a_text_that_is_no_verdict_is_refused() -> None:
    with pytest.raises(
        ValueError, match="'cancer' is no verdict: the archive's verdicts must be one of mass, no mass, unsure"
    ):
        verdicts_of(table("verdicts", verdict("aLCC", "cancer", "2026-03-01T10:00:00Z")), IMAGES, round_number=1)


def test_a_readers_last_outline_trains_unless_its_image_is_held_out() -> None:
    given = table(
        "verdicts",
        verdict("aLCC", "mass", "2026-03-01T10:00:00Z", mask="old"),
        verdict("aLCC", "mass", "2026-03-01T12:30:00+01:00", mask="new"),
        verdict("aRCC", "mass", "2026-03-01T10:00:00Z", mask="taken back"),
        verdict("aRCC", "no mass", "2026-03-02T10:00:00Z"),
        verdict("bLCC", "mass", "2026-03-01T10:00:00Z"),
        verdict("cLCC", "mass", "2026-03-01T10:00:00Z", mask="held out"),
    )
    assert outlined_by_radiologists(given, IMAGES).to_pydict() == {"image_key": [0], "mask_sha": ["new"]}
    assert outlined_by_radiologists(table("verdicts"), IMAGES).num_rows == 0


def test_only_images_drawn_at_random_measure_the_pools() -> None:
    day = "2026-03-01T10:00:00Z"
    given = table(
        "verdicts",
        verdict("aLCC", "mass", day, why="random"),
        verdict("aRCC", "no mass", day, why="random"),
        verdict("bLCC", "unsure", day, why="random"),
        verdict("bRCC", "mass", day, why="disagreement"),
    )
    assert judged_at_random(given, IMAGES).to_pydict() == {"image_key": [0, 2], "has_mass": [True, False]}
    assert judged_at_random(table("verdicts"), IMAGES).num_rows == 0


def test_a_mask_beats_a_verdict_and_what_neither_shows_is_not_known() -> None:
    masks = table("masks", {"image_id": "aLCC", "num_lesions": 0}, {"image_id": "cLCC", "num_lesions": 2})
    day = "2026-03-01T10:00:00Z"
    given = table("verdicts", verdict("aLCC", "mass", day, why="random"), verdict("bLCC", "mass", day, why="random"))
    found = known_truth(masks, given, IMAGES).to_pydict()
    assert dict(zip(found["image_key"], found["has_mass"], strict=True)) == {0: False, 4: True, 8: True}
    assert known_truth(table("masks"), table("verdicts"), IMAGES).num_rows == 0


def test_a_perfect_report_finds_a_mass_in_any_view_and_is_silent_on_breasts_without_masks() -> None:
    masks = table(
        "masks",
        {"image_id": "aLCC", "num_lesions": 0},
        {"image_id": "aLMLO", "num_lesions": 2},
        {"image_id": "bRCC", "num_lesions": 0},
    )
    found = true_labels(masks, IMAGES).to_pylist()
    assert found == [
        {"study_id": "a", "side": "L", "p_mass": 1.0},
        {"study_id": "b", "side": "R", "p_mass": 0.0},
    ]


def test_labels_cut_before_the_selection_are_yes_or_no_and_none_stays_none() -> None:
    labels = table("labels", label("a", "L", 0.51), label("a", "R", 0.5), label("b", "L", None))
    found = hard_labels(labels)
    assert found.schema == labels.schema
    assert found["p_mass"].to_pylist() == [1.0, 0.0, None]
    assert found.drop_columns("p_mass") == labels.drop_columns("p_mass")


def test_a_verdict_counts_only_for_the_picture_that_was_judged() -> None:
    images = table("images", {"image_id": "a", "pixel_sha": "one"}, {"image_id": "b", "pixel_sha": "two"})
    verdicts = table(
        "verdicts",
        {"image_id": "a", "at": "1", "pixel_sha": "one"},
        {"image_id": "a", "at": "2", "pixel_sha": "replaced since"},
        {"image_id": "b", "at": "3", "pixel_sha": None},  # judged before this was kept
        {"image_id": "of no image here", "at": "4", "pixel_sha": "x"},
    )
    assert on_these_pictures(verdicts, images)["at"].to_pylist() == ["1", "3", "4"]
