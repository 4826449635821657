"""Find the breast among background, film labels and tape, and the side of its chest wall.

All of it works on a small copy of the image, because a coarse result is enough.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage import measure
from skimage.filters import threshold_otsu

from system.imaging.film_frame import white_frame, without_frame
from system.imaging.refused import ImageRefused
from system.records import Side

WORK_SIZE_PX = 192  # longest side of the small copy
SMOOTH_PX = 1.0  # of the small copy
OPENING_PX = 5  # of the small copy; separates film labels and scan borders from the breast
THRESHOLD_SHARE = 0.8  # of Otsu's threshold: the thin tissue at the skin belongs to the breast
MIN_BRIGHT_SHARE = 0.05  # of the frame above the threshold; less is not a breast but a film label
MAX_CLIPS = 4
MARGIN_PX = 1  # of the small copy; the skin line is fainter than the threshold
MIN_BREAST_SHARE = 0.02  # of the frame
EDGE_SHARE = 0.08  # of the breast's width: the strip in which its straight side is searched for
BORDER_PX = 2  # of the small copy: the strips along the frame's four edges
MIN_BRIGHT_EDGES = 3  # of four; mini-MIAS: 0 or 1 on 120 films, 3 or 4 on their negatives
# mini-MIAS under a white frame: dark edges 0.75 or more on 120 films, 0.70 or less on 16 negatives with a black margin
FRAMED_DARK_EDGES, FRAMED_DIFFERENCE = 0.8, 0.1
# of the frame's height; mini-MIAS: 0.27 or more on 118 of 120 films, below 0.1 on the two that the breast fills
CLEAR_DIFFERENCE = 0.2


@dataclass(frozen=True, slots=True)
class Breast:
    """Where the breast lies in an image, on a coarse grid."""

    mask: np.ndarray  # [small rows, small cols] bool, with a margin for the skin line
    columns_px: tuple[float, float]  # first and one past the last source column, without the margin
    chest_wall: Side  # LEFT: the chest wall is at the picture's left edge; the picture's side, not the patient's
    is_clear: bool  # the chest wall's side is clear by CLEAR_DIFFERENCE, not decided by brightness
    frame: np.ndarray | None = None  # [rows, cols] bool, the source pixels of a white frame; None where there is none


def find_breast(pixels: np.ndarray) -> Breast:
    """Return the breast: the largest bright region after smoothing and opening, holes filled.

    pixels: [rows, cols] float32, any range, tissue bright

    Raises ImageRefused no_signal when no breast can be seen, or the picture is a negative.
    """
    frame = white_frame(pixels) if np.isfinite(pixels).all() else None
    small, cell_px = _small_copy(pixels if frame is None else without_frame(pixels, frame))
    low, high = float(small.min()), float(small.max())
    if not np.isfinite([low, high]).all() or high - low <= 1e-6 * max(abs(high), 1.0):
        raise ImageRefused("no_signal", "every pixel has the same value")
    region = _largest_region(small)
    if region.mean() < MIN_BREAST_SHARE:
        raise ImageRefused(
            "no_signal",
            f"the largest bright region covers {region.mean():.1%} of the frame, expected {MIN_BREAST_SHARE:.0%}",
        )
    if _is_negative(small, framed=frame is not None):
        raise ImageRefused(
            "no_signal", "the background is bright all round: the picture is a negative, or shows no breast"
        )
    columns = np.flatnonzero(region.any(axis=0))
    chest_wall, is_clear = _chest_wall(small, region=region)
    return Breast(
        mask=np.asarray(ndimage.binary_fill_holes(ndimage.binary_dilation(region, iterations=MARGIN_PX))),
        columns_px=(float(columns[0]) * cell_px, float(columns[-1] + 1) * cell_px),
        chest_wall=chest_wall,
        is_clear=is_clear,
        frame=frame,
    )


def _small_copy(pixels: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the box-averaged small copy and its source px per cell across."""
    rows, cols = pixels.shape
    factor = max(rows, cols) / WORK_SIZE_PX
    size = (max(1, round(cols / factor)), max(1, round(rows / factor))) if factor > 1 else (cols, rows)
    small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    return small, cols / size[0]


def _largest_region(small: np.ndarray) -> np.ndarray:
    """Return the breast's mask [small rows, small cols]; all False when nothing survives the opening."""
    smooth = ndimage.gaussian_filter(small, SMOOTH_PX)
    # the square root spreads the dark end: fatty tissue stays with the breast beside very bright glands or film labels
    smooth = np.sqrt(smooth - smooth.min())
    threshold = threshold_otsu(smooth)
    for _ in range(MAX_CLIPS):
        if (smooth > threshold).mean() >= MIN_BRIGHT_SHARE:
            break
        smooth = np.minimum(smooth, threshold)  # a film label is brighter than all else: clip it and repeat
        threshold = threshold_otsu(smooth)
    bright = smooth > THRESHOLD_SHARE * threshold
    # symmetric: the breast continues beyond the frame, but a one-pixel scan line along the border stays thin and is cut
    opened = ndimage.binary_opening(np.pad(bright, OPENING_PX, mode="symmetric"), iterations=OPENING_PX // 2)
    labels = np.asarray(measure.label(opened[OPENING_PX:-OPENING_PX, OPENING_PX:-OPENING_PX], connectivity=1))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    if sizes.size < 2:
        return np.zeros_like(bright)
    return np.asarray(ndimage.binary_fill_holes(labels == sizes.argmax()))


def _is_negative(small: np.ndarray, *, framed: bool) -> bool:
    """Return whether the frame is bright along its edges and darker within: air is bright, the breast dark.

    A breast that fills the frame also has bright edges, but is dark at its corners and bright in its middle.

    framed: a white frame was cut off. The black margin of a film is one in its negative, so fewer edges need be bright.
    """
    dark = small <= threshold_otsu(small)
    edges = (dark[:BORDER_PX], dark[-BORDER_PX:], dark[:, :BORDER_PX], dark[:, -BORDER_PX:])
    quarter = dark.shape[0] // 4
    middle = dark[quarter : dark.shape[0] - quarter]
    dark_edges, dark_middle = float(np.concatenate([edge.ravel() for edge in edges]).mean()), float(middle.mean())
    if framed and dark_edges < FRAMED_DARK_EDGES:
        return dark_middle > dark_edges - FRAMED_DIFFERENCE
    return sum(edge.mean() < 0.5 for edge in edges) >= MIN_BRIGHT_EDGES and dark_middle > dark_edges


def _chest_wall(small: np.ndarray, *, region: np.ndarray) -> tuple[Side, bool]:
    """Return the picture's side on which the breast ends straight, and whether that is clear.

    The breast fills more rows of the strip on that side. A breast that fills the film ends straight on both sides; then
    the brighter upper corner decides, where the pectoral muscle lies.
    """
    columns = np.flatnonzero(region.any(axis=0))
    first, last = int(columns[0]), int(columns[-1]) + 1
    strip = max(1, round((last - first) * EDGE_SHARE))
    left, right = slice(first, first + strip), slice(last - strip, last)
    difference = float(region[:, left].mean() - region[:, right].mean())
    is_clear = abs(difference) >= CLEAR_DIFFERENCE
    if not is_clear:
        difference = _upper_brightness(small, region=region, columns=left) - _upper_brightness(
            small, region=region, columns=right
        )
    return Side.LEFT if difference >= 0 else Side.RIGHT, is_clear


def _upper_brightness(small: np.ndarray, *, region: np.ndarray, columns: slice) -> float:
    """Return the mean of the breast's pixels in the upper third of the given columns.

    The darkest value of the image when there are none.
    """
    upper = slice(0, small.shape[0] // 3)
    values = small[upper, columns][region[upper, columns]]
    return float(values.mean()) if values.size else float(small.min())
