"""A mask threshold from reports that say no mass."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.errors import UserError
from system.evaluation.report_negatives import negative_pairs, threshold_of_negatives
from system.imaging import ImagingConfig
from system.records import image_key
from system.run.results import InferResult
from system.run.stage import Stage
from tests.pipelines.tools.by_hand import infer_by_hand

SIZE = 32
P_MASS = {"a": 0.01, "b": 0.02, "c": 0.5, "d": 0.99}  # study -> of both breasts


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Return weak studies a to d of two breasts and a held-out study e, all with labels but a weak study f."""
    made = Archive.create(str(tmp_path / "archive"), imaging=ImagingConfig(height_px=SIZE, width_px=SIZE))
    images = [
        dict.fromkeys(SCHEMAS["images"].names)
        | {"image_id": f"{study}{side}", "image_key": image_key(f"{study}{side}"), "patient_id": study}
        | {"study_id": study, "side": side, "view": "CC", "pixel_sha": f"{study}{side}"}
        | {"split": "test" if study == "e" else "weak"}
        for study in "abcdef"
        for side in "LR"
    ]
    made.upsert("images", pa.Table.from_pylist(images, schema=SCHEMAS["images"]))
    labels = [
        {"study_id": study, "side": side, "p_mass": p_mass, "model": "m", "report_version": 1}
        for study, p_mass in (P_MASS | {"e": 0.01}).items()
        for side in "LR"
    ]
    made.upsert("labels", pa.Table.from_pylist(labels, schema=SCHEMAS["labels"]))
    return made.pinned(made.versions())


def predicted(folder: Path, peaks: dict[str, float]) -> Stage[InferResult]:
    """peaks: image -> the highest probability of its map."""
    stage = Stage(folder, "held_out", InferResult)
    rows = [
        {"image_id": name, "image_key": image_key(name), "study_id": name[0], "side": name[1], "peak": peak}
        for name, peak in peaks.items()
    ]
    infer_by_hand(stage, rows)
    return stage


def test_pairs_are_those_of_weak_studies_whose_report_says_no_mass(archive: Archive) -> None:
    pairs = negative_pairs(archive, p0=0.9, weak_share=1.0)
    assert sorted(pairs["study_id"].to_pylist()) == ["a", "b"]
    assert sorted(negative_pairs(archive, p0=0.985, weak_share=1.0)["study_id"].to_pylist()) == ["a"]


def test_the_threshold_lies_above_most_peaks_of_breasts_without_a_mass_whatever_the_others_show(
    archive: Archive, tmp_path: Path
) -> None:
    peaks = {"aL": 0.1, "aR": 0.2, "bL": 0.3, "bR": 0.4, "dL": 0.9, "cL": 0.8, "eL": 0.95, "fL": 0.85}
    threshold, reason = threshold_of_negatives(predicted(tmp_path / "run", peaks), archive=archive, p0=0.9)
    assert threshold == pytest.approx(np.percentile([0.1, 0.2, 0.3, 0.4], 80))
    assert reason == "the 80th percentile of the peaks of 4 images whose report says no mass"


def test_without_a_report_that_says_no_mass_it_is_refused(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no weak image has a report that says no mass"):
        threshold_of_negatives(predicted(tmp_path / "run", {"dL": 0.9}), archive=archive, p0=0.9)
