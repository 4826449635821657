"""Decode the run-length encoding of COCO masks, plain and compressed (cocoapi, common/maskApi.h)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from system.errors import UserError

_ZERO = 48  # the character that stands for 0
_PAYLOAD, _SIGN, _MORE = 0x1F, 0x10, 0x20  # bits of a character
_MAX_BITS = 40  # of a run; no picture has as many pixels


def decode_rle(rle: Mapping[str, Any], *, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask: [rows, cols].

    rle: `size` (rows, cols) and `counts`, the lengths of runs down the columns, the first one outside of the mask:
    numbers, or their compressed text
    shape: rows, cols of the picture

    Raises UserError for a mask of another size, and for counts that are no runs of it.
    """
    size, counts = rle.get("size"), rle.get("counts")
    if not isinstance(size, list | tuple) or list(size) != list(shape):
        raise UserError(f"its mask has the size {str(size)[:40]}, the picture has {list(shape)} (rows, columns)")
    runs = _decompressed(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        raise UserError("the counts of its mask are no runs of pixels")
    if sum(runs) != shape[0] * shape[1]:
        raise UserError(f"the runs of its mask have {sum(runs)} pixels, the picture has {shape[0] * shape[1]}")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(shape[::-1]).T


def runs_of(mask: NDArray[np.bool_]) -> list[int]:
    """Return the plain counts of a mask [rows, cols]."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], changes, [mask.size]])).tolist()


def _decompressed(text: str) -> list[int]:
    """Return the runs of a compressed text: five bits a character, low ones first; from the fourth run on differences.

    A difference is to the run before the last one.
    """
    runs: list[int] = []
    value = bits = 0
    for character in text:
        code = ord(character) - _ZERO
        if not 0 <= code < 2 * _MORE or bits > _MAX_BITS:
            raise UserError("the counts of its mask are no compressed runs")
        value |= (code & _PAYLOAD) << bits
        bits += 5
        if code & _MORE:
            continue
        if code & _SIGN:
            value -= 1 << bits
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = bits = 0
    if bits:
        raise UserError("the counts of its mask are cut off")
    return runs
