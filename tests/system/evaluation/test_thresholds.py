"""Both thresholds of a model, from the maps of its validation images."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.config import RunConfig
from system.evaluation.thresholds import choose_thresholds
from system.imaging import ImagingConfig, encode_png
from system.metrics import FrocConfig
from system.records import image_key
from system.run.results import InferResult, Thresholds
from system.run.stage import Stage
from tests.pipelines.tools.by_hand import infer_by_hand

SIZE = 64
FROC = FrocConfig(min_lesion_px=4, min_candidate_px=4, candidate_threshold=0.03, fppi=(1.0,))


@pytest.fixture
def one_faint_mass(tmp_path: Path) -> tuple[Archive, Stage[InferResult]]:
    """Return an archive and predictions of one image to validate on: a mass at .3 in a halo below .1."""
    archive = Archive.create(str(tmp_path / "archive"), imaging=ImagingConfig(height_px=SIZE, width_px=SIZE))
    truth = np.zeros((SIZE, SIZE), dtype=bool)
    truth[16:32, 16:32] = True
    image = {"image_id": "i", "patient_id": "p", "rows": SIZE, "cols": SIZE, "split": "validation"}
    archive.upsert("images", pa.Table.from_pylist([image], schema=SCHEMAS["images"]))
    mask = {"image_id": "i", "mask_sha": archive.put_pixels(truth)}
    archive.upsert("masks", pa.Table.from_pylist([mask], schema=SCHEMAS["masks"]))
    coarse = np.where(truth[::4, ::4], 0.3, 0.1)
    row = {"image_id": "i", "image_key": image_key("i"), "peak": 0.3, "p_image": 0.5, "error": None}
    stage = Stage(tmp_path / "run", "held_out", InferResult)
    infer_by_hand(stage, [row | {"map_png": encode_png((coarse * 65535).astype(np.uint16))}])
    return archive.pinned(archive.versions()), stage


def choose(source: tuple[Archive, Stage[InferResult]], *, froc: FrocConfig) -> Thresholds:
    archive, held_out = source
    stage = Stage(held_out.run, "thresholds", Thresholds)
    return choose_thresholds(held_out, archive=archive, config=RunConfig(froc=froc), stage=stage)


def test_both_thresholds_are_chosen_where_the_mass_stands_out(
    one_faint_mass: tuple[Archive, Stage[InferResult]],
) -> None:
    chosen = choose(one_faint_mass, froc=FROC)
    assert (chosen.mask_threshold, chosen.candidate_threshold) == (0.25, 0.1)
    assert "best lesion F1 1.000" in chosen.mask_reason
    assert "best mean sensitivity 1.000" in chosen.candidate_reason


def test_own_peak_candidates_need_no_threshold_and_none_is_chosen(
    one_faint_mass: tuple[Archive, Stage[InferResult]],
) -> None:
    chosen = choose(one_faint_mass, froc=FROC.changed(candidates="own_peak"))
    assert (chosen.mask_threshold, chosen.candidate_threshold) == (0.25, 0.03)
    assert (
        chosen.candidate_reason
        == "set in froc.candidate_threshold, not used: each candidate ends at half of its own peak"
    )
