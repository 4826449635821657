"""Mammograms with the truth's outline and a probability map laid over them, as small RGB pictures."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from skimage import measure

from system.records import Box, Candidate

TRUTH_COLOUR = (255, 214, 10)
OUTCOME_COLOURS = {"TP": (60, 200, 90), "FP": (235, 70, 60), "duplicate": (160, 160, 160)}
# Colours of the map at 0, at half of its ceiling, and at its ceiling: told apart by lightness too.
_COLOURS = np.array([[40, 60, 200], [200, 60, 180], [255, 120, 30]], dtype=np.float32)
_VISIBLE = 0.04  # of the ceiling: where the colour begins to cover the tissue
_COVER = 0.7  # how much of the tissue the colour covers, from a quarter of the ceiling on

Picture = NDArray[np.uint8]
"""RGB: [H, W, 3]."""


def with_truth(image: NDArray[np.uint16], truth: NDArray[np.bool_], *, height_px: int) -> Picture:
    """Return the image with the truth's outline: [height_px, w, 3].

    image: [H, W]
    truth: [H, W]
    """
    return _outlined(_gray(image, height_px=height_px), truth)


def with_map(
    image: NDArray[np.uint16],
    truth: NDArray[np.bool_],
    probability: NDArray[np.floating],
    *,
    height_px: int,
    ceiling: float,
) -> Picture:
    """Return the image with the map in colour over it and the truth's outline: [height_px, w, 3].

    The tissue shows where the probability is next to nothing; from a quarter of the ceiling on the colour alone tells.

    image: [H, W]
    truth: [H, W]
    probability: [h, w], 0 to 1
    ceiling: the probability that is drawn at full strength
    """
    base = _gray(image, height_px=height_px).astype(np.float32)
    coarse = Image.fromarray(np.ascontiguousarray(probability, dtype=np.float32))
    fine = np.asarray(coarse.resize((base.shape[1], base.shape[0]), Image.Resampling.BILINEAR))
    strength = np.clip(fine / max(ceiling, 1e-6), 0, 1)
    cover = _COVER * np.clip((strength - _VISIBLE) / (0.25 - _VISIBLE), 0, 1)[..., None]
    mixed = (1 - cover) * base + cover * _colour_of(strength)
    return _outlined(mixed.round().astype(np.uint8), truth)


def colour_bar(*, width_px: int, height_px: int) -> Picture:
    """Return the colours of a map from 0, left, to its ceiling, right: [height_px, width_px, 3]."""
    row = _colour_of(np.linspace(0, 1, width_px))
    return np.broadcast_to(row.round().astype(np.uint8), (height_px, width_px, 3))


def _colour_of(strength: NDArray[np.floating] | float) -> NDArray[np.float32]:
    """Return the colour of each strength: [..., 3]. strength: [...], 0 to 1."""
    places = np.linspace(0, 1, len(_COLOURS))
    return np.stack([np.interp(strength, places, channel) for channel in _COLOURS.T], axis=-1).astype(np.float32)


def with_contours(image: NDArray[np.uint16], probability: NDArray[np.floating] | None, *, height_px: int) -> Picture:
    """Return the image with contours at a quarter, half and three quarters of the map's peak: [height_px, w, 3].

    image: [H, W]
    probability: [h, w], 0 to 1; None: there is no map
    """
    picture = Image.fromarray(_gray(image, height_px=height_px))
    if probability is None or not probability.any():
        return np.asarray(picture)
    pen = ImageDraw.Draw(picture)
    # Padded, so that contours close at the border.
    coarse = Image.fromarray(np.pad(np.ascontiguousarray(probability, dtype=np.float32), 1))
    scale = picture.height / probability.shape[0]
    fine = np.asarray(
        coarse.resize((round(coarse.width * scale), round(coarse.height * scale)), Image.Resampling.BILINEAR)
    )
    for share in (0.25, 0.5, 0.75):
        colour = tuple(_colour_of(share).astype(int).tolist())
        for line in measure.find_contours(fine, share * float(probability.max())):
            pen.line([(x - scale, y - scale) for y, x in line], fill=colour, width=2)
    return np.asarray(picture)


def with_candidates(
    image: NDArray[np.uint16],
    probability: NDArray[np.floating],
    candidates: Sequence[Candidate],
    *,
    mirrored: bool,
) -> Picture:
    """Return the image with the map over it and a box with its score around each candidate: [H, W, 3].

    The colours run up to the map's own highest probability.

    image: [H, W]
    probability: [h, w], 0 to 1
    candidates: in the canonical view
    mirrored: turn the picture as its file has it
    """
    nothing = np.zeros(image.shape, dtype=bool)
    picture = Image.fromarray(
        with_map(image, nothing, probability, height_px=image.shape[0], ceiling=float(probability.max()))
    )
    width_px = image.shape[1]
    picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else picture
    pen = ImageDraw.Draw(picture)
    for candidate in candidates:
        x0, y0, x1, y1 = candidate.box_px
        left, right = (width_px - x1, width_px - x0) if mirrored else (x0, x1)
        pen.rectangle((left - 1, y0 - 1, right, y1), outline=TRUTH_COLOUR)
        pen.text((left, y1 + 2), f"{candidate.score:.2f}", fill=TRUTH_COLOUR)
    return np.asarray(picture)


def png_of(picture: Picture) -> bytes:
    """Return a picture as PNG."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG", optimize=True)
    return file.getvalue()


def _gray(image: NDArray[np.uint16], *, height_px: int) -> Picture:
    """Return the image in gray at a height, its brightest half per cent cut off: [height_px, w, 3]."""
    white = max(float(np.quantile(image, 0.995)), 1.0)
    eight_bit = (np.clip(image / white, 0, 1) * 255).round().astype(np.uint8)
    width_px = max(1, round(image.shape[1] * height_px / image.shape[0]))
    resized = Image.fromarray(eight_bit).resize((width_px, height_px), Image.Resampling.BICUBIC)
    return np.stack([np.asarray(resized)] * 3, axis=-1)


def _outlined(picture: Picture, truth: NDArray[np.bool_]) -> Picture:
    """Return the picture with a two-pixel line just outside the truth."""
    height_px, width_px = picture.shape[:2]
    mask = Image.fromarray(truth.astype(np.uint8) * 255)
    inside = np.asarray(mask.resize((width_px, height_px), Image.Resampling.BILINEAR)) > 127
    result = picture.copy()
    result[np.logical_and(ndimage.binary_dilation(inside, iterations=2), ~inside)] = TRUTH_COLOUR
    return result


def outcome_picture(
    image: NDArray[np.uint16],
    truth: NDArray[np.bool_],
    candidates: Sequence[tuple[Box, str, float]],
    *,
    height_px: int,
) -> Picture:
    """Return the image with the truth's outline and each candidate's box in its outcome's colour: [height_px, w, 3].

    image: [H, W]
    truth: [H, W]
    candidates: box in the canonical view, outcome (TP green, FP red, duplicate gray), score
    """
    picture = Image.fromarray(with_truth(image, truth, height_px=height_px))
    scale = height_px / image.shape[0]
    pen = ImageDraw.Draw(picture)
    for (x0, y0, x1, y1), outcome, score in candidates:
        left, top, right, bottom = (round(value * scale) for value in (x0, y0, x1, y1))
        colour = OUTCOME_COLOURS[outcome]
        pen.rectangle((left - 1, top - 1, right, bottom), outline=colour, width=2)
        pen.text((left, bottom + 2), f"{outcome} {score:.2f}", fill=colour)
    return np.asarray(picture)
