"""What the archive has learned since a run was pinned to it: labels of corrected and withdrawn reports, and readers' verdicts."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from system.mining.label_updates import LabelUpdate, UpdateSource
from system.records import Split
from system.schemas import OUTLINED

VERDICTS = {"mass": 1.0, "no mass": 0.0, "unsure": float("nan")}
"""A reader's word, and the probability of a mass that it stands for; an image she is unsure of teaches nothing."""

RANDOM = "random"
"""In the column `why` of verdicts: the image was drawn evenly from all."""

_BREAST = ["study_id", "side"]


def labels_since(before: pa.Table, now: pa.Table, images: pa.Table, *, round_number: int) -> LabelUpdate:
    """Return the images whose breast has another label than when the run began, because its report was corrected, or withdrawn.

    A breast that is only read by newer report models keeps the run's label.
    before, now: rows of the archive's `labels`;  images: of its `images`
    """
    had, has = (table.select([*_BREAST, "p_mass", "report_version"]).to_pandas() for table in (before, now))
    both = had.merge(has, on=_BREAST, suffixes=("_before", ""))
    versions = ["report_version_before", "report_version"]
    both[versions] = both[versions].fillna(0)  # labels of before versions were kept
    withdrawn = both["p_mass"].isna() & both["p_mass_before"].notna()
    changed = both[withdrawn | (both["report_version"] > both["report_version_before"])]
    rows = images.select(["image_key", *_BREAST]).to_pandas().merge(changed, on=_BREAST)
    nobody = np.zeros(len(rows), bool)
    return _update(
        UpdateSource.LABEL, round_number, rows, p_mass=rows["p_mass"], order=rows["report_version"], masked=nobody
    )


def verdicts_of(verdicts: pa.Table, images: pa.Table, *, round_number: int) -> LabelUpdate:
    """Return readers' verdicts on the archive's images. verdicts: rows of `verdicts`, `at` in ISO 8601.

    Raises ValueError for a word that is no verdict.
    """
    said = verdicts.to_pandas()
    if strange := sorted(set(said["verdict"]) - set(VERDICTS)):
        raise ValueError(f"{strange[0]!r} is no verdict: the archive's verdicts must be one of {', '.join(VERDICTS)}")
    rows = images.select(["image_key", "image_id"]).to_pandas().merge(said, on="image_id")
    p_mass = rows["verdict"].map(VERDICTS).astype(np.float32)
    masked = (p_mass == 1) & (rows["mask_sha"].fillna("") != "")
    return _update(
        UpdateSource.VERDICT, round_number, rows, p_mass=p_mass, order=_nanoseconds(rows["at"]), masked=masked
    )


def outlined_by_radiologists(verdicts: pa.Table, images: pa.Table) -> pa.Table:
    """Return the weak images in whose last verdict a reader has outlined a mass, as OUTLINED: they teach like annotated ones.

    Images that are held out stay held out, whatever a reader says of them.
    """
    last = _last(verdicts)
    drawn = last[(last["verdict"] == "mass") & (last["mask_sha"].fillna("") != "")]
    rows = (
        images.filter(pc.field("split") == str(Split.WEAK))
        .select(["image_key", "image_id"])
        .to_pandas()
        .merge(drawn, on="image_id")
    )
    return pa.Table.from_pandas(rows[OUTLINED.names], schema=OUTLINED, preserve_index=False)


def known_truth(masks: pa.Table, verdicts: pa.Table, images: pa.Table) -> pa.Table:
    """Return which images show a mass, as far as masks or radiologists' verdicts tell: image_key, has_mass.

    It only measures how pure the pools are. Of the verdicts those count that judged images drawn at random. Masks beat verdicts.
    masks, verdicts, images: the archive's tables
    """
    judged = judged_at_random(verdicts, images)
    known = dict(zip(judged["image_key"].to_pylist(), judged["has_mass"].to_pylist(), strict=True))
    drawn = {row["image_id"]: row["num_lesions"] > 0 for row in masks.to_pylist()}
    keys = zip(images["image_key"].to_pylist(), images["image_id"].to_pylist(), strict=True)
    known |= {key: drawn[image_id] for key, image_id in keys if image_id in drawn}
    return pa.table(
        {"image_key": pa.array(list(known), pa.int64()), "has_mass": pa.array(list(known.values()), pa.bool_())}
    )


def judged_at_random(verdicts: pa.Table, images: pa.Table) -> pa.Table:
    """Return what readers' last verdicts say of images that were shown to them by chance: image_key, has_mass. Unsure ones are left out.

    Only these speak for a pool: the others were chosen because something was odd about them.
    """
    said = _last(verdicts)
    said = said[(said["why"] == RANDOM) & said["verdict"].isin(["mass", "no mass"])]
    rows = images.select(["image_key", "image_id"]).to_pandas().merge(said, on="image_id")
    return pa.table(
        {
            "image_key": pa.array(rows["image_key"], pa.int64()),
            "has_mass": pa.array(rows["verdict"] == "mass", pa.bool_()),
        }
    )


def _last(verdicts: pa.Table) -> pd.DataFrame:
    """Return each image's last verdict."""
    said = verdicts.to_pandas()
    return (
        said.assign(ns=_nanoseconds(said["at"])).sort_values(["ns", "reader"]).drop_duplicates("image_id", keep="last")
    )


def _nanoseconds(at: pd.Series) -> pd.Series:
    """Return times in ISO 8601 as nanoseconds since 1970."""
    return pd.to_datetime(at, utc=True, format="ISO8601").astype("datetime64[ns, UTC]").astype(np.int64)


def _update(source: UpdateSource, round_number: int, rows: pd.DataFrame, *, p_mass, order, masked) -> LabelUpdate:
    return LabelUpdate(
        source,
        round_number,
        keys=rows["image_key"].to_numpy(np.int64),
        p_mass=np.asarray(p_mass, np.float32),
        order=np.asarray(order, np.int64),
        masked=np.asarray(masked, np.bool_),
    )
