"""The breast without lesions: outline, pectoral muscle, power-law tissue shared by a patient's views.

Everything is drawn with the chest wall at the left edge; the caller mirrors the right breast. Tissue follows a 1/f^beta
spectrum with beta near 3 (Burgess, Jacobson and Judy 2001); in finished views, beta is 3.1 between 0.05 and 0.6 per mm.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from scipy.special import expit

from system.records import Side, ViewPosition

COARSE_EXPONENT = 3.8  # smoother than the 3 of a whole mammogram: edges of glands and strands add the rest
STRAND_EXPONENT = 3.0
OUTER_SCALE_MM = 50.0  # the spectrum is flat below 1/50 mm
STRAND_BAND_MM = (1.6, 14.0)  # scales of the fibrous strands
STRAND_STRETCH = 2.2  # they run towards the nipple: longer across than up and down


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixel centres of an image, in millimetres from its upper corner at the chest wall."""

    x_mm: np.ndarray  # [1, W] float32
    y_mm: np.ndarray  # [H, 1] float32
    spacing_mm: float

    @classmethod
    def of(cls, *, height_px: int, width_px: int, spacing_mm: float) -> "Grid":
        """Return the grid of an image of this size."""
        x = (np.arange(width_px, dtype=np.float32) + 0.5) * np.float32(spacing_mm)
        y = (np.arange(height_px, dtype=np.float32) + 0.5) * np.float32(spacing_mm)
        return cls(x[None, :], y[:, None], spacing_mm)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self.y_mm.shape[0], self.x_mm.shape[1]


@dataclass(frozen=True, slots=True)
class Outline:
    """A breast's silhouette in one view, a half superellipse on the chest wall."""

    depth_mm: float  # chest wall to nipple
    half_height_mm: float  # centre to the lower end
    centre_mm: float  # y of the nipple
    exponent: float  # 2 ellipse, more: boxier
    tail: float  # how much the upper half is stretched towards the axilla, >= 1
    muscle_width_mm: float  # pectoral muscle at the upper edge; 0 in CC
    muscle_height_mm: float  # where it meets the chest wall


def draw_outline(view: ViewPosition, *, field_mm: tuple[float, float], rng: np.random.Generator) -> Outline:
    """Return a patient's silhouette for one view. field_mm: height and width of the image."""
    height, width = field_mm
    is_mlo = view is ViewPosition.MLO
    return Outline(
        depth_mm=width * rng.uniform(0.55, 0.82),
        half_height_mm=height * rng.uniform(0.3, 0.38),
        centre_mm=height * (rng.uniform(0.56, 0.61) if is_mlo else rng.uniform(0.47, 0.53)),
        exponent=rng.uniform(1.9, 2.4),
        tail=rng.uniform(2.3, 3.0) if is_mlo else 1.0,
        muscle_width_mm=width * rng.uniform(0.25, 0.42) if is_mlo else 0.0,
        muscle_height_mm=height * rng.uniform(0.45, 0.7) if is_mlo else 1.0,
    )


def vary_outline(outline: Outline, *, rng: np.random.Generator) -> Outline:
    """Return the silhouette changed by a few percent, as one breast differs from the other."""
    depth, height, muscle = rng.normal(1.0, 0.03, 3)
    return Outline(
        outline.depth_mm * depth,
        outline.half_height_mm * height,
        outline.centre_mm * rng.normal(1.0, 0.012),
        outline.exponent,
        outline.tail,
        outline.muscle_width_mm * muscle,
        outline.muscle_height_mm * rng.normal(1.0, 0.04),
    )


def vertical_share(outline: Outline, y_mm: np.ndarray) -> np.ndarray:
    """Return the height of each y as a share of the half height: -1 upper end, 0 nipple, 1 lower end."""
    share = (y_mm - outline.centre_mm) / outline.half_height_mm
    return np.where(share < 0, share / outline.tail, share)


def skin_distance_mm(outline: Outline, grid: Grid) -> np.ndarray:
    """Return each pixel's approximate distance from the skin, positive inside. [H, W] float32."""
    radius = skin_radius(outline, grid.x_mm, grid.y_mm)
    slope_y, slope_x = np.gradient(radius, grid.spacing_mm)
    return ((1 - radius) / np.maximum(np.hypot(slope_x, slope_y), 1e-3)).astype(np.float32)


def skin_radius(outline: Outline, x_mm: np.ndarray, y_mm: np.ndarray) -> np.ndarray:
    """Return 0 at the chest wall's centre, 1 on the skin, more in the air."""
    across = (x_mm / outline.depth_mm) ** outline.exponent
    along = np.abs(vertical_share(outline, y_mm)) ** outline.exponent
    return (across + along) ** (1 / outline.exponent)


def muscle_distance_mm(outline: Outline, x_mm: np.ndarray, y_mm: np.ndarray) -> np.ndarray:
    """Return each point's distance from the pectoral muscle's edge, positive inside the muscle; far outside in CC."""
    if outline.muscle_width_mm == 0:
        return np.full(np.broadcast(x_mm, y_mm).shape, -1e3, np.float32)
    height = np.clip(1 - y_mm / outline.muscle_height_mm, 0, None)
    edge = outline.muscle_width_mm * height**0.85  # slightly convex
    return np.where(height > 0, edge - x_mm, -x_mm - 1.0).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Tissue:
    """Two unit-variance fields of one image."""

    coarse: np.ndarray  # [H, W] float32, power law
    strands: np.ndarray  # [H, W] float32, band-limited


Key = tuple[Side, ViewPosition]


def draw_tissue(grid: Grid, *, symmetry: float, rng: np.random.Generator) -> dict[Key, Tissue]:
    """Return the tissue of a patient's four views, similar between both breasts and partly between the views.

    symmetry: share of the coarse power that both breasts have in common, 0 to 1

    The common share falls with frequency, so that structures of a few millimetres differ between the breasts.
    """
    frequency = _frequency_per_mm(grid)
    falloff = 1 / (1 + (frequency * 15.0) ** 2)  # common structure ends near 15 mm
    power_law = _power_law(frequency, exponent=COARSE_EXPONENT)
    band = _band(_frequency_per_mm(grid, stretch=STRAND_STRETCH))
    common = np.sqrt(symmetry * falloff)
    own = np.sqrt(1 - symmetry * falloff)
    views = {view: _white(grid, rng) for view in ViewPosition}
    patient = _white(grid, rng)
    tissue = {}
    for view in ViewPosition:
        shared = np.float32(0.6) * patient + np.float32(0.8) * views[view]
        for side in Side:
            spectrum = common * shared + own * _white(grid, rng)
            tissue[side, view] = Tissue(
                coarse=_field(spectrum * power_law, grid),
                strands=_field(spectrum * band, grid),
            )
    return tissue


def _frequency_per_mm(grid: Grid, *, stretch: float = 1.0) -> np.ndarray:
    rows, cols = grid.shape
    vertical = scipy.fft.fftfreq(rows, grid.spacing_mm)[:, None] / np.sqrt(stretch)
    horizontal = scipy.fft.rfftfreq(cols, grid.spacing_mm)[None, :] * np.sqrt(stretch)
    return np.hypot(vertical, horizontal).astype(np.float32)


def _power_law(frequency: np.ndarray, *, exponent: float) -> np.ndarray:
    amplitude = (frequency**2 + np.float32(1 / OUTER_SCALE_MM**2)) ** np.float32(-exponent / 4)
    amplitude[0, 0] = 0
    return amplitude


def _band(frequency: np.ndarray) -> np.ndarray:
    short, long = STRAND_BAND_MM
    return (
        _power_law(frequency, exponent=STRAND_EXPONENT)
        * np.exp(-((frequency * short) ** 2))
        * (1 - np.exp(-((frequency * long) ** 2)))
    )


def _white(grid: Grid, rng: np.random.Generator) -> np.ndarray:
    rows, cols = grid.shape
    parts = rng.standard_normal((rows, cols // 2 + 1, 2), dtype=np.float32)
    return parts.view(np.complex64)[..., 0]


def _field(spectrum: np.ndarray, grid: Grid) -> np.ndarray:
    field = np.asarray(scipy.fft.irfft2(spectrum, s=grid.shape))
    return ((field - field.mean()) / field.std()).astype(np.float32)


def draw_breast(outline: Outline, tissue: Tissue, *, grid: Grid, density: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a view without lesions and the share of each pixel that is breast, both [H, W] float32.

    The view's brightness runs from 0 (air) to 1.

    density: share of glandular tissue, 0 fatty to 1 extremely dense
    """
    inside = skin_distance_mm(outline, grid)
    gland = _gland(outline, tissue, grid=grid, density=density)
    ligaments = np.exp(-((tissue.strands / 0.25) ** 2))  # contour lines of a smooth field look like ligaments
    image = 0.18 + 0.02 * tissue.coarse + 0.012 * tissue.strands + 0.03 * ligaments
    image += gland * (0.24 + 0.045 * tissue.coarse + 0.025 * tissue.strands)
    muscle = expit(muscle_distance_mm(outline, grid.x_mm, grid.y_mm) / 1.2)
    fade = np.clip(1.15 - 0.5 * grid.y_mm / outline.muscle_height_mm, 0, 1)
    image = np.maximum(image, 0.05) * (1 - 0.7 * muscle) + muscle * fade * (0.42 + 0.015 * tissue.strands)
    thickness = np.sqrt(np.clip(1 - np.square(1 - np.clip(inside / 16.0, 0, 1)), 0, 1))
    skin = 0.14 * np.exp(-(((inside - 1.2) / 1.0) ** 2))
    body = np.clip(inside / grid.spacing_mm + 0.5, 0, 1)
    return ((image * (0.35 + 0.65 * thickness) + skin) * body).astype(np.float32), body


def _gland(outline: Outline, tissue: Tissue, *, grid: Grid, density: float) -> np.ndarray:
    """Return the glandular share of each pixel: a disc behind the nipple with ragged edges, denser near the nipple."""
    across = grid.x_mm / outline.depth_mm - 0.5
    narrowing = 0.55 - 0.3 * across  # towards the nipple
    along = (vertical_share(outline, grid.y_mm) + 0.06 * outline.tail) / narrowing
    disc = 0.2 + 1.2 * density - np.sqrt((across / 0.42) ** 2 + along**2)
    return expit(4.0 * disc + 1.4 * tissue.coarse + 0.15 * tissue.strands) * (0.75 + 0.5 * np.clip(across + 0.5, 0, 1))
