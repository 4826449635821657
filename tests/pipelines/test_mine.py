from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray

from actors.miner import Miner
from pipelines import mine
from system.archive.tables import SCHEMAS
from system.schemas import PREDICTIONS
from system.mining import P0Schedule, Shard, labels_since, read_pool, verdicts_of
from system.mining.journal import Superseded
from system.records import Quadrant, image_key
from system.run.stage import Stage

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


def write_predictions(
    stage: Stage, images: pa.Table, *, masked: set[str], failed: frozenset[str] = frozenset(), num_files: int = 2
) -> None:
    facts = []
    for image in images.to_pylist():
        name = image["image_id"]
        png = name.encode() if name in masked else None
        fact = {column: image[column] for column in ("image_key", "image_id", "study_id", "side", "view")}
        fact |= {"score": 0.7, "mask_area_px": 9 if png else 0, "map_png": png, "mask_png": png}
        if name in failed:
            fact |= {"score": None, "mask_area_px": None, "error": "truncated"}
        facts.append(dict.fromkeys(PREDICTIONS.names) | fact)

    def write(attempt: Path) -> tuple[list[Path], dict]:
        files = []
        for number in range(num_files):
            files.append(attempt / f"part_{number}.parquet")
            pq.write_table(pa.Table.from_pylist(facts[number::num_files], schema=PREDICTIONS), files[-1])
        return files, {"rows": len(facts)}

    stage.once(write)


def test_a_breasts_label_goes_to_both_its_views_and_failed_images_are_left_out(tmp_path: Path) -> None:
    images = make_images(2)
    stage = Stage(tmp_path, "round_01/predictions")
    write_predictions(stage, images, masked={"s0LCC"}, failed=frozenset({"s0RCC", "s0RMLO"}), num_files=1)
    columns, num_errors = mine.read_columns(
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
    stage = Stage(tmp_path, "predictions")
    write_predictions(stage, images, masked=set(), failed=frozenset(images.column("image_id").to_pylist()), num_files=1)
    columns, num_errors = mine.read_columns(stage.paths()[0], labels=make_labels({}), images=images)
    assert (len(columns), num_errors) == (0, 4)
    assert columns.keys.dtype == np.int64


@pytest.mark.parametrize("split", ["validation", "test"])
def test_an_image_held_out_must_not_teach(tmp_path: Path, split: str) -> None:
    stage = Stage(tmp_path, "predictions")
    write_predictions(stage, make_images(1), masked=set(), num_files=1)
    with pytest.raises(ValueError, match="4 predicted images are held out for validation or test and must not teach"):
        mine.read_columns(stage.paths()[0], labels=make_labels({}), images=make_images(1, split=split))


def test_an_image_unknown_to_the_archive_is_refused(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "predictions")
    write_predictions(stage, make_images(2), masked=set(), num_files=1)
    with pytest.raises(ValueError, match="4 predicted images are not in the archive's version of this run"):
        mine.read_columns(stage.paths()[0], labels=make_labels({}), images=make_images(1))


def test_a_breast_labelled_twice_is_refused(tmp_path: Path) -> None:
    images = make_images(1)
    stage = Stage(tmp_path, "predictions")
    write_predictions(stage, images, masked=set(), num_files=1)
    labels = pa.concat_tables([make_labels({("s0", "L"): 0.9}), make_labels({("s0", "L"): 0.1})])
    with pytest.raises(ValueError, match="labels name 1 breasts twice"):
        mine.read_columns(stage.paths()[0], labels=labels, images=images)


LABELS = {("s0", "L"): 0.99, ("s0", "R"): 0.01, ("s1", "L"): 0.90, ("s1", "R"): 0.60}  # s2 has no report


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_two_rounds_write_their_pools_and_say_what_moved(tmp_path: Path) -> None:
    images, schedule = make_images(3), P0Schedule()
    truth = pa.table(
        {"image_key": images["image_key"], "has_mass": [name == "s0LCC" for name in images["image_id"].to_pylist()]}
    )
    for number, masked in [(1, {"s0LCC", "s0RCC", "s1LMLO"}), (2, {"s0LCC", "s0LMLO"})]:
        predictions = Stage(tmp_path, f"round_{number:02d}/predictions")
        write_predictions(predictions, images, masked=masked, failed=frozenset({"s1RCC", "s1RMLO"}))
        manifest = mine.run(
            predictions,
            labels=make_labels(LABELS),
            images=images,
            schedule=schedule,
            num_epochs=10,
            stage=Stage(tmp_path, f"round_{number:02d}/pools"),
            round=number,
            truth=truth,
        )
        assert manifest.files == ["outlined.parquet", "pool_p0_0.85.arrow", "pool_p0_0.95.arrow"]
        assert (manifest.rows, manifest.metrics["errors"], manifest.metrics["unlabelled"]) == (10, 2, 4)

    first, second = (Stage(tmp_path, f"round_{number:02d}/pools").manifest() for number in (1, 2))
    assert first is not None
    assert second is not None
    assert first.metrics["counts"] == {
        "0.95": {"UNUSED": 6, "TP": 1, "FP": 1, "FN": 1, "TN": 1},
        "0.85": {"UNUSED": 4, "TP": 2, "FP": 1, "FN": 2, "TN": 1},
    }
    assert first.metrics["moved"] == {"0.95": {}, "0.85": {}}
    assert second.metrics["moved"] == {"0.95": {"FN>TP": 1, "FP>TN": 1}, "0.85": {"FN>TP": 1, "FP>TN": 1, "TP>FN": 1}}
    assert second.metrics["reasons"] == {"0.95": {"map": 2}, "0.85": {"map": 3}}
    assert second.metrics["purity"]["0.95"] == {
        "TP": {"share": 0.5, "known": 2},
        "FP": {"share": None, "known": 0},
        "FN": {"share": None, "known": 0},
    }
    pool = read_pool(Stage(tmp_path, "round_01/pools").path("pool_p0_0.85.arrow")).to_pandas().set_index("image_id")
    assert pool["map_png"].dropna().to_dict() == {"s0LCC": b"s0LCC", "s1LMLO": b"s1LMLO"}


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_a_withdrawn_report_and_a_readers_verdict_change_the_pools_of_the_round_in_which_they_come(
    tmp_path: Path,
) -> None:
    images, predictions = make_images(2), Stage(tmp_path, "predictions")
    write_predictions(predictions, images, masked={"s0LCC", "s0LMLO"})
    before, now = (make_labels(LABELS | {("s0", "L"): y}) for y in (0.99, None))
    said = dict.fromkeys(SCHEMAS["verdicts"].names, "") | {
        "image_id": "s0LCC",
        "verdict": "mass",
        "at": "2026-01-01T00:00:00Z",
    }
    verdicts = pa.Table.from_pylist([said], schema=SCHEMAS["verdicts"])
    later = [labels_since(before, now, images, round_number=1), verdicts_of(verdicts, images, round_number=1)]
    stage = Stage(tmp_path, "pools")
    manifest = mine.run(
        predictions,
        labels=before,
        images=images,
        schedule=P0Schedule(),
        num_epochs=1,
        stage=stage,
        round=1,
        later=later,
    )
    assert (manifest.metrics["later_labels"], manifest.metrics["later_verdicts"]) == (2, 1)
    pool = read_pool(stage.path("pool_p0_0.95.arrow")).to_pandas().set_index("image_id")
    assert "s0LMLO" not in pool.index
    assert (pool.loc["s0LCC", "p_mass"], pool.loc["s0LCC", "quadrant"]) == (1.0, Quadrant.TP)


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_a_miner_killed_between_shards_gives_the_pools_of_an_undisturbed_one(tmp_path: Path) -> None:
    images = make_images(6)
    predictions = Stage(tmp_path, "predictions")
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
        Shard(1, number, 1, str(path.relative_to(tmp_path)), mine.read_columns(path, labels=labels, images=images)[0])
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
    write_predictions(Stage(tmp_path, "predictions"), images, masked=set(), num_files=1)
    (path,) = Stage(tmp_path, "predictions").paths()
    columns, _ = mine.read_columns(path, labels=make_labels({}), images=images)
    shard = Shard(1, 0, 1, str(path.relative_to(tmp_path)), columns)
    with mine.miner_of(tmp_path) as (miner, _):
        with pytest.raises(Superseded, match="driver 2 of this run was replaced by driver 3"):
            speak_when_replaced(tmp_path, shard)
        assert ray.get(miner.offer.remote(shard, driver=3))


def speak_when_replaced(run: Path, shard: Shard) -> None:
    """Claim a run, lose it to another driver, and go on."""
    with mine.miner_of(run) as (miner, driver):
        ray.get(miner.claim.remote())
        ray.get(miner.offer.remote(shard, driver=driver))
