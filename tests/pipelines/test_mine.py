"""Mining through its actor: pools and what moved, whatever is killed and whichever driver was replaced."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray

from actors.miner import Miner
from pipelines import mine
from pipelines.workers.infer_summary import summarise
from system.archive.tables import SCHEMAS
from system.errors import UserError
from system.mining import P0Schedule, QuadrantCounts, Shard, labels_since, read_pool, verdicts_of
from system.mining.columns_in import read_columns
from system.mining.journal import Superseded
from system.records import Quadrant, image_key
from system.run.results import InferResult, Pool, PoolsResult
from system.run.stage import Stage, Written
from system.schemas import PREDICTIONS

SIDES = ("L", "R")
VIEWS = ("CC", "MLO")


def make_images(num_studies: int, *, split: str = "weak") -> pa.Table:
    empty = dict.fromkeys(SCHEMAS["images"].names)
    rows = [
        empty
        | {
            "image_id": name,
            "image_key": image_key(name),
            "study_id": f"s{study}",
            "side": side,
            "view": view,
            "split": split,
        }
        for study in range(num_studies)
        for side in SIDES
        for view in VIEWS
        for name in [f"s{study}{side}{view}"]
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS["images"])


def make_labels(p_mass: Mapping[tuple[str, str], float | None]) -> pa.Table:
    rows = [{"study_id": study, "side": side, "p_mass": p, "model": "m"} for (study, side), p in p_mass.items()]
    return pa.Table.from_pylist(rows, schema=SCHEMAS["labels"])


def predictions_of(run: Path, name: str = "predictions") -> Stage[InferResult]:
    return Stage(run, name, InferResult)


def pools_of(run: Path, name: str = "pools") -> Stage[PoolsResult]:
    return Stage(run, name, PoolsResult)


def write_predictions(
    stage: Stage[InferResult],
    images: pa.Table,
    *,
    masked: set[str],
    failed: frozenset[str] = frozenset(),
    num_files: int = 2,
) -> None:
    rows = []
    for image in images.to_pylist():
        name = image["image_id"]
        png = name.encode() if name in masked else None
        row = {column: image[column] for column in ("image_key", "image_id", "study_id", "side", "view")}
        row |= {"score": 0.7, "mask_area_px": 9 if png else 0, "map_png": png, "mask_png": png}
        if name in failed:
            row |= {"score": None, "mask_area_px": None, "error": "truncated"}
        rows.append(dict.fromkeys(PREDICTIONS.names) | row)

    def write(attempt: Path) -> Written[InferResult]:
        files = [attempt / f"part_{number}.parquet" for number in range(num_files)]
        for number, path in enumerate(files):
            pq.write_table(pa.Table.from_pylist(rows[number::num_files], schema=PREDICTIONS), path)
        return Written(summarise(files, [], began_s=0, ended_s=0), files=files)

    stage.once(write)


def test_a_breasts_label_goes_to_both_its_views_and_failed_images_are_left_out(tmp_path: Path) -> None:
    images = make_images(2)
    stage = predictions_of(tmp_path)
    write_predictions(stage, images, masked={"s0LCC"}, failed=frozenset({"s0RCC", "s0RMLO"}), num_files=1)
    columns, num_errors = read_columns(
        stage.paths()[0], labels=make_labels({("s0", "L"): 0.99, ("s1", "R"): 0.02}), images=images
    )
    assert num_errors == 2
    assert columns.keys.tolist() == [
        image_key(name) for name in ("s0LCC", "s0LMLO", "s1LCC", "s1LMLO", "s1RCC", "s1RMLO")
    ]
    np.testing.assert_allclose(columns.p_mass, [0.99, 0.99, np.nan, np.nan, 0.02, 0.02])
    assert columns.has_mask.tolist() == [True, False, False, False, False, False]
    assert [array.dtype for array in columns.arrays()] == [np.int64, np.float32, np.float32, np.bool_]


def test_a_file_of_failures_only_gives_no_rows(tmp_path: Path) -> None:
    images = make_images(1)
    stage = predictions_of(tmp_path)
    write_predictions(stage, images, masked=set(), failed=frozenset(images.column("image_id").to_pylist()), num_files=1)
    columns, num_errors = read_columns(stage.paths()[0], labels=make_labels({}), images=images)
    assert (len(columns), num_errors) == (0, 4)
    assert columns.keys.dtype == np.int64


@pytest.mark.parametrize("split", ["validation", "test"])
def test_an_image_held_out_must_not_train(tmp_path: Path, split: str) -> None:
    stage = predictions_of(tmp_path)
    write_predictions(stage, make_images(1), masked=set(), num_files=1)
    with pytest.raises(UserError, match="4 predicted images are held out for validation or test and must not train"):
        read_columns(stage.paths()[0], labels=make_labels({}), images=make_images(1, split=split))


def test_an_image_unknown_to_the_archive_is_refused(tmp_path: Path) -> None:
    stage = predictions_of(tmp_path)
    write_predictions(stage, make_images(2), masked=set(), num_files=1)
    with pytest.raises(UserError, match="4 predicted images are not in the archive's version of this run"):
        read_columns(stage.paths()[0], labels=make_labels({}), images=make_images(1))


def test_a_breast_labelled_twice_is_refused(tmp_path: Path) -> None:
    images = make_images(1)
    stage = predictions_of(tmp_path)
    write_predictions(stage, images, masked=set(), num_files=1)
    labels = pa.concat_tables([make_labels({("s0", "L"): 0.9}), make_labels({("s0", "L"): 0.1})])
    with pytest.raises(UserError, match="labels name 1 breasts twice"):
        read_columns(stage.paths()[0], labels=labels, images=images)


LABELS = {("s0", "L"): 0.99, ("s0", "R"): 0.01, ("s1", "L"): 0.90, ("s1", "R"): 0.60}  # s2 has no report


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_two_rounds_write_their_pools_and_what_moved(tmp_path: Path) -> None:
    images = make_images(3)
    truth = pa.table(
        {"image_key": images["image_key"], "has_mass": [name == "s0LCC" for name in images["image_id"].to_pylist()]}
    )
    results = []
    for number, masked in [(1, {"s0LCC", "s0RCC", "s1LMLO"}), (2, {"s0LCC", "s0LMLO"})]:
        predictions = predictions_of(tmp_path, f"round_{number:02d}/predictions")
        write_predictions(predictions, images, masked=masked, failed=frozenset({"s1RCC", "s1RMLO"}))
        stage = pools_of(tmp_path, f"round_{number:02d}/pools")
        result = mine.run(
            predictions,
            mine.Inputs(labels=make_labels(LABELS), images=images, truth=truth),
            p0=P0Schedule().values(10),
            round_number=number,
            stage=stage,
        )
        manifest = stage.manifest()
        assert manifest is not None
        assert manifest.files == ("outlined.parquet", "pool_step_1.arrow", "pool_step_2.arrow")
        assert (result.round, result.num_images, result.num_errors, result.num_unlabelled) == (number, 10, 2, 4)
        assert [(pool.step, pool.p0, pool.file) for pool in result.pools] == [
            (1, 0.95, "pool_step_1.arrow"),
            (2, 0.85, "pool_step_2.arrow"),
        ]
        results.append(stage.result())  # as it is read back

    first, second = results
    assert [pool.counts for pool in first.pools] == [
        QuadrantCounts(unused=6, tp=1, fp=1, fn=1, tn=1),
        QuadrantCounts(unused=4, tp=2, fp=1, fn=2, tn=1),
    ]
    assert [pool.moved for pool in first.pools] == [{}, {}]
    assert [pool.moved for pool in second.pools] == [
        {"FN>TP": 1, "FP>TN": 1},
        {"FN>TP": 1, "FP>TN": 1, "TP>FN": 1},
    ]
    assert [pool.reasons for pool in second.pools] == [{"map": 2}, {"map": 3}]
    assert purity_of(second.pools[0]) == {
        "TP": (2, 0.5),
        "FP": (0, pytest.approx(float("nan"), nan_ok=True)),
        "FN": (0, pytest.approx(float("nan"), nan_ok=True)),
        "FP disputed": (0, pytest.approx(float("nan"), nan_ok=True)),
    }
    stage = pools_of(tmp_path, "round_01/pools")
    pool = read_pool(stage.path("pool_step_2.arrow")).to_pandas().set_index("image_id")
    assert pool["map_png"].dropna().to_dict() == {"s0LCC": b"s0LCC", "s1LMLO": b"s1LMLO"}


def purity_of(pool: Pool) -> dict[str, tuple[int, float]]:
    return {found.quadrant: (found.num_known, found.share) for found in pool.purity}


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_a_withdrawn_report_and_a_radiologists_verdict_change_the_pools_of_the_round_in_which_they_come(
    tmp_path: Path,
) -> None:
    images, predictions = make_images(2), predictions_of(tmp_path)
    write_predictions(predictions, images, masked={"s0LCC", "s0LMLO"})
    before, now = (make_labels(LABELS | {("s0", "L"): p_mass}) for p_mass in (0.99, None))
    verdict = dict.fromkeys(SCHEMAS["verdicts"].names, "") | {
        "image_id": "s0LCC",
        "verdict": "mass",
        "at": "2026-01-01T00:00:00Z",
    }
    verdicts = pa.Table.from_pylist([verdict], schema=SCHEMAS["verdicts"])
    updates = [labels_since(before, now, images, round_number=1), verdicts_of(verdicts, images, round_number=1)]
    stage = pools_of(tmp_path)
    result = mine.run(
        predictions,
        mine.Inputs(labels=before, images=images, updates=updates),
        p0=P0Schedule().values(1),
        round_number=1,
        stage=stage,
    )
    assert result.num_updates == {"label": 2, "verdict": 1}
    pool = read_pool(stage.path("pool_step_1.arrow")).to_pandas().set_index("image_id")
    assert "s0LMLO" not in pool.index
    assert (pool.loc["s0LCC", "p_mass"], pool.loc["s0LCC", "quadrant"]) == (1.0, Quadrant.TP)


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_a_miner_killed_between_shards_gives_the_pools_of_an_undisturbed_one(tmp_path: Path) -> None:
    images = make_images(6)
    predictions = predictions_of(tmp_path)
    masked = set(images.column("image_id").to_pylist()[::3])
    write_predictions(predictions, images, masked=masked, num_files=6)
    labels = make_labels(
        {
            (f"s{study}", side): 0.99 if (study + place) % 2 else 0.01
            for study in range(6)
            for place, side in enumerate(SIDES)
        }
    )
    shards = [
        Shard(1, number, 1, str(path.relative_to(tmp_path)), read_columns(path, labels=labels, images=images)[0])
        for number, path in enumerate(predictions.paths())
    ]
    clean = Miner(str(tmp_path / "clean"))
    driver = clean.claim()
    for shard in shards:
        clean.offer(shard, driver=driver)

    with mine.miner_of(tmp_path) as (miner, driver):
        for number, shard in enumerate(shards):
            assert ray.get(miner.offer.remote(shard, driver=driver))
            if number in (1, 3):
                ray.kill(miner, no_restart=False)
        repeated = ray.get([miner.offer.remote(shard, driver=driver) for shard in shards])
        counts, pool = ray.get([miner.counts.remote(0.95), miner.pool.remote(0.95)], timeout=120)

    assert not any(repeated)
    assert counts == clean.counts(0.95)
    assert Path(pool).name == Path(clean.pool(0.95)).name
    assert read_pool(Path(pool)).equals(read_pool(Path(clean.pool(0.95))))
    assert len(list((tmp_path / "miner" / "journal").iterdir())) == len(shards) + 1  # and the driver's claim


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_a_driver_that_was_replaced_is_refused_and_leaves_the_miner_to_the_other(tmp_path: Path) -> None:
    images = make_images(2)
    stage = predictions_of(tmp_path)
    write_predictions(stage, images, masked=set(), num_files=1)
    (path,) = stage.paths()
    columns, _ = read_columns(path, labels=make_labels({}), images=images)
    shard = Shard(1, 0, 1, str(path.relative_to(tmp_path)), columns)
    with mine.miner_of(tmp_path) as (miner, _):
        with pytest.raises(Superseded, match="driver 2 of this run was replaced by driver 3"):
            go_on_when_replaced(tmp_path, shard)
        assert ray.get(miner.offer.remote(shard, driver=3))


def go_on_when_replaced(run: Path, shard: Shard) -> None:
    """Claim a run, lose it to another driver, and go on."""
    with mine.miner_of(run) as (miner, driver):
        ray.get(miner.claim.remote())
        ray.get(miner.offer.remote(shard, driver=driver))
