"""Changes of the archive since a run was pinned: labels of corrected and withdrawn reports, and readers' verdicts."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd  # pyright: ignore[reportMissingTypeStubs] - no stubs in the lock file
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from system.errors import UserError
from system.mining.label_updates import LabelUpdate, UpdateSource
from system.mining.rules import cut_labels
from system.records import Split
from system.schemas import OUTLINED

VERDICTS = {"mass": 1.0, "no mass": 0.0, "unsure": float("nan")}
"""Verdict -> the probability of a mass that it stands for; an image of which the reader is unsure trains nothing."""

RANDOM = "random"
"""In the column `why` of verdicts: the image was drawn evenly from all."""

_BREAST = ["study_id", "side"]
# The overloads of pandas' function have parameters without a type.
_to_datetime = cast("Callable[..., Any]", pd.to_datetime)  # pyright: ignore[reportUnknownMemberType]


def labels_since(before: pa.Table, now: pa.Table, images: pa.Table, *, round_number: int) -> LabelUpdate:
    """Return the images whose breast has another label than when the run began.

    A label counts as another when its report was corrected or withdrawn. A report that newer report models have only
    read again keeps the run's label.

    before, now: rows of the archive's `labels`
    images: rows of its `images`
    """
    had, has = (table.select([*_BREAST, "p_mass", "report_version"]).to_pandas() for table in (before, now))
    both = had.merge(has, on=_BREAST, suffixes=("_before", ""))
    versions = ["report_version_before", "report_version"]
    both[versions] = both[versions].fillna(0)  # labels that were written before versions were kept have none
    withdrawn = both["p_mass"].isna() & both["p_mass_before"].notna()
    changed = both[withdrawn | (both["report_version"] > both["report_version_before"])]
    rows = images.select(["image_key", *_BREAST]).to_pandas().merge(changed, on=_BREAST)
    return _update(
        UpdateSource.LABEL,
        round_number,
        keys=rows["image_key"],
        p_mass=rows["p_mass"],
        order=rows["report_version"],
        masked=np.zeros(len(rows), bool),
    )


def first_labels(tables: Sequence[pa.Table]) -> pa.Table:
    """Return each breast's label from the first table that has the breast. tables: of `labels`, in order of time."""
    rows = pd.concat([table.to_pandas() for table in tables], ignore_index=True).drop_duplicates(_BREAST)
    return pa.Table.from_pandas(rows, schema=tables[0].schema, preserve_index=False)


def on_these_pictures(verdicts: pa.Table, images: pa.Table) -> pa.Table:
    """Return the verdicts without those on another picture: one that had the image's UID and was withdrawn or replaced.

    verdicts, images: rows of the archive's tables
    """
    shown = dict(zip(images["image_id"].to_pylist(), images["pixel_sha"].to_pylist(), strict=True))
    judged = zip(verdicts["image_id"].to_pylist(), verdicts["pixel_sha"].to_pylist(), strict=True)
    return verdicts.filter(
        pa.array([not sha or shown.get(image_id, sha) == sha for image_id, sha in judged], pa.bool_())
    )


def verdicts_of(verdicts: pa.Table, images: pa.Table, *, round_number: int) -> LabelUpdate:
    """Return readers' verdicts on the archive's images. Raises UserError for a text that is no verdict.

    verdicts: rows of the archive's `verdicts`, `at` in ISO 8601
    images: rows of its `images`
    """
    given = verdicts.to_pandas()
    if strange := sorted(set(given["verdict"]) - set(VERDICTS)):
        raise UserError(f"{strange[0]!r} is no verdict: the archive's verdicts must be one of {', '.join(VERDICTS)}")
    rows = images.select(["image_key", "image_id"]).to_pandas().merge(given, on="image_id")
    p_mass = rows["verdict"].map(VERDICTS).astype(np.float32)
    return _update(
        UpdateSource.VERDICT,
        round_number,
        keys=rows["image_key"],
        p_mass=p_mass,
        order=_nanoseconds(rows["at"]),
        masked=(p_mass == 1) & (rows["mask_sha"].fillna("") != ""),
    )


def outlined_by_radiologists(verdicts: pa.Table, images: pa.Table) -> pa.Table:
    """Return the weak images in whose last verdict a reader has outlined a mass, as schemas.OUTLINED.

    They train like annotated images. Images that are held out stay held out, whatever their verdict.

    verdicts, images: the archive's tables
    """
    last = _last(verdicts).to_pandas()
    drawn = last[(last["verdict"] == "mass") & (last["mask_sha"].fillna("") != "")]
    weak = images.filter(pc.field("split") == str(Split.WEAK)).select(["image_key", "image_id"])
    rows = weak.to_pandas().merge(drawn, on="image_id")
    return pa.Table.from_pandas(rows[OUTLINED.names], schema=OUTLINED, preserve_index=False)


def known_truth(masks: pa.Table, verdicts: pa.Table, images: pa.Table) -> pa.Table:
    """Return which images show a mass, as far as masks or verdicts show it: image_key, has_mass.

    It only measures how pure the pools are. Of the verdicts those count that judged images drawn at random. Masks beat
    verdicts.

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


def hard_labels(labels: pa.Table) -> pa.Table:
    """Return the archive's labels as yes or no, for loss.report_labels=hard_before (rules.cut_labels)."""
    p_mass = cut_labels(labels["p_mass"].to_numpy().astype(np.float32))
    place = labels.schema.get_field_index("p_mass")
    return labels.set_column(place, "p_mass", pa.array(p_mass, pa.float32(), mask=np.isnan(p_mass)))


def true_labels(masks: pa.Table, images: pa.Table) -> pa.Table:
    """Return the labels that perfect reports would give: study_id, side, p_mass (1 or 0), of breasts with known masks.

    A breast has a mass where any of its images shows one.

    masks, images: the archive's tables
    """
    drawn = masks.select(["image_id", "num_lesions"]).to_pandas()
    rows = images.select(["image_id", *_BREAST]).to_pandas().merge(drawn, on="image_id")
    breasts = rows.groupby(_BREAST, as_index=False)["num_lesions"].max()
    p_mass = pa.array(breasts["num_lesions"] > 0, pa.bool_()).cast(pa.float32())
    return pa.table({name: pa.array(breasts[name], pa.string()) for name in _BREAST} | {"p_mass": p_mass})


def judged_at_random(verdicts: pa.Table, images: pa.Table) -> pa.Table:
    """Return the last verdicts on images that were drawn at random: image_key, has_mass. Unsure ones are left out.

    Only these measure a pool without bias: other images were shown to readers because something was odd about them.

    verdicts, images: the archive's tables
    """
    last = _last(verdicts).to_pandas()
    sure = last[(last["why"] == RANDOM) & last["verdict"].isin(["mass", "no mass"])]
    rows = images.select(["image_key", "image_id"]).to_pandas().merge(sure, on="image_id")
    return pa.table(
        {
            "image_key": pa.array(rows["image_key"], pa.int64()),
            "has_mass": pa.array(rows["verdict"] == "mass", pa.bool_()),
        }
    )


def _last(verdicts: pa.Table) -> pa.Table:
    """Return each image's last verdict, by rising time."""
    given = verdicts.to_pandas()
    ordered = given.assign(ns=_nanoseconds(given["at"])).sort_values(["ns", "reader"])
    return verdicts.take(ordered.drop_duplicates("image_id", keep="last").index.to_numpy(np.int64))


def _nanoseconds(at: ArrayLike) -> NDArray[np.int64]:
    """Return times in ISO 8601 as nanoseconds since 1970: [N]."""
    return _to_datetime(at, utc=True, format="ISO8601").astype("datetime64[ns, UTC]").astype(np.int64).to_numpy()


def _update(
    source: UpdateSource, round_number: int, *, keys: ArrayLike, p_mass: ArrayLike, order: ArrayLike, masked: ArrayLike
) -> LabelUpdate:
    return LabelUpdate(
        source,
        round_number,
        keys=np.asarray(keys, np.int64),
        p_mass=np.asarray(p_mass, np.float32),
        order=np.asarray(order, np.int64),
        masked=np.asarray(masked, np.bool_),
    )
