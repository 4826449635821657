"""The white frame that film scanners leave along a picture's edges: light that passed beside the film.

Such a frame is bright from the edge inwards for a short way, along the whole edge, and ends in a straight line; behind
it the film is dark, but for the breast. A negative is bright at its edges too, and bright behind them; tissue is at
most bright along a part of an edge.
"""

import numpy as np

LINE_SHARE = 0.9  # of an edge's length that must be bright
WHITE_RANGE = 0.12  # of the picture's range: how far below its edge's level a frame's pixel may lie
LOWEST_LEVEL = 0.55  # of the picture's range: a frame's level
DARKER_SHARE = 0.4  # of the picture that must be darker than the frame
DEEPEST_SHARE = 0.08  # of the picture's side
# a frame ends in a straight line, a negative's air at the skin's curve: the share of
# positions along an edge, and how near to that line
STRAIGHT_SHARE, ROUGH_PX, ROUGH_SHARE = 0.8, 3, 0.15
ENOUGH_EDGES = 2  # that are clear: then a third one, behind which the film is white too, is framed as well
STEP, DARK_SHARE = 0.25, 0.15  # of the picture's range: how much darker the film is, at how many positions of an edge
SOFT_PX = 2  # within the frame, where the scanner or a scaling mixed it with the film


def white_frame(pixels: np.ndarray) -> np.ndarray | None:
    """Return which pixels belong to a white frame: [rows, cols] bool; None where there is none.

    pixels: [rows, cols] float32, finite, tissue bright
    """
    low, high = float(pixels.min()), float(pixels.max())
    if not high > low:
        return None
    edges = [_Edge(seen, low=low, high=high) for seen in _from_edges(pixels)]
    white = [edge for edge in edges if edge.is_white]
    clear = [edge for edge in white if edge.is_frame() and (pixels < edge.white).mean() >= DARKER_SHARE]
    if not clear or (len(clear) < len(white) and len(clear) < ENOUGH_EDGES):
        return None
    usual = round(float(np.median(np.concatenate([edge.depth for edge in clear]))))
    frame = np.zeros(pixels.shape, bool)
    for edge, marked in zip(edges, _from_edges(frame), strict=True):
        if edge.is_white:  # behind an edge that is not clear lies white tissue: there it is as deep as at the others
            depth = edge.depth if edge in clear else np.where(edge.depth > 0, usual, 0)
            marked[np.arange(len(marked))[:, None] < depth[None, :]] = True
    return frame


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


class _Edge:
    """One edge of a picture, seen from outside: row 0 is the edge."""

    def __init__(self, seen: np.ndarray, *, low: float, high: float) -> None:
        level = float(np.median(seen[0]))
        self.white = level - WHITE_RANGE * (high - low)
        self.dark = high - STEP * (high - low)
        self.seen = seen
        self.is_white = level >= low + LOWEST_LEVEL * (high - low) and (seen[0] >= self.white).mean() >= LINE_SHARE
        self.deepest = max(1, round(len(seen) * DEEPEST_SHARE))
        run = _run(seen[: self.deepest + 1] >= self.white)
        self.straight = _straight(run)
        self.near = np.abs(run - self.straight) <= np.maximum(ROUGH_PX, ROUGH_SHARE * self.straight)
        # where the film is white behind its frame, at a label for example, the frame is as deep as beside it
        depth = np.where(self.near, run, np.minimum(run, self.straight))
        self.depth = np.where(run > 0, np.ceil(depth) + SOFT_PX, 0).astype(int)  # of the frame, [cols]

    def is_frame(self) -> bool:
        """Return whether the white ends in a straight line, with darker film behind a part of it at least."""
        if self.straight.max() > self.deepest or self.near.mean() < STRAIGHT_SHARE:
            return False
        behind = self.seen[np.minimum(self.depth, len(self.seen) - 1), np.arange(len(self.depth))]
        return bool((behind < self.dark).mean() >= DARK_SHARE)


def _straight(depth: np.ndarray) -> np.ndarray:
    """Return the straight line through a frame's depths [cols] float64, one end may be deeper: films lie askew."""
    half = len(depth) // 2
    first, second = float(np.median(depth[:half])), float(np.median(depth[half:]))
    return first + (second - first) * (np.arange(len(depth)) / max(half, 1) - 0.5)


def _run(bright: np.ndarray) -> np.ndarray:
    """Return how many rows from row 0 are bright without a gap, [cols] int."""
    return np.where(bright.all(axis=0), len(bright), bright.argmin(axis=0))
