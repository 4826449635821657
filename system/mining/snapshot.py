"""Write a pool as one Arrow IPC file that trainers map into memory; the images of TP carry their map and mask."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from system.errors import UserError
from system.files.atomic import replacing
from system.files.parquet import read_table
from system.mining.pools import LATEST, POOLED, Columns, Pools
from system.records import P0, Quadrant
from system.schemas import POOL

_FROM_PREDICTIONS = ["image_key", "image_id", "map_png", "mask_png"]


def write_pool(pools: Pools, folder: Path, *, run: Path, p0: P0, round_number: int = LATEST) -> Path:
    """Write the pool of a round at p0 into the folder and return its file.

    The same pool has the same name and is written once. The file has one record batch per predictions file, rows by
    rising key.

    run: the folder that the predictions files are relative to

    Raises ValueError where a map or mask of an image with a mask was not kept, UserError where a predictions file was
    changed since it was mined.
    """
    number = pools.newest(round_number)
    members = dict(_members(pools, p0=p0, round_number=number))
    files = pools.predictions_files(number)
    marks = pools.disputed(list(members.values()), round_number=number) if members else []
    path = folder / f"round_{number:02d}_{_digest(members, marks, files)}.arrow"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        tables = (
            _table(columns, quadrant, disputed, run / files[shard])
            for (shard, (columns, quadrant)), disputed in zip(members.items(), marks, strict=True)
        )
        with replacing(path) as partial, pa.OSFile(str(partial), "wb") as file:
            _write(file, tables)
    return path


def _members(pools: Pools, *, p0: P0, round_number: int) -> Iterator[tuple[int, tuple[Columns, NDArray[np.uint8]]]]:
    """Give each shard's members of the pool by rising key, and their quadrants; shards without any are left out."""
    for shard, columns in pools.parts(round_number):
        quadrant = columns.quadrants(p0=p0)
        used = np.flatnonzero(np.isin(quadrant, POOLED))
        used = used[np.argsort(columns.keys[used])]
        if used.size:
            yield shard, (columns.take(used), quadrant[used])


def read_pool(path: Path) -> pa.Table:
    """Return a pool of schema POOL, mapped into memory: bytes are read when they are used."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _write(file: pa.OSFile, tables: Iterator[pa.Table]) -> None:
    with pa.ipc.new_file(file, POOL) as writer:
        for table in tables:
            writer.write_table(table.combine_chunks())


def _table(columns: Columns, quadrant: NDArray[np.uint8], disputed: NDArray[np.bool_], predictions: Path) -> pa.Table:
    found = read_table(predictions, columns=_FROM_PREDICTIONS)
    places = _positions(columns.keys, found.column("image_key").to_numpy(), file_name=predictions.name)
    with_map = quadrant == Quadrant.TP
    pngs = [found.column(name).take(pa.array(places, mask=~with_map)) for name in ("map_png", "mask_png")]
    without = sum(int(with_map.sum()) - (len(png) - png.null_count) for png in pngs)
    if without:
        raise ValueError(
            f"{predictions.name} lacks {without} maps or masks of images with a mask: "
            "the inference was not one for mining, so begin a new run"
        )
    arrays = [
        pa.array(columns.keys),
        found.column("image_id").take(pa.array(places)),
        pa.array(quadrant),
        pa.array(columns.p_mass),
        pa.array(columns.score),
        pa.array(disputed),
        *pngs,
    ]
    return pa.Table.from_arrays(arrays, schema=POOL)


def _positions(keys: NDArray[np.int64], within: NDArray[np.int64], *, file_name: str) -> NDArray[np.int64]:
    order = np.argsort(within)
    places = np.searchsorted(within, keys, sorter=order)
    positions = order[np.minimum(places, len(order) - 1)] if len(order) else np.zeros(0, np.int64)
    if len(positions) != len(keys) or np.any(within[positions] != keys):
        raise UserError(
            f"{file_name} no longer holds the images it was mined with: remove the run's miner folder and mine again"
        )
    return positions


def _digest(
    members: Mapping[int, tuple[Columns, NDArray[np.uint8]]],
    marks: Sequence[NDArray[np.bool_]],
    files: Mapping[int, str],
) -> str:
    digest = xxhash.xxh3_64(repr(sorted(files.items())).encode())
    for (shard, (columns, quadrant)), disputed in zip(members.items(), marks, strict=True):
        digest.update(shard.to_bytes(4))
        for array in (*columns.arrays(), quadrant, disputed):
            digest.update(array.tobytes())
    return digest.hexdigest()
