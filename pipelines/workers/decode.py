"""Decode: the pixels of pairs, read in Ray tasks.

Kept apart from the networks, so that its workers start in a second and stay small.
"""

import time

import numpy as np
import pyarrow as pa

from system.archive import Archive
from system.watchdog import StallLimit, watchdog


def decode_watched(batch: pa.Table, *, archive: Archive, limit: StallLimit) -> pa.Table:
    """Read the pixels of a shard, as decode_pairs does; the process is ended where that takes longer than the limit."""
    with watchdog(limit, who="a decoding task").during(f"shard {batch['shard'][0].as_py()}"):
        return decode_pairs(batch, archive=archive)


def decode_pairs(batch: pa.Table, *, archive: Archive) -> pa.Table:
    """Read the pixels of pairs; what is absent or damaged becomes text in `error`.

    Raises MachineFault where the archive's storage cannot be read.

    batch: pair rows, to which left_pixels, right_pixels (uint16 bytes or null), error and read_s are added
    """
    rows = batch.to_pylist()
    pixels: dict[str, list[bytes | None]] = {"left": [], "right": []}
    errors: list[str | None] = []
    seconds: list[float] = []
    for row in rows:
        began_s = time.perf_counter()
        read = {name: _read(archive, row[f"{name}_sha"]) for name in pixels}
        failed = [f"{name} breast: {found}" for name, found in read.items() if isinstance(found, str)]
        errors.append("; ".join(failed) or None)
        for name, found in read.items():
            pixels[name].append(None if failed or not isinstance(found, bytes) else found)
        seconds.append(time.perf_counter() - began_s)
    for name, column in pixels.items():
        batch = batch.append_column(f"{name}_pixels", pa.array(column, pa.binary()))
    return batch.append_column("error", pa.array(errors, pa.string())).append_column(
        "read_s", pa.array(seconds, pa.float64())
    )


def _read(archive: Archive, sha: str) -> bytes | str | None:
    """Return a view's uint16 pixels as bytes, None for a missing breast, or the code of what is wrong."""
    if not sha:
        return None
    try:
        pixels = archive.pixels(sha)
    except FileNotFoundError:
        return "pixels_missing"
    except ValueError:
        return "pixels_damaged"
    expected = (archive.imaging.height_px, archive.imaging.width_px)
    return pixels.tobytes() if pixels.dtype == np.uint16 and pixels.shape == expected else "pixel_size"
