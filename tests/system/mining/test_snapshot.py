from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from system.mining.label_updates import LabelUpdate, UpdateSource
from system.mining.pools import Columns, Pools, Shard
from system.mining.snapshot import read_pool, write_pool
from system.records import Quadrant
from system.schemas import POOL, PREDICTIONS

ROWS = [  # key, y, has_mask
    [(7, 0.99, True), (3, 0.01, True), (5, 0.99, False), (9, 0.01, False)],
    [(2, 0.90, True), (4, 0.99, True)],
]


def write_predictions(run: Path, name: str, rows: list[tuple[int, float, bool]], *, with_map: bool = True) -> str:
    def png(kind: str, key: int, mask: bool) -> bytes | None:
        return f"{kind} {key}".encode() if mask and with_map else None

    facts = [
        {"image_key": key, "image_id": f"id{key}", "map_png": png("map", key, mask), "mask_png": png("mask", key, mask)}
        for key, _, mask in rows
    ]
    table = pa.Table.from_pylist([dict.fromkeys(PREDICTIONS.names) | fact for fact in facts], schema=PREDICTIONS)
    (run / "predictions").mkdir(parents=True, exist_ok=True)
    pq.write_table(table, run / "predictions" / name)
    return f"predictions/{name}"


def offered(run: Path, *, with_map: bool = True) -> Pools:
    pools = Pools()
    for number, rows in enumerate(ROWS):
        source = write_predictions(run, f"part_{number}.parquet", rows, with_map=with_map)
        keys = np.array([row[0] for row in rows], np.int64)
        y = np.array([row[1] for row in rows], np.float32)
        pools.accept(
            Shard(1, number, 1, source, Columns(keys, y, y * np.float32(0.5), np.array([row[2] for row in rows], bool)))
        )
    return pools


def offer(run: Path, members: list[list[tuple[int, float, float]]]) -> Pools:
    """Offer images with a mask, by shard: key, p_mass, score."""
    pools = Pools()
    for number, rows in enumerate(members):
        source = write_predictions(run, f"part_{number}.parquet", [(key, p_mass, True) for key, p_mass, _ in rows])
        keys = np.array([row[0] for row in rows], np.int64)
        p_mass, score = (np.array([row[place] for row in rows], np.float32) for place in (1, 2))
        pools.accept(Shard(1, number, 1, source, Columns(keys, p_mass, score, np.ones(len(rows), bool))))
    return pools


def test_the_pool_holds_its_members_and_the_maps_of_tp_only(tmp_path: Path) -> None:
    table = read_pool(write_pool(offered(tmp_path), tmp_path / "pools", run=tmp_path, p0=0.95))
    assert table.schema == POOL
    assert table.to_pydict() == {
        "image_key": [3, 5, 7, 4],
        "image_id": ["id3", "id5", "id7", "id4"],
        "quadrant": [Quadrant.FP, Quadrant.FN, Quadrant.TP, Quadrant.TP],
        "p_mass": pytest.approx([0.01, 0.99, 0.99, 0.99]),
        "score": pytest.approx([0.005, 0.495, 0.495, 0.495]),
        "disputed": [False, False, False, False],
        "map_png": [None, None, b"map 7", b"map 4"],
        "mask_png": [None, None, b"mask 7", b"mask 4"],
    }


def test_an_fp_whose_map_is_surer_than_half_of_tp_is_marked_in_the_pool(tmp_path: Path) -> None:
    """Of several shards: TP score .3 and .5, FP .39 and .41, the last in a shard without TP."""
    members = [[(7, 0.99, 0.3), (3, 0.01, 0.39)], [(4, 0.99, 0.5)], [(8, 0.01, 0.41)]]
    pools = offer(tmp_path, members)
    table = read_pool(write_pool(pools, tmp_path / "pools", run=tmp_path, p0=0.95))
    marks = dict(zip(table["image_key"].to_pylist(), table["disputed"].to_pylist(), strict=True))
    assert marks == {3: False, 7: False, 4: False, 8: True}


def test_a_verdict_that_agrees_with_the_report_makes_another_pool(tmp_path: Path) -> None:
    """The report says 0 as the radiologist does, so that nothing but the mark changes."""
    pools = offer(tmp_path, [[(7, 0.99, 0.3), (3, 0.0, 0.9)]])
    before = write_pool(pools, tmp_path / "pools", run=tmp_path, p0=0.95)
    verdict = LabelUpdate(
        UpdateSource.VERDICT, 1, np.array([3]), np.zeros(1, np.float32), np.array([1]), np.array([False])
    )
    assert pools.update_labels(verdict)
    after = write_pool(pools, tmp_path / "pools", run=tmp_path, p0=0.95)
    assert [read_pool(path)["disputed"].to_pylist() for path in (before, after)] == [[True, False], [False, False]]


def test_the_pool_grows_as_p0_falls(tmp_path: Path) -> None:
    table = read_pool(write_pool(offered(tmp_path), tmp_path / "pools", run=tmp_path, p0=0.85))
    assert table.column("image_key").to_pylist() == [3, 5, 7, 2, 4]


def test_the_same_pool_has_the_same_name_and_is_written_once(tmp_path: Path) -> None:
    pools = offered(tmp_path)
    first = write_pool(pools, tmp_path / "pools", run=tmp_path, p0=0.95)
    written_at = first.stat().st_mtime_ns
    again = write_pool(pools, tmp_path / "pools", run=tmp_path, p0=0.95)
    assert (again, again.stat().st_mtime_ns) == (first, written_at)
    other = write_pool(pools, tmp_path / "pools", run=tmp_path, p0=0.85)
    assert sorted(path.name for path in (tmp_path / "pools").iterdir()) == sorted([first.name, other.name])


def test_a_pool_without_members_is_an_empty_table(tmp_path: Path) -> None:
    pools = Pools()
    pools.accept(
        Shard(
            1,
            0,
            1,
            "nowhere.parquet",
            Columns(np.array([1]), np.full(1, 0.5, np.float32), np.zeros(1, np.float32), np.array([True])),
        )
    )
    table = read_pool(write_pool(pools, tmp_path, run=tmp_path, p0=0.95))
    assert table.num_rows == 0
    assert table.schema == POOL


def test_a_mask_without_its_map_is_refused_and_leaves_no_pool(tmp_path: Path) -> None:
    pools = offered(tmp_path, with_map=False)
    with pytest.raises(ValueError, match=r"part_0.parquet lacks 2 maps or masks of images with a mask"):
        write_pool(pools, tmp_path / "pools", run=tmp_path, p0=0.95)
    assert not list((tmp_path / "pools").glob("*.arrow"))


def test_predictions_that_changed_under_the_miner_are_noticed(tmp_path: Path) -> None:
    pools = offered(tmp_path)
    write_predictions(tmp_path, "part_1.parquet", [(2, 0.9, True)])
    with pytest.raises(ValueError, match=r"part_1.parquet no longer holds the images it was mined with"):
        write_pool(pools, tmp_path / "pools", run=tmp_path, p0=0.95)
