import numpy as np
import pyarrow as pa
import pytest

from system.archive.tables import SCHEMAS
from system.reports.config import ReportConfig
from system.reports.labelled import Lessons, Reports, breast_truth, latest_reports, plan_lessons, read_reports, unlabelled


def reports(*rows: tuple[str, int, str, str]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "study_id": study,
                "version": version,
                "status": status,
                "language": "zh",
                "description": text,
                "impression": "",
                "source": "test",
            }
            for study, version, status, text in rows
        ],
        schema=SCHEMAS["reports"],
    )


def images(*rows: tuple[str, str, str, str]) -> pa.Table:
    filled = [
        {name: (0 if pa.types.is_integer(kind) else 0.0 if pa.types.is_floating(kind) else "") for name, kind in columns}
        | {"image_id": f"{study}-{side}-{view}", "study_id": study, "patient_id": patient, "side": side, "view": view, "split": split}
        for columns in [[(field.name, field.type) for field in SCHEMAS["images"]]]
        for study, patient, side, split in rows
        for view in ("CC", "MLO")
    ]
    return pa.Table.from_pylist(filled, schema=SCHEMAS["images"])


def masks(*rows: tuple[str, int]) -> pa.Table:
    filled = [{"image_id": image, "mask_sha": "", "num_lesions": lesions, "area_px": 9} for image, lesions in rows]
    return pa.Table.from_pylist(filled, schema=SCHEMAS["masks"])


def test_the_latest_final_word_wins_whatever_the_order_of_arrival():
    found = latest_reports(
        reports(("s", 3, "corrected", "c"), ("s", 1, "final", "a"), ("s", 2, "final", "b"), ("s", 4, "preliminary", "d"))
    )
    assert found["description"].tolist() == ["c"]
    assert found["version"].tolist() == [3]


def test_a_withdrawn_report_is_not_read_and_one_written_after_that_is():
    found = latest_reports(
        reports(("gone", 1, "final", "a"), ("gone", 2, "withdrawn", ""), ("back", 1, "withdrawn", ""), ("back", 2, "final", "b"))
    )
    assert found["study_id"].tolist() == ["back"]


def test_a_breast_has_a_mass_when_any_of_its_annotated_images_has_a_lesion():
    found = breast_truth(
        images(("s", "p", "L", "strong"), ("s", "p", "R", "strong"), ("w", "q", "L", "weak")),
        masks(("s-L-MLO", 2), ("s-R-CC", 0), ("w-L-CC", 1)),
    )
    assert {(study, side): bool(has_mass) for study, _, side, has_mass in found.itertuples(index=False)} == {
        ("s", "L"): True,
        ("s", "R"): False,
    }


def archive_of(num_labelled: int) -> tuple[pa.Table, pa.Table, pa.Table]:
    studies = [f"s{index:02d}" for index in range(num_labelled)]
    rows = [(study, f"p{index}", side, "strong") for index, study in enumerate(studies) for side in "LR"]
    lesions = [(f"{study}-L-CC", 1) for study in studies[::2]] + [(f"{study}-R-CC", 1) for study in studies[1::2]]
    written = [(study, 1, "final", f"左乳, text of {study}") for study in [*studies, "weak", "silent"]]
    written[-1] = ("silent", 1, "final", " \u200b")
    return reports(*written), images(*rows, ("weak", "pw", "L", "weak"), ("silent", "px", "L", "weak")), masks(*lesions)


def prepared(num_labelled: int, config: ReportConfig = ReportConfig()) -> tuple[Reports, Lessons]:  # noqa: B008 - frozen
    written, pictures, drawn = archive_of(num_labelled)
    found = read_reports(written, config=config)
    return found, plan_lessons(found, pictures, drawn, config=config)


def test_annotated_studies_teach_weak_ones_do_not_and_empty_reports_are_left_out():
    found, lessons = prepared(12)
    assert found.studies == [f"s{index:02d}" for index in range(12)] + ["weak"]
    assert (lessons.folds[:12] >= 0).all()
    assert lessons.folds[12] == -1
    assert lessons.truth[:2].tolist() == [[1, 0], [0, 1]]
    assert lessons.truth[12].tolist() == [-1, -1]


def test_no_report_is_both_taught_and_held_out_and_each_is_held_out_once():
    _, lessons = prepared(12)
    for fold in range(3):
        assert not set(lessons.teaching(fold)) & set(lessons.held_out(fold))
    assert sorted(np.concatenate([lessons.held_out(fold) for fold in range(3)])) == list(range(12))


def test_those_that_say_when_to_stop_are_a_share_of_the_teaching_reports_of_whole_patients():
    config = ReportConfig(validation_share=0.25)
    _, lessons = prepared(48, config)
    watching = lessons.watching(1, config=config)
    assert watching.sum() == 8  # of 32
    assert lessons.truth[lessons.teaching(1)][watching].sum(axis=0).tolist() == [4, 4]
    assert not lessons.watching(1, config=ReportConfig(validation_share=0)).any()


def test_a_share_of_the_labelled_patients_leaves_the_others_to_be_read():
    _, lessons = prepared(24, ReportConfig(labelled_share=0.5))
    assert (lessons.folds >= 0).sum() == 12
    assert (lessons.truth[lessons.folds < 0] == -1).all()


def test_a_report_that_names_no_side_teaches_nobody():
    written, pictures, drawn = archive_of(12)
    rewritten = pa.concat_tables([written, reports(("s00", 2, "corrected", "Mass. BI-RADS 5."))])
    found = read_reports(rewritten, config=ReportConfig())
    lessons = plan_lessons(found, pictures, drawn, config=ReportConfig())
    assert found.named.tolist() == [False] + [True] * 12
    assert lessons.folds[0] == -1
    assert lessons.truth[0].tolist() == [-1, -1]


def test_an_archive_without_annotations_is_refused():
    with pytest.raises(ValueError, match="would learn from 0 reports with and 0 without a mass"):
        prepared(0)


def test_what_wants_a_label_is_new_changed_or_was_read_by_other_models():
    found = read_reports(
        reports(*((study, version, "final", "左乳") for study, version in (("a", 1), ("b", 2), ("c", 1), ("d", 1)))), config=ReportConfig()
    )
    rows = [("a", "now/mean", 1), ("b", "now/held-out", 1), ("c", "before/mean", 1)]
    labels = pa.Table.from_pylist(
        [{"study_id": study, "side": "L", "p_mass": 0.5, "model": model, "report_version": version} for study, model, version in rows],
        schema=SCHEMAS["labels"],
    )
    assert [found.studies[index] for index in unlabelled(found, labels, models="now")] == ["b", "c", "d"]
