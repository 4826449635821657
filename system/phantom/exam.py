"""Make one patient's exam: four views, their masks, the truth of both breasts and the report."""

from dataclasses import dataclass, replace

import numpy as np

from system.phantom.anatomy import Grid, draw_breast, draw_outline, draw_tissue, vary_outline
from system.phantom.config import PhantomConfig
from system.phantom.lesions import add_clump, add_lymph_node, add_mass, add_points
from system.phantom.marker import add_marker
from system.phantom.reports import Language, Report, mistaken_truth, write_report, write_sideless
from system.phantom.scene import Outlines, Scene, draw_scene
from system.phantom.truth import BreastTruth
from system.records import Side, ViewPosition

FULL_SCALE = 4095  # 12 bits
QUANTUM_NOISE = 0.008  # share of full scale
SHOULDER = 0.8  # brightness above which the film saturates gradually


@dataclass(frozen=True, slots=True, eq=False)
class PhantomView:
    """One image as the detector recorded it: a right breast's chest wall is at the right edge."""

    side: Side
    view: ViewPosition
    pixels: np.ndarray  # [H, W] uint16, 0 to 4095, dense tissue bright
    mask: np.ndarray  # [H, W] bool, all masses
    num_masses: int
    is_jpeg2000: bool


@dataclass(frozen=True, slots=True, eq=False)
class Exam:
    """One patient, one study."""

    index: int
    seed: int
    age_years: int
    study_day: int  # days after 1 January 2015
    is_monochrome1: bool
    spacing_mm: float
    views: tuple[PhantomView, ...]
    truth: dict[Side, BreastTruth]  # the report may differ from it
    report: Report


def make_exam(index: int, seed: int, config: PhantomConfig) -> Exam:
    """Return exam number `index` of the archive that `seed` and `config` define; exams do not depend on each other."""
    rng = np.random.default_rng([seed, index])
    grid = Grid.of(height_px=config.height_px, width_px=config.width_px, spacing_mm=config.spacing_mm)
    outlines = _draw_outlines(grid, rng=rng)
    density = float(np.clip(rng.beta(2.0, 2.2), 0.03, 0.97))
    scene = draw_scene(outlines, config=config, rng=rng)
    views = _draw_views(grid, outlines, scene, density=density, config=config, rng=rng)
    letter = "abcd"[int(density * 4)]
    truth = {side: replace(breast, density=letter) for side, breast in scene.truth.items()}
    return Exam(
        index=index,
        seed=seed,
        age_years=int(rng.integers(38, 80)),
        study_day=int(rng.integers(0, 3000)),
        is_monochrome1=bool(rng.random() < config.monochrome1_share),
        spacing_mm=config.spacing_mm,
        views=views,
        truth=truth,
        report=_dictate(truth, config=config, rng=rng),
    )


def _draw_outlines(grid: Grid, *, rng: np.random.Generator) -> Outlines:
    rows, cols = grid.shape
    field = rows * grid.spacing_mm, cols * grid.spacing_mm
    patient = {view: draw_outline(view, field_mm=field, rng=rng) for view in ViewPosition}
    depth_mm = patient[ViewPosition.CC].depth_mm * rng.uniform(0.97, 1.06)
    patient[ViewPosition.MLO] = replace(patient[ViewPosition.MLO], depth_mm=depth_mm)
    return {(side, view): vary_outline(patient[view], rng=rng) for view in ViewPosition for side in Side}


def _draw_views(
    grid: Grid, outlines: Outlines, scene: Scene, *, density: float, config: PhantomConfig, rng: np.random.Generator
) -> tuple[PhantomView, ...]:
    tissue = draw_tissue(grid, symmetry=config.symmetry, rng=rng)
    is_jpeg2000 = _spread_share(config.jpeg2000_share, num=4, rng=rng)
    views = []
    for (side, view), compressed in zip(outlines, is_jpeg2000, strict=True):
        key = side, view
        image, body = draw_breast(outlines[key], tissue[key], grid=grid, density=density)
        mask = _draw_lesions(image, scene, key=key, texture=tissue[key].coarse, grid=grid) & (body > 0)
        image *= body
        image, mask = (array[:, ::-1] if side is Side.RIGHT else array for array in (image, mask))
        has_marker = rng.random() < config.marker_share
        image = np.ascontiguousarray(image)
        if has_marker:
            add_marker(image, text=f"{side}{view}", at_right=side is Side.LEFT)
        pixels = _expose(image, rng=rng)
        views.append(PhantomView(side, view, pixels, np.ascontiguousarray(mask), len(scene.masses[key]), compressed))
    return tuple(views)


def _draw_lesions(
    image: np.ndarray, scene: Scene, *, key: tuple[Side, ViewPosition], texture: np.ndarray, grid: Grid
) -> np.ndarray:
    for blob in scene.clumps[key]:
        add_clump(image, blob, texture=texture, grid=grid)
    for blob in scene.nodes[key]:
        add_lymph_node(image, blob, grid=grid)
    for points in scene.points[key]:
        add_points(image, points_mm=points.points_mm, weights=points.weights, sigma_mm=points.sigma_mm, grid=grid)
    mask = np.zeros(grid.shape, bool)
    for blob, shape in scene.masses[key]:
        mask |= add_mass(image, blob, shape=shape, grid=grid)
    return mask


def _expose(image: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Return stored values [H, W] uint16, 12 bits: saturating above SHOULDER, with quantum noise."""
    room = 1 - SHOULDER
    image = np.where(image > SHOULDER, SHOULDER + room * np.tanh((image - SHOULDER) / room), image)
    image = image + np.float32(QUANTUM_NOISE) * rng.standard_normal(image.shape, dtype=np.float32)
    return (np.clip(image, 0, 1) * FULL_SCALE + 0.5).astype(np.uint16)


def _spread_share(share: float, *, num: int, rng: np.random.Generator) -> list[bool]:
    """Return `num` choices of which share * num are True, rounded at random so that the mean is the share."""
    count = int(share * num + rng.random())
    return (rng.permutation(num) < count).tolist()


def _dictate(truth: dict[Side, BreastTruth], *, config: PhantomConfig, rng: np.random.Generator) -> Report:
    language: Language = "zh" if rng.random() < config.chinese_share else "en"
    described = mistaken_truth(truth, rng=rng) if rng.random() < config.wrong_report_share else truth
    report = write_report(described, language=language, rng=rng)
    return write_sideless(described, language=language, rng=rng) if rng.random() < config.sideless_share else report
