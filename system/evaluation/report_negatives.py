"""A mask threshold without validation masks: above nearly all peaks of images whose report says that there is no mass.

A map that peaks no higher than those of breasts without a mass gives no mask. It costs one look at a few hundred weak
images, and needs no outline.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from system.archive import Archive, pair_table, share_of_patients
from system.errors import UserError
from system.evaluation.maps_of_run import parquet_files
from system.files.parquet import read_table
from system.mining.columns_in import labels_of
from system.records import P0, Split
from system.run.results import InferResult
from system.run.stage import Stage

NUM_PAIRS = 200  # looked at; two breasts each
PERCENTILE = 80  # of their peaks, which a mask must exceed
_BREAST = ["study_id", "side"]


def negative_pairs(archive: Archive, *, p0: P0, weak_share: float) -> pa.Table:
    """Return pairs of weak images of which a report says that a breast shows no mass: schemas.PAIRS, at most NUM_PAIRS.

    archive: pinned to the run's versions
    p0: how sure the report must be, 0.5 to 1
    weak_share: of the weak patients that are mined, 0 to 1
    """
    images = archive.table("images").filter(pc.field("split") == str(Split.WEAK))
    weak = share_of_patients(images, share=weak_share)
    negative = _without_mass(weak.select(_BREAST), archive, p0=p0)
    studies = pc.unique(weak.filter(pa.array(negative))["study_id"])
    return pair_table(weak.filter(pc.field("study_id").isin(studies))).slice(0, NUM_PAIRS)


def threshold_of_negatives(predictions: Stage[InferResult], *, archive: Archive, p0: P0) -> tuple[float, str]:
    """Return the threshold and the reason in words.

    predictions: finished, weak pairs of `negative_pairs` among them

    Raises UserError where there is no such image, or they leave no room above their peaks.
    """
    weak = archive.table("images", columns=["image_id", "split"]).filter(pc.field("split") == str(Split.WEAK))
    columns = ["image_id", *_BREAST, "peak"]
    rows = pa.concat_tables([read_table(path, columns=columns) for path in parquet_files(predictions)])
    rows = rows.filter(pc.field("image_id").isin(weak["image_id"].combine_chunks()) & pc.field("peak").is_valid())
    peaks = rows["peak"].to_numpy()[_without_mass(rows, archive, p0=p0)]
    if not len(peaks):
        raise UserError(
            "infer.refine.mask_threshold is report_negatives, but no weak image has a report that says no mass: "
            "label reports first, or set it to validation or to a number"
        )
    threshold = float(np.clip(np.percentile(peaks, PERCENTILE), 1e-3, 1 - 1e-3))
    return threshold, f"the {PERCENTILE}th percentile of the peaks of {len(peaks)} images whose report says no mass"


def _without_mass(rows: pa.Table, archive: Archive, *, p0: P0) -> np.ndarray:
    """Return for each row whether its breast's report says that there is no mass: [N] bool. rows: study_id, side."""
    p_mass = labels_of(rows, archive.table("labels"))
    return p_mass < np.float32(1 - p0)  # NaN, where there is no report, is not below
