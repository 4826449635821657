"""The white frame that film scanners leave along a picture's edges: light that passed beside the film.

Such a frame is bright from the edge inwards for a short way, along the whole edge. A negative is bright at its edges too,
but deep into the picture; tissue is at most bright along a part of an edge.
"""

import numpy as np

LINE_SHARE = 0.9  # of an edge's length that must be bright
WHITE_RANGE = 0.12  # of the picture's range: how far below its edge's level a frame's pixel may lie
LOWEST_LEVEL = 0.55  # of the picture's range: a frame's level
DARKER_SHARE = 0.4  # of the picture that must be darker than the frame
DEEPEST_SHARE = 0.08  # of the picture's side
# a frame ends in a straight line, a negative's air at the skin's curve: how many positions along an edge lie how near it
STRAIGHT_SHARE, ROUGH_PX, ROUGH_SHARE = 0.8, 3, 0.15
SOFT_PX = 2  # within the frame, where the scanner or a scaling mixed it with the film


def white_frame(pixels: np.ndarray) -> np.ndarray | None:
    """Return which pixels belong to a white frame: [rows, cols] bool; None where there is none.

    pixels: [rows, cols] float32, finite, tissue bright
    """
    low, high = float(pixels.min()), float(pixels.max())
    if not high > low:
        return None
    frame = np.zeros(pixels.shape, bool)
    for seen, marked in zip(_from_edges(pixels), _from_edges(frame), strict=True):
        _mark_edge(seen, marked, low=low, high=high, whole=pixels)
    return frame if frame.any() else None


def without_frame(pixels: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Return the pixels with the film continued over its frame, so that the film fills the picture again."""
    filled = pixels.copy()
    for seen, marked in zip(_from_edges(filled), _from_edges(frame), strict=True):
        depth = _run(marked[: len(marked) // 4])
        positions = np.flatnonzero(depth)
        for start in range(int(depth.max(initial=0))):
            inside = positions[depth[positions] > start]
            seen[start, inside] = seen[depth[inside], inside]
    return filled


def _from_edges(pixels: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return views of the picture in which row 0 is its left, right, top and bottom edge."""
    return pixels.T, pixels[:, ::-1].T, pixels, pixels[::-1]


def _mark_edge(seen: np.ndarray, marked: np.ndarray, *, low: float, high: float, whole: np.ndarray) -> None:
    """Mark the frame along the edge that is row 0."""
    level = float(np.median(seen[0]))
    white = level - WHITE_RANGE * (high - low)
    if level < low + LOWEST_LEVEL * (high - low) or (seen[0] >= white).mean() < LINE_SHARE:
        return
    deepest = max(1, round(len(seen) * DEEPEST_SHARE))
    depth = _run(seen[: deepest + 1] >= white)
    straight = _straight(depth)
    is_straight = np.abs(depth - straight) <= np.maximum(ROUGH_PX, ROUGH_SHARE * straight)
    if straight.max() > deepest or is_straight.mean() < STRAIGHT_SHARE or (whole < white).mean() < DARKER_SHARE:
        return
    # where the film is white behind its frame, at a label for example, the frame is as deep as beside it
    depth = np.ceil(np.where(is_straight, depth, np.minimum(depth, straight))) + SOFT_PX
    marked |= np.arange(len(seen))[:, None] < depth[None, :]


def _straight(depth: np.ndarray) -> np.ndarray:
    """Return the straight line through a frame's depths [cols] float64, one end may be deeper: films lie askew."""
    half = len(depth) // 2
    first, second = float(np.median(depth[:half])), float(np.median(depth[half:]))
    return first + (second - first) * (np.arange(len(depth)) / max(half, 1) - 0.5)


def _run(bright: np.ndarray) -> np.ndarray:
    """Return how many rows from row 0 are bright without a gap, [cols] int."""
    return np.where(bright.all(axis=0), len(bright), bright.argmin(axis=0))
