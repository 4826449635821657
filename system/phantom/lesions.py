"""Masses, and structures that resemble them, drawn into a view.

Each function adds to a view [H, W] float32 (brightness, share of full scale) in place, inside a small window; the one
for masses also returns the covered pixels.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import expit

from system.phantom.anatomy import Grid
from system.phantom.truth import MassShape

NUM_HARMONICS = 5
DISPLACED_SHARE = 0.6  # of the tissue's structure that a mass hides
REACH = 2.1  # a window's half width in radii: spicules end inside


@dataclass(frozen=True, slots=True)
class Blob:
    """Place and form of a lesion in one view."""

    x_mm: float
    y_mm: float
    radius_mm: float
    contrast: float  # added brightness at the centre, share of full scale
    elongation: float = 1.0  # long over short axis
    angle_rad: float = 0.0
    wobble: tuple[float, ...] = ()  # amplitude and phase of each harmonic of the outline, in turn
    spicules: tuple[tuple[float, float], ...] = ()  # angle in rad, length in radii


def draw_wobble(amplitude: float, *, rng: np.random.Generator) -> tuple[float, ...]:
    """Return amplitudes and phases of an outline's harmonics 2 to 6. amplitude: share of the radius."""
    order = np.arange(2, 2 + NUM_HARMONICS)
    sizes = rng.normal(0, amplitude, NUM_HARMONICS) / np.sqrt(order)
    return tuple(np.stack([sizes, rng.uniform(0, 2 * np.pi, NUM_HARMONICS)], axis=1).ravel().tolist())


def draw_spicules(*, rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
    """Return the directions and lengths of a spiculated mass's rays."""
    num = int(rng.integers(11, 19))
    angles = (np.arange(num) + rng.uniform(-0.4, 0.4, num)) * (2 * np.pi / num)
    return tuple(zip(angles.tolist(), rng.uniform(1.25, 2.0, num).tolist(), strict=True))


def add_mass(image: np.ndarray, blob: Blob, *, shape: MassShape, grid: Grid) -> np.ndarray:
    """Draw a mass; return the pixels that it covers, [H, W] bool: of a spiculated one its body, without the rays' ends.

    A mass displaces fat: below it, the tissue's own structure fades towards its local mean.
    """
    rows, cols = _window(blob, grid)
    radius, angle = _polar(blob, grid, rows, cols)
    window = image[rows, cols]
    covered = radius <= 1
    profile = np.maximum(BODY_PROFILES[shape](radius), 0.8 * _rays(radius, angle, spicules=blob.spicules))
    level = window[covered].mean() if covered.any() else 0
    window += blob.contrast * profile + DISPLACED_SHARE * profile * (level - window)
    mask = np.zeros(grid.shape, bool)
    mask[rows, cols] = covered
    return mask


def add_clump(image: np.ndarray, blob: Blob, *, texture: np.ndarray, grid: Grid) -> None:
    """Draw a glandular clump: as bright as a mass, but uneven, elongated and with fat inside."""
    rows, cols = _window(blob, grid)
    radius, _ = _polar(blob, grid, rows, cols)
    uneven = np.clip(0.75 + 0.35 * texture[rows, cols], 0, 1.3)
    image[rows, cols] += np.float32(blob.contrast) * np.exp(-0.9 * radius**2) * uneven * expit((2.0 - radius) / 0.1)


def add_lymph_node(image: np.ndarray, blob: Blob, *, grid: Grid) -> None:
    """Draw a smooth oval with a fatty hilum at one side."""
    rows, cols = _window(blob, grid)
    radius, angle = _polar(blob, grid, rows, cols)
    body = expit((0.95 - radius) / 0.08)
    hilum = np.exp(-(((radius * np.cos(angle) - 0.35) / 0.35) ** 2) - ((radius * np.sin(angle) / 0.4) ** 2))
    image[rows, cols] += np.float32(blob.contrast) * body * (1 - 0.9 * hilum)


def add_points(image: np.ndarray, *, points_mm: np.ndarray, weights: np.ndarray, sigma_mm: float, grid: Grid) -> None:
    """Draw calcifications or, from dense points, a vessel: each point is a Gaussian of peak `weights`.

    points_mm: [N, 2] float, x, y
    weights: [N] float, share of full scale
    """
    sigma_px = max(sigma_mm / grid.spacing_mm, 0.45)
    index = np.floor(points_mm / grid.spacing_mm).astype(int)
    kept = np.all((index >= 0) & (index < np.array(grid.shape)[::-1]), axis=1)
    if not kept.any():
        return
    margin = int(np.ceil(4 * sigma_px)) + 1
    low = np.maximum(index[kept].min(0) - margin, 0)
    high = np.minimum(index[kept].max(0) + margin + 1, np.array(grid.shape)[::-1])
    stamp = np.zeros((high[1] - low[1], high[0] - low[0]), np.float32)
    np.maximum.at(stamp, (index[kept, 1] - low[1], index[kept, 0] - low[0]), weights[kept].astype(np.float32))
    # few points stand alone, many form a line
    peak = 2 * np.pi * sigma_px**2 if len(weights) < 100 else np.sqrt(2 * np.pi) * sigma_px
    blurred = gaussian_filter(stamp, sigma_px, truncate=3)
    image[low[1] : high[1], low[0] : high[0]] += blurred * np.float32(max(peak, 1.0))


def _window(blob: Blob, grid: Grid) -> tuple[slice, slice]:
    half = int(np.ceil(REACH * blob.radius_mm * max(blob.elongation, 1.2) / grid.spacing_mm)) + 1
    row, col = int(blob.y_mm / grid.spacing_mm), int(blob.x_mm / grid.spacing_mm)
    return slice(max(row - half, 0), max(row + half + 1, 0)), slice(max(col - half, 0), max(col + half + 1, 0))


def _polar(blob: Blob, grid: Grid, rows: slice, cols: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return each pixel's distance from the centre, in radii of the outline there, and its direction in rad."""
    right = grid.x_mm[:, cols] - blob.x_mm
    down = grid.y_mm[rows] - blob.y_mm
    cosine, sine = np.cos(blob.angle_rad), np.sin(blob.angle_rad)
    stretch = np.sqrt(blob.elongation)
    along, across = (right * cosine + down * sine) / stretch, (down * cosine - right * sine) * stretch
    angle = np.arctan2(across, along)
    outline = np.ones_like(angle)
    for order, (size, phase) in enumerate(zip(blob.wobble[::2], blob.wobble[1::2], strict=True), start=2):
        outline += size * np.cos(order * angle + phase)
    return np.hypot(along, across) / (blob.radius_mm * np.maximum(outline, 0.4)), angle


def _circumscribed(radius: np.ndarray) -> np.ndarray:
    """Return a ball's shadow, flattened so that the edge is crisp."""
    return np.clip(1 - radius**2, 0, None) ** 0.35


def _ill_defined(radius: np.ndarray) -> np.ndarray:
    return expit((0.8 - radius) / 0.14)


def _spiculated_body(radius: np.ndarray) -> np.ndarray:
    return expit((0.72 - radius) / 0.1)


BODY_PROFILES = {  # brightness from 0 to 1 over the distance from the centre in radii
    MassShape.CIRCUMSCRIBED: _circumscribed,
    MassShape.SPICULATED: _spiculated_body,
    MassShape.ILL_DEFINED: _ill_defined,
}


def _rays(radius: np.ndarray, angle: np.ndarray, *, spicules: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Return the brightness of thin lines from the centre outwards, 0 to 1; zeros without spicules."""
    rays = np.zeros_like(radius)
    for direction, length in spicules:
        turn = np.angle(np.exp(1j * (angle - direction)))
        width = np.exp(-((turn * np.maximum(radius, 0.3) / 0.1) ** 2))
        rays = np.maximum(rays, width * np.clip(1.15 - radius / length, 0, 1))
    return rays
