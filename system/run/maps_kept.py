"""Which images need not be inferred again: the same model has looked at the same pixels of both breasts before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from system.files.parquet import read_table, write_table
from system.run.stage import link_or_copy

_PIXELS = ["image_key", "pixel_sha", "other_sha"]


@dataclass(frozen=True)
class Kept:
    """Rows of an earlier inference that stand for images wanted now."""

    file: Path  # of schemas.PREDICTIONS
    keys: tuple[int, ...]  # image_key of the rows
    whole: bool  # whether these are all rows of the file


def kept_rows(pairs: pa.Table, files: Sequence[Path]) -> tuple[list[Kept], pa.Table]:
    """Return what of earlier inferences can be taken over, and the pairs that are left to infer.

    A pair is taken over where all its images were read before, with the same pixels on both sides; each from the first
    file that has it.

    pairs: schemas.PAIRS
    files: of schemas.PREDICTIONS, by one model with one set of settings
    """
    if not files:
        return [], pairs
    wanted = {key: (pixels, pair) for key, pixels, pair in _images(pairs)}
    held: dict[int, Path] = {}  # image_key -> its file
    sizes: dict[Path, int] = {}
    for file in files:
        rows = read_table(file, columns=[*_PIXELS, "error"])
        sizes[file] = len(rows)
        read = rows.filter(pc.field("error").is_null() & pc.field("pixel_sha").is_valid())
        for key, *pixels in zip(*(read[name].to_pylist() for name in _PIXELS), strict=True):
            if key in wanted and wanted[key][0] == tuple(pixels):
                held.setdefault(key, file)
    missing = {pair for key, (_, pair) in wanted.items() if key not in held}
    taken: dict[Path, list[int]] = {}
    for key, file in held.items():
        if wanted[key][1] not in missing:
            taken.setdefault(file, []).append(key)
    left = pairs.filter(pc.field("pair_key").isin(pa.array(sorted(missing), pa.int64())))
    found = [Kept(file, tuple(sorted(taken[file])), len(taken[file]) == sizes[file]) for file in files if file in taken]
    return found, left


def _images(pairs: pa.Table) -> Iterator[tuple[int, tuple[str, str], int]]:
    """Give image_key, the pixels of it and of the other breast, and pair_key of each image of the pairs."""
    columns = ("pair_key", "left_id", "left_key", "left_sha", "right_id", "right_key", "right_sha")
    for pair, left, left_key, left_sha, right, right_key, right_sha in zip(
        *(pairs[name].to_pylist() for name in columns), strict=True
    ):
        if left:
            yield left_key, (left_sha, right_sha), pair
        if right:
            yield right_key, (right_sha, left_sha), pair


def take_over(kept: Kept, target: Path) -> None:
    """Write the rows into a file of another inference; a whole file is linked where the storage has links."""
    if kept.whole:
        link_or_copy(kept.file, target)
    else:
        rows = read_table(kept.file)
        write_table(rows.filter(pc.field("image_key").isin(pa.array(kept.keys, pa.int64()))), target)
