from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from system.archive.tables import SCHEMAS
from system.errors import UserError
from system.losses import LossConfig
from system.records import Quadrant, Split, image_key
from system.schemas import OUTLINED, POOL
from system.training.config import StrongInBatch, TrainConfig
from system.training.job import EpochPool, TrainJob
from system.training.plan import epoch_index, mean_places, plan_epoch
from system.training.samples import POSITIVE, SampleIndex, SampleRole

MakeJob = Callable[..., TrainJob]
SPLITS = dict.fromkeys("abcdef", Split.STRONG) | dict.fromkeys("uvwx", Split.WEAK)  # patient -> split
MASSES = ("aL", "bL", "cL", "uL")  # images with a mask; that of a weak patient must stay unused


@pytest.fixture
def tables() -> dict[str, pa.Table]:
    """Return the archive's images and masks: one view of both breasts of every patient, named patient and side."""
    empty = dict.fromkeys(SCHEMAS["images"].names)
    images = [
        empty
        | {"image_id": f"{patient}{side}", "image_key": image_key(f"{patient}{side}"), "patient_id": patient}
        | {"study_id": patient, "side": side, "view": "MLO", "split": split, "pixel_sha": f"sha-{patient}{side}"}
        for patient, split in SPLITS.items()
        for side in "LR"
    ]
    masks = [{"image_id": name, "mask_sha": f"mask-{name}", "num_lesions": 1, "area_px": 9} for name in MASSES]
    return {
        name: pa.Table.from_pylist(rows, schema=SCHEMAS[name]) for name, rows in (("images", images), ("masks", masks))
    }


def write_pool(path: Path, members: Mapping[str, tuple[Quadrant, float]], *, disputed: tuple[str, ...] = ()) -> str:
    """Write a pool as mining does. Return the file. members: image -> quadrant and p_mass; disputed: images."""
    rows: list[dict[str, Any]] = [
        {"image_key": image_key(name), "image_id": name, "quadrant": int(quadrant), "p_mass": p_mass, "score": 0.5}
        | {"disputed": name in disputed}
        | dict.fromkeys(("map_png", "mask_png"))
        for name, (quadrant, p_mass) in members.items()
    ]
    for row in rows:
        if row["quadrant"] == Quadrant.TP:
            row |= {"map_png": b"map", "mask_png": b"mask"}
    table = pa.Table.from_pylist(rows, schema=POOL)
    with pa.ipc.new_file(str(path), POOL) as file:
        file.write_table(table)
    return str(path)


def place(index: SampleIndex, name: str) -> int:
    return index.image_key.tolist().index(image_key(name))


def num_weak(index: SampleIndex) -> int:
    return sum(index.counts()[role] for role in ("TP", "FP", "FN"))


def test_without_pools_an_epoch_trains_on_all_strong_images_alone(
    make_job: MakeJob, tables: dict[str, pa.Table]
) -> None:
    index = epoch_index(make_job(), 0, **tables)
    assert index.counts() == {"STRONG_MASS": 3, "STRONG_FREE": 9, "TP": 0, "FP": 0, "FN": 0}
    assert index.mask_sha[place(index, "aL")] == "mask-aL"
    assert index.auxiliary_sha[place(index, "aL")] == "sha-aR"


def test_a_share_of_the_strong_patients_is_kept_with_and_without_mass(
    make_job: MakeJob, tables: dict[str, pa.Table]
) -> None:
    index = epoch_index(make_job(strong_share=1 / 3), 0, **tables)
    assert index.counts() == {"STRONG_MASS": 1, "STRONG_FREE": 3, "TP": 0, "FP": 0, "FN": 0}  # of 3 patients each, one


def test_an_outlined_weak_image_trains_like_an_annotated_one(
    make_job: MakeJob, tables: dict[str, pa.Table], tmp_path: Path
) -> None:
    outlined = tmp_path / "outlined.parquet"
    pq.write_table(pa.table({"image_key": [image_key("vL")], "mask_sha": ["mask-outlined"]}, schema=OUTLINED), outlined)
    without = epoch_index(make_job(), 0, **tables)
    index = epoch_index(make_job(outlined=str(outlined)), 0, **tables)
    assert len(index) == len(without) + 1
    row = place(index, "vL")
    assert (index.role[row], index.p_mass[row], index.mask_sha[row]) == (SampleRole.STRONG_MASS, 1.0, "mask-outlined")


def test_each_epoch_trains_on_the_pool_of_its_own_p0(
    make_job: MakeJob, tables: dict[str, pa.Table], tmp_path: Path
) -> None:
    first = write_pool(tmp_path / "1.arrow", {"uL": (Quadrant.TP, 0.97)})
    second = write_pool(
        tmp_path / "2.arrow", {"uL": (Quadrant.TP, 0.97), "vL": (Quadrant.FP, 0.1), "wL": (Quadrant.FN, 0.9)}
    )
    job = make_job(pools={1: EpochPool(file=first, p0=0.95), 2: EpochPool(file=second, p0=0.85)})
    epochs = [epoch_index(job, epoch, **tables) for epoch in range(3)]
    assert [num_weak(index) for index in epochs] == [0, 1, 3]
    assert [index.counts()["STRONG_MASS"] for index in epochs] == [3, 3, 3]
    last = epochs[2]
    roles = [SampleRole(last.role[place(last, name)]) for name in ("uL", "vL", "wL")]
    assert roles == [SampleRole.TP, SampleRole.FP, SampleRole.FN]
    assert last.mask_sha[place(last, "uL")] == ""


@pytest.mark.parametrize(
    ("loss", "p_mass", "masks"),
    [
        (LossConfig(), [0.97, 0.1], (b"map", False)),
        (LossConfig(mask_labels="hard", report_labels="hard", empty_masks=True), [1.0, 0.0], (b"mask", True)),
    ],
)
def test_the_losses_settings_choose_the_labels_of_the_pool(
    make_job: MakeJob,
    tables: dict[str, pa.Table],
    tmp_path: Path,
    loss: LossConfig,
    p_mass: list[float],
    masks: tuple[bytes, bool],
) -> None:
    """masks: what a TP's mask is read from, and whether an FP trains an empty one."""
    pool = write_pool(tmp_path / "1.arrow", {"uL": (Quadrant.TP, 0.97), "vL": (Quadrant.FP, 0.1)})
    job = make_job(loss=loss, pools={0: EpochPool(file=pool, p0=0.75)})
    index = epoch_index(job, 0, **tables)
    rows = [place(index, name) for name in ("uL", "vL")]
    assert index.p_mass[rows].tolist() == pytest.approx(p_mass)
    assert index.has_mask()[rows[0]]
    assert (index.map_png[rows[0]], bool(index.has_mask()[rows[1]])) == masks


def test_a_pool_with_a_strong_image_is_refused(make_job: MakeJob, tables: dict[str, pa.Table], tmp_path: Path) -> None:
    pool = write_pool(tmp_path / "1.arrow", {"aL": (Quadrant.TP, 0.97)})
    with pytest.raises(UserError, match="1 images are strong and mined at once"):
        epoch_index(make_job(pools={0: EpochPool(file=pool, p0=0.95)}), 0, **tables)


def test_an_epochs_batches_have_the_size_and_the_ratio_of_the_job(
    make_job: MakeJob, tables: dict[str, pa.Table]
) -> None:
    job = make_job()
    index = epoch_index(job, 0, **tables)
    batches = plan_epoch(job, index, 0).batches()
    assert batches.shape == (2, 6)  # 2 positives a batch show all 3 positives in 2 steps
    assert [int(np.isin(index.role[batch], POSITIVE).sum()) for batch in batches] == [2, 2]
    longer = make_job(train=TrainConfig(batch_size=6, negatives_per_positive=2, steps_per_epoch=7))
    assert plan_epoch(longer, index, 0).batches().shape == (7, 6)


def weak_members(num_tp: int = 0, *, num_fp: int = 0, num_fn: int = 0) -> dict[str, tuple[Quadrant, float]]:
    """Return members for a pool: of the weak patients' images, as many as wanted of each quadrant."""
    quadrants = [Quadrant.TP] * num_tp + [Quadrant.FP] * num_fp + [Quadrant.FN] * num_fn
    names = [f"{patient}{side}" for patient in "uvwx" for side in "LR"]
    return {
        name: (quadrant, 0.02 if quadrant is Quadrant.FP else 0.98)
        for name, quadrant in zip(names, quadrants, strict=False)
    }


LONG = TrainConfig(batch_size=12, negatives_per_positive=2, steps_per_epoch=200)  # 4 positives a batch


def places_in(job: TrainJob, tables: dict[str, pa.Table], epoch: int = 0) -> dict[str, float]:
    index = epoch_index(job, epoch, **tables)
    return mean_places(index, plan_epoch(job, index, epoch).batches())


def test_without_quotas_each_role_holds_as_many_places_as_it_has_samples(
    make_job: MakeJob, tables: dict[str, pa.Table], tmp_path: Path
) -> None:
    pool = write_pool(tmp_path / "1.arrow", weak_members(3, num_fp=3, num_fn=2))
    found = places_in(make_job(train=LONG, pools={0: EpochPool(file=pool, p0=0.95)}), tables)
    expected = {"STRONG_MASS": 4 * 3 / 8, "TP": 4 * 3 / 8, "FN": 4 * 2 / 8, "STRONG_FREE": 8 * 9 / 12, "FP": 8 * 3 / 12}
    assert found == pytest.approx(expected, abs=0.02)


def test_annotated_images_and_fn_hold_the_places_that_the_job_gives_them(
    make_job: MakeJob, tables: dict[str, pa.Table], tmp_path: Path
) -> None:
    pool = write_pool(tmp_path / "1.arrow", weak_members(3, num_fp=3, num_fn=2))
    quotas = {"strong_in_batch": StrongInBatch(positives=0.5, negatives=0.25), "fn_in_batch": 0.125}
    found = places_in(make_job(train=LONG, pools={0: EpochPool(file=pool, p0=0.95)}, **quotas), tables)
    assert found == {"STRONG_MASS": 2, "TP": pytest.approx(1.5, abs=0.01), "FN": pytest.approx(0.5, abs=0.01)} | {
        "STRONG_FREE": 2,
        "FP": 6,
    }


def test_a_quota_for_positives_leaves_the_negatives_drawn_together(
    make_job: MakeJob, tables: dict[str, pa.Table], tmp_path: Path
) -> None:
    pool = write_pool(tmp_path / "1.arrow", weak_members(3, num_fp=3, num_fn=2))
    quotas = {"strong_in_batch": StrongInBatch(positives=0.75)}
    found = places_in(make_job(train=LONG, pools={0: EpochPool(file=pool, p0=0.95)}, **quotas), tables)
    expected = {"STRONG_MASS": 3, "TP": 0.6, "FN": 0.4, "STRONG_FREE": 6, "FP": 2}
    assert found == pytest.approx(expected, abs=0.02)


def test_a_quota_of_0_leaves_fn_out_and_gives_their_places_to_the_other_positives(
    make_job: MakeJob, tables: dict[str, pa.Table], tmp_path: Path
) -> None:
    pool = write_pool(tmp_path / "1.arrow", weak_members(3, num_fn=5))
    found = places_in(make_job(train=LONG, pools={0: EpochPool(file=pool, p0=0.95)}, fn_in_batch=0.0), tables)
    assert (found["FN"], found["STRONG_MASS"], found["TP"]) == (0, 2, 2)


def test_an_epoch_whose_pool_lacks_a_role_gives_its_places_to_the_others(
    make_job: MakeJob, tables: dict[str, pa.Table], tmp_path: Path
) -> None:
    pool = write_pool(tmp_path / "1.arrow", weak_members(num_fp=2))
    quotas = {"strong_in_batch": StrongInBatch(positives=0.5, negatives=0.5), "fn_in_batch": 0.25}
    found = places_in(make_job(train=LONG, pools={0: EpochPool(file=pool, p0=0.95)}, **quotas), tables)
    assert found == {"STRONG_MASS": 4, "TP": 0, "FN": 0, "STRONG_FREE": 4, "FP": 4}


def test_quotas_are_of_epochs_with_a_pool_alone(make_job: MakeJob, tables: dict[str, pa.Table], tmp_path: Path) -> None:
    """Even a share of 0 leaves the annotated images of such an epoch where they are."""
    pools = {1: EpochPool(file=write_pool(tmp_path / "1.arrow", weak_members(3, num_fp=3)), p0=0.95)}
    plain = make_job(train=LONG, pools=pools)
    job = plain.changed(strong_in_batch=StrongInBatch(positives=0.0, negatives=0.0), fn_in_batch=0.0)
    index = epoch_index(job, 0, **tables)
    np.testing.assert_array_equal(plan_epoch(job, index, 0).batches(), plan_epoch(plain, index, 0).batches())
    assert places_in(job, tables, 0) == {"STRONG_MASS": 4, "STRONG_FREE": 8, "TP": 0, "FP": 0, "FN": 0}
    assert places_in(job, tables, 1) == {"STRONG_MASS": 0, "STRONG_FREE": 0, "TP": 4, "FP": 8, "FN": 0}


def test_disputed_fp_are_no_samples_where_the_job_leaves_them_out(
    make_job: MakeJob, tables: dict[str, pa.Table], tmp_path: Path
) -> None:
    file = write_pool(
        tmp_path / "1.arrow",
        {"uL": (Quadrant.TP, 0.97), "vL": (Quadrant.FP, 0.1), "wL": (Quadrant.FP, 0.1)},
        disputed=("vL",),
    )
    job = make_job(pools={0: EpochPool(file=file, p0=0.85)})
    taught, left_out = (
        epoch_index(job.changed(disputed=disputed), 0, **tables).image_key.tolist() for disputed in (True, False)
    )
    assert set(taught) - set(left_out) == {image_key("vL")}


def test_batches_follow_from_the_jobs_seed_and_the_epoch(make_job: MakeJob, tables: dict[str, pa.Table]) -> None:
    index = epoch_index(make_job(), 0, **tables)
    first, again, other_epoch, other_seed = (
        plan_epoch(make_job(seed=seed), index, epoch).batches() for seed, epoch in ((4, 0), (4, 0), (4, 1), (5, 0))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other_epoch)
    assert not np.array_equal(first, other_seed)
