"""From a file of predictions to the columns that the miner keeps: each image with the label of its breast."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from system.errors import UserError
from system.files.parquet import read_table
from system.mining.pools import Columns
from system.records import Split

_COLUMNS = ["image_key", "study_id", "side", "score", "mask_area_px", "error"]
_BREAST = ["study_id", "side"]


def read_columns(
    path: Path, *, labels: pa.Table, images: pa.Table, keys: Sequence[int] | None = None
) -> tuple[Columns, int]:
    """Return a predictions file's images, and how many could not be read and are left out.

    path: of schemas.PREDICTIONS
    labels, images: the archive's tables
    keys: image_key of those that are wanted; None = all

    Raises UserError where an image is unknown to the archive or held out for validation or test.
    """
    everything = read_table(path, columns=_COLUMNS)
    if keys is not None:
        everything = everything.filter(pc.field("image_key").isin(pa.array(keys, pa.int64())))
    rows = everything.filter(pc.field("error").is_null())
    found = rows["image_key"].to_numpy().astype(np.int64)
    _refuse_held_out(found, images=images)
    columns = Columns(
        keys=found,
        p_mass=labels_of(rows, labels),
        score=rows["score"].to_numpy().astype(np.float32),
        has_mask=rows["mask_area_px"].to_numpy() > 0,
    )
    return columns, len(everything) - len(rows)


def labels_of(rows: pa.Table, labels: pa.Table) -> NDArray[np.float32]:
    """Return p_mass of each row's breast, [N], NaN where it has none. It is per breast: CC and MLO share it.

    rows: columns study_id, side
    labels: rows of the archive's `labels`

    Raises UserError where a breast has two labels.
    """
    here = pc.field("study_id").isin(pc.unique(rows["study_id"]))  # of a file; the archive has many
    known = labels.select([*_BREAST, "p_mass"]).filter(here).to_pandas()
    if twice := int(known.duplicated(_BREAST).sum()):
        raise UserError(f"labels name {twice} breasts twice: give one row per study_id and side")
    found = rows.select(_BREAST).to_pandas().merge(known, on=_BREAST, how="left")
    return found["p_mass"].to_numpy(np.float32, na_value=np.nan)


def _refuse_held_out(keys: NDArray[np.int64], *, images: pa.Table) -> None:
    here = images.select(["image_key", "split"]).filter(pc.field("image_key").isin(pa.array(keys)))
    split_of = here.to_pandas().set_index("image_key")["split"]
    splits = split_of.reindex(keys)
    if unknown := int(splits.isna().sum()):
        raise UserError(
            f"{unknown} predicted images are not in the archive's version of this run: infer on its images only"
        )
    if held_out := int(splits.isin([Split.VALIDATION, Split.TEST]).sum()):
        raise UserError(
            f"{held_out} predicted images are held out for validation or test and must not train: "
            "infer on weak images only"
        )
