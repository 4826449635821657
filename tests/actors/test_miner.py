from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from actors.miner import Miner
from system.archive.tables import PREDICTIONS
from system.mining import Columns, Shard, read_pool


def shard(run: Path, number: int, *, round_number: int = 1, num_rows: int = 20) -> Shard:
    """A shard and the predictions file it was read from."""
    rng = np.random.default_rng([number, round_number])
    keys = np.arange(num_rows, dtype=np.int64) + 1000 * number
    has_mask = rng.random(num_rows) < 0.5
    pngs = [b"png %d" % key if masked else None for key, masked in zip(keys, has_mask, strict=True)]
    facts = [{"image_key": int(key), "image_id": f"id{key}", "map_png": png, "mask_png": png} for key, png in zip(keys, pngs, strict=True)]
    source = f"round_{round_number:02d}/part_{number}.parquet"
    (run / source).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([dict.fromkeys(PREDICTIONS.names) | fact for fact in facts], schema=PREDICTIONS), run / source)
    y, score = rng.random(num_rows).astype(np.float32), rng.random(num_rows).astype(np.float32)
    return Shard(round_number, number, 1, source, Columns(keys, y, score, has_mask))


def test_it_answers_for_what_it_was_offered(tmp_path: Path) -> None:
    miner = Miner(str(tmp_path / "miner"))
    assert [miner.offer(shard(tmp_path, number)) for number in (0, 1, 0)] == [True, True, False]
    counts = miner.counts(0.75)
    assert sum(counts.values()) == 40
    assert read_pool(Path(miner.pool(0.75))).num_rows == counts["TP"] + counts["FP"] + counts["FN"]


def test_a_restarted_miner_answers_as_the_lost_one(tmp_path: Path) -> None:
    first = Miner(str(tmp_path / "miner"))
    for round_number in (1, 2):
        for number in range(3):
            first.offer(shard(tmp_path, number, round_number=round_number))
    second = Miner(str(tmp_path / "miner"))
    assert second.counts(0.85) == first.counts(0.85)
    assert second.pool(0.85) == first.pool(0.85)
    assert second.moved(0.75).counts() == first.moved(0.75).counts() != {}
    assert not second.offer(shard(tmp_path, 2, round_number=2))


def test_a_shard_refused_leaves_no_trace_in_the_journal(tmp_path: Path) -> None:
    miner = Miner(str(tmp_path / "miner"))
    good = shard(tmp_path, 0)
    miner.offer(good)
    with pytest.raises(ValueError, match="other content"):
        miner.offer(Shard(1, 0, 1, "elsewhere.parquet", good.columns))
    assert Miner(str(tmp_path / "miner")).counts(0.75) == miner.counts(0.75)


def test_a_run_may_be_moved_with_its_miner(tmp_path: Path) -> None:
    old = Miner(str(tmp_path / "old" / "miner"))
    old.offer(shard(tmp_path / "old", 0))
    (tmp_path / "old").rename(tmp_path / "new")
    assert read_pool(Path(Miner(str(tmp_path / "new" / "miner")).pool(0.75))).num_rows > 0


def test_a_journal_that_is_no_folder_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a folder that every node sees, got s3://bucket/run/miner"):
        Miner("s3://bucket/run/miner")
