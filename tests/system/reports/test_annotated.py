import numpy as np
import pyarrow as pa
import pytest

from system.archive.tables import SCHEMAS
from system.errors import UserError
from system.reports.annotated import (
    Reports,
    TrainingReports,
    breast_truth,
    latest_reports,
    plan_training,
    read_reports,
    unlabelled,
)
from system.reports.config import ReportConfig


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
        {
            name: (0 if pa.types.is_integer(type_) else 0.0 if pa.types.is_floating(type_) else "")
            for name, type_ in columns
        }
        | {
            "image_id": f"{study}-{side}-{view}",
            "study_id": study,
            "patient_id": patient,
            "side": side,
            "view": view,
            "split": split,
        }
        for columns in [[(field.name, field.type) for field in SCHEMAS["images"]]]
        for study, patient, side, split in rows
        for view in ("CC", "MLO")
    ]
    return pa.Table.from_pylist(filled, schema=SCHEMAS["images"])


def masks(*rows: tuple[str, int]) -> pa.Table:
    filled = [{"image_id": image, "mask_sha": "", "num_lesions": lesions, "area_px": 9} for image, lesions in rows]
    return pa.Table.from_pylist(filled, schema=SCHEMAS["masks"])


def test_the_latest_final_report_is_taken_whatever_the_order_of_arrival() -> None:
    found = latest_reports(
        reports(
            ("s", 3, "corrected", "c"), ("s", 1, "final", "a"), ("s", 2, "final", "b"), ("s", 4, "preliminary", "d")
        )
    )
    assert found["description"].tolist() == ["c"]
    assert found["version"].tolist() == [3]


def test_a_withdrawn_report_is_not_read_and_one_written_after_that_is() -> None:
    found = latest_reports(
        reports(
            ("gone", 1, "final", "a"),
            ("gone", 2, "withdrawn", ""),
            ("back", 1, "withdrawn", ""),
            ("back", 2, "final", "b"),
        )
    )
    assert found["study_id"].tolist() == ["back"]


def test_a_breast_has_a_mass_when_any_of_its_annotated_images_has_a_lesion() -> None:
    found = breast_truth(
        images(("s", "p", "L", "strong"), ("s", "p", "R", "strong"), ("w", "q", "L", "weak")),
        masks(("s-L-MLO", 2), ("s-R-CC", 0), ("w-L-CC", 1)),
    )
    assert {(study, side): bool(has_mass) for study, _, side, has_mass in found.itertuples(index=False)} == {
        ("s", "L"): True,
        ("s", "R"): False,
    }


def archive_of(num_annotated: int) -> tuple[pa.Table, pa.Table, pa.Table]:
    studies = [f"s{index:02d}" for index in range(num_annotated)]
    rows = [(study, f"p{index}", side, "strong") for index, study in enumerate(studies) for side in "LR"]
    lesions = [(f"{study}-L-CC", 1) for study in studies[::2]] + [(f"{study}-R-CC", 1) for study in studies[1::2]]
    written = [(study, 1, "final", f"左乳, text of {study}") for study in [*studies, "weak", "silent"]]
    written[-1] = ("silent", 1, "final", " \u200b")
    return reports(*written), images(*rows, ("weak", "pw", "L", "weak"), ("silent", "px", "L", "weak")), masks(*lesions)


CONFIG = ReportConfig()


def prepared(num_annotated: int, config: ReportConfig = CONFIG) -> tuple[Reports, TrainingReports]:
    written, pictures, drawn = archive_of(num_annotated)
    found = read_reports(written, config=config)
    return found, plan_training(found, pictures, drawn, config=config)


def test_annotated_studies_train_weak_ones_do_not_and_empty_reports_are_left_out() -> None:
    found, training = prepared(12)
    assert found.studies == [f"s{index:02d}" for index in range(12)] + ["weak"]
    assert (training.folds[:12] >= 0).all()
    assert training.folds[12] == -1
    assert training.truth[:2].tolist() == [[1, 0], [0, 1]]
    assert training.truth[12].tolist() == [-1, -1]


def test_no_report_both_trains_and_is_held_out_and_each_is_held_out_once() -> None:
    _, training = prepared(12)
    for fold in range(3):
        assert not set(training.trained_on(fold)) & set(training.held_out(fold))
    assert sorted(np.concatenate([training.held_out(fold) for fold in range(3)])) == list(range(12))


def test_the_early_stopping_reports_are_a_share_of_the_training_reports_of_whole_patients() -> None:
    config = ReportConfig(validation_share=0.25)
    _, training = prepared(48, config)
    early_stopping = training.early_stopping(1, config=config)
    assert early_stopping.sum() == 8  # of 32
    assert training.truth[training.trained_on(1)][early_stopping].sum(axis=0).tolist() == [4, 4]
    assert not training.early_stopping(1, config=ReportConfig(validation_share=0)).any()


def test_with_a_share_of_the_annotated_patients_the_others_are_only_read() -> None:
    _, training = prepared(24, ReportConfig(annotated_share=0.5))
    assert (training.folds >= 0).sum() == 12
    assert (training.truth[training.folds < 0] == -1).all()


def test_a_report_that_names_no_side_trains_no_model() -> None:
    written, pictures, drawn = archive_of(12)
    rewritten = pa.concat_tables([written, reports(("s00", 2, "corrected", "Mass. BI-RADS 5."))])
    found = read_reports(rewritten, config=ReportConfig())
    training = plan_training(found, pictures, drawn, config=ReportConfig())
    assert found.named.tolist() == [False] + [True] * 12
    assert training.folds[0] == -1
    assert training.truth[0].tolist() == [-1, -1]


def test_an_archive_without_annotations_is_refused() -> None:
    with pytest.raises(UserError, match="would learn from 0 reports with and 0 without a mass"):
        prepared(0)


def test_a_report_needs_a_label_when_it_is_new_changed_or_was_read_by_other_models() -> None:
    found = read_reports(
        reports(*((study, version, "final", "左乳") for study, version in (("a", 1), ("b", 2), ("c", 1), ("d", 1)))),
        config=ReportConfig(),
    )
    rows = [("a", "now/mean", 1), ("b", "now/held-out", 1), ("c", "before/mean", 1)]
    labels = pa.Table.from_pylist(
        [
            {"study_id": study, "side": "L", "p_mass": 0.5, "model": model, "report_version": version}
            for study, model, version in rows
        ],
        schema=SCHEMAS["labels"],
    )
    assert [found.studies[index] for index in unlabelled(found, labels, models="now")] == ["b", "c", "d"]
