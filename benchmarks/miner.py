"""The miner at scale: rows offered per second, memory per row, and the time of a pool's snapshot.

python benchmarks/miner.py                          ten million rows on one core, a few minutes, 3 GB of disk
python benchmarks/miner.py --rows 1000000 --members 100000

One Miner as the actor runs it, called in this process: what Ray adds is one message per shard. Predictions are real
files with a map and a mask for every image that has one. At p0 0.95 there are `--members` images in the pool, at 0.75
three times as many.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from actors.miner import Miner
from system.mining import Columns, Shard, read_pool
from system.schemas import PREDICTIONS

ROWS_PER_SHARD = 100_000
P0 = (0.95, 0.85, 0.75)
PNG = bytes(range(256)) * 4  # a map of a small mass takes about a kilobyte
MASKED = 0.1  # share of the images
MIB = 1024**2


def main() -> None:
    """Print the figures beside their targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--members", type=int, default=1_000_000, help="of the pool at p0 0.95")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        run = Path(text)
        miner, before = Miner(str(run / "miner")), resident_bytes()
        driver, offered_s = miner.claim(), 0.0
        # The last one stays in memory: nothing beside ten millions.
        for shard in shards(run, rows=args.rows, members=args.members):
            start = time.perf_counter()
            miner.offer(shard, driver=driver)
            offered_s += time.perf_counter() - start
        held = resident_bytes() - before
        print(f"offered: {args.rows} rows in {offered_s:.1f} s, {args.rows / offered_s / 1e6:.2f} M rows/s (target 1)")
        print(f"resident: {held / MIB:.0f} MiB more than before, {held / args.rows:.1f} bytes a row (target 40)")
        print(
            f"so 100 M rows: {100e6 * held / args.rows / 1024**3:.1f} GiB, "
            f"offered in {100e6 / args.rows * offered_s:.0f} s"
        )
        for p0 in P0:
            start = time.perf_counter()
            counts = miner.counts(p0)
            counted_s = time.perf_counter() - start
            path = Path(miner.pool(p0))
            took_s = time.perf_counter() - start - counted_s
            members = len(read_pool(path))
            print(
                f"p0 {p0}: {members} members, snapshot {took_s:.1f} s, "
                f"{took_s / members * 1e6:.1f} s a million (target 5), {path.stat().st_size / MIB:.0f} MiB; "
                f"counts {counted_s:.2f} s, TP {counts.tp}"
            )
        start = time.perf_counter()
        Miner(str(run / "miner"))
        print(f"a restarted miner is ready after {time.perf_counter() - start:.1f} s")
        print(f"highest memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def shards(run: Path, *, rows: int, members: int) -> Iterator[Shard]:
    """Write files of predictions and give their messages."""
    sure = members / rows
    (run / "predictions").mkdir()
    for number in range(-(-rows // ROWS_PER_SHARD)):
        rng = np.random.default_rng(number)
        count = min(ROWS_PER_SHARD, rows - number * ROWS_PER_SHARD)
        keys = rng.integers(-(2**63), 2**63, count, dtype=np.int64)
        p_mass = rng.uniform(0.26, 0.74, count).astype(np.float32)
        draw = rng.random(count)
        p_mass[draw < 3 * sure] = 0.8
        p_mass[draw < 2 * sure] = 0.9
        p_mass[draw < sure] = 0.99
        has_mask = rng.random(count) < MASKED
        path = run / "predictions" / f"part_{number:06d}.parquet"
        write_predictions(path, keys, has_mask)
        columns = Columns(keys, p_mass, rng.random(count, dtype=np.float32), has_mask)
        yield Shard(1, number, 1, str(path.relative_to(run)), columns)


def write_predictions(path: Path, keys: np.ndarray, has_mask: np.ndarray) -> None:
    """Write what infer writes, as far as a snapshot reads it."""
    png = pa.array([PNG if masked else None for masked in has_mask], pa.binary())
    columns = {name: pa.nulls(len(keys), PREDICTIONS.field(name).type) for name in PREDICTIONS.names}
    columns |= {
        "image_key": pa.array(keys),
        "image_id": pa.array([f"{key & 0xFFFFFFFFFFFFFFFF:024x}" for key in keys.tolist()]),
    }
    pq.write_table(pa.table(columns | {"map_png": png, "mask_png": png}, schema=PREDICTIONS), path)


def resident_bytes() -> int:
    """Return the memory of this process that is not shared with files."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1])


if __name__ == "__main__":
    main()
