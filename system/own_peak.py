"""Candidates without a chosen threshold: each local maximum of a map with all around it that reaches half its height.

A threshold for all maps lies too high for a faint mass and too low for a bright one, and it must be chosen. Here each
candidate is cut at half of its own peak.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from system.maps import Components

SHARE = 0.5  # of its peak that a candidate's every pixel reaches
# Maxima below it are left out. Any candidate above it ranks before them, so it cuts the curve's far end alone.
NEGLIGIBLE = 0.02


@dataclass(frozen=True, slots=True)
class _Basins:
    """The pixels that can be part of a candidate, each in the basin of the maximum that the steepest way up leads to.

    Two pixels at or above a level are connected at that level exactly if their basins are connected through saddles
    at or above it: the way up from a pixel never leaves the level.
    """

    pixel: NDArray[np.int64]  # [N] place in the map
    value: NDArray[np.floating]  # [N] probability
    basin: NDArray[np.int64]  # [N] 0 to B - 1, by falling peak
    peak: NDArray[np.floating]  # [B] falling
    saddle: NDArray[np.floating]  # [E] highest way between two basins that touch, falling
    sides: NDArray[np.int64]  # [E, 2] the two basins


def own_peak_components(probability: NDArray[np.floating], *, min_px: int) -> "tuple[Components, NDArray[np.float32]]":
    """Return the candidates of a map by falling peak, and their peaks: [N] float32.

    The local maxima take their turn by falling probability. The candidate of a maximum is its 8-connected component
    of the map at or above half of the maximum. If that holds a candidate already, the maximum is a shoulder of it and
    gives none; if it has fewer than `min_px` pixels, it gives none either, and stands in no other's way. So no two
    candidates share a pixel. Maxima below NEGLIGIBLE are left out.

    probability: [H, W], 0 to 1
    """
    from system.maps import Components  # loads scipy; settings need the two numbers above alone

    basins = _basins(probability)
    owner, level = _owners(basins, min_px=min_px)
    number = owner[basins.basin]
    inside = (number > 0) & (basins.value >= level[number])
    labels = np.zeros(probability.shape, dtype=np.int32)
    labels.ravel()[basins.pixel[inside]] = number[inside]
    area_px = np.bincount(number[inside], minlength=len(level))[1:]
    return Components(labels, area_px), (level[1:] / SHARE).astype(np.float32)


def _basins(probability: NDArray[np.floating]) -> _Basins:
    """Return the basins of a map. probability: [H, W], 0 to 1."""
    pixel = np.flatnonzero(probability >= SHARE * NEGLIGIBLE)
    value, number = probability.ravel()[pixel], np.arange(len(pixel))
    place = np.zeros(probability.size, dtype=np.int64)
    place[pixel] = number
    top = place[pixel + _steps(probability).ravel()[pixel]]
    while not np.array_equal(top, further := top[top]):
        top = further
    maxima = np.flatnonzero(top == number)
    maxima = maxima[np.argsort(-value[maxima], kind="stable")]
    rank = np.zeros(len(pixel), dtype=np.int64)
    rank[maxima] = np.arange(len(maxima))
    basin = rank[top]
    image = np.full(probability.shape, -1, dtype=np.int32)
    image.ravel()[pixel] = basin
    saddle, sides = _saddles(probability, image)
    return _Basins(pixel, value, basin, value[maxima], saddle, sides)


def _steps(probability: NDArray[np.floating]) -> NDArray[np.int32]:
    """Return how far the highest of each pixel and its neighbours lies in the map's memory: [H, W].

    Of equal ones it is the first, so that a plateau has one maximum.
    """
    (rows, cols), padded = probability.shape, np.pad(probability, 1, constant_values=-1)
    best = np.full(probability.shape, -1, dtype=probability.dtype)
    step = np.zeros(probability.shape, dtype=np.int32)
    for y in (-1, 0, 1):
        for x in (-1, 0, 1):
            around = padded[1 + y : 1 + y + rows, 1 + x : 1 + x + cols]
            np.copyto(step, y * cols + x, where=around > best)
            np.maximum(best, around, out=best)
    return step


def _saddles(
    probability: NDArray[np.floating], basin: NDArray[np.int32]
) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """Return the highest way between each two basins that touch: [E], falling, and the two basins, [E, 2].

    probability: [H, W]
    basin: [H, W], -1 where there is none
    """
    heights: list[NDArray[np.floating]] = []
    pairs: list[NDArray[np.int64]] = []
    num_basins = np.int64(basin.max(initial=0)) + 1
    for y, x in ((0, 1), (1, -1), (1, 0), (1, 1)):
        here = np.s_[: len(basin) - y, max(0, -x) : basin.shape[1] - max(0, x)]
        there = np.s_[y:, max(0, x) : basin.shape[1] + min(0, x)]
        border = (basin[here] != basin[there]) & (basin[here] >= 0) & (basin[there] >= 0)
        heights.append(np.minimum(probability[here][border], probability[there][border]))
        one, other = basin[here][border], basin[there][border]
        pairs.append(np.minimum(one, other) * num_basins + np.maximum(one, other))
    height, pair = np.concatenate(heights), np.concatenate(pairs)
    order = np.argsort(pair)
    pair = pair[order]
    first = np.flatnonzero(np.diff(pair, prepend=-1))
    highest = np.maximum.reduceat(height[order], first) if len(first) else height
    falling = np.argsort(-highest, kind="stable")
    return highest[falling], np.stack(np.divmod(pair[first][falling], num_basins), axis=1)


def _owners(basins: _Basins, *, min_px: int) -> tuple[NDArray[np.int64], NDArray[np.floating]]:
    """Return each basin's candidate, [B], 1 to n, 0 without one, and each candidate's lowest value, [n + 1].

    Half of a falling peak falls as well, so one pass joins the basins as the level sinks.
    """
    value = basins.value[np.argsort(basins.basin, kind="stable")]
    ends = np.cumsum(np.bincount(basins.basin, minlength=len(basins.peak))).tolist()
    group = list(range(len(basins.peak)))
    members = [[number] for number in group]
    held = [False] * len(group)  # whether the group holds a candidate
    owner, levels = np.zeros(len(group), dtype=np.int64), [0.0]
    saddles, sides, joined = basins.saddle.tolist(), basins.sides.tolist(), 0
    for number, peak in enumerate(basins.peak.tolist()):
        if peak < NEGLIGIBLE:
            break
        level = SHARE * peak
        while joined < len(saddles) and saddles[joined] >= level:
            one, other = (group[side] for side in sides[joined])
            joined += 1
            if one != other:
                _join(one, other, group=group, members=members, held=held)
        mine = group[number]
        if held[mine]:
            continue
        starts = [ends[member - 1] if member else 0 for member in members[mine]]
        area = sum(
            int(np.count_nonzero(value[start : ends[member]] >= level))
            for member, start in zip(members[mine], starts, strict=True)
        )
        if area >= min_px:
            held[mine] = True
            owner[members[mine]] = len(levels)
            levels.append(level)
    return owner, np.array(levels, dtype=basins.value.dtype)


def _join(one: int, other: int, *, group: list[int], members: list[list[int]], held: list[bool]) -> None:
    """Make two groups of basins one: the smaller goes into the larger."""
    small, large = sorted((one, other), key=lambda number: len(members[number]))
    for member in members[small]:
        group[member] = large
    members[large] += members[small]
    held[large] |= held[small]
