"""Place the lesions in a patient's two breasts, and record the truth of each breast."""

from collections import defaultdict
from dataclasses import dataclass, field, replace

import numpy as np

from system.phantom.anatomy import Key, Outline, muscle_distance_mm, skin_radius
from system.phantom.config import PhantomConfig
from system.phantom.lesions import Blob, draw_spicules, draw_wobble
from system.phantom.truth import BreastTruth, MassShape, MassTruth, Region
from system.records import Side, ViewPosition

NUM_TRIES = 64  # places tried for one lesion
SKIN_MARGIN_MM = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """A point of one breast, seen in both views, in shares of the silhouette."""

    depth: float  # 0 chest wall, 1 nipple
    outer: float  # in CC: -1 outer, 1 inner
    lower: float  # in MLO: -1 upper, 1 lower

    @property
    def region(self) -> Region:
        """The quadrant that a radiologist would name."""
        return Region(f"{'upper' if self.lower < 0 else 'lower'} {'outer' if self.outer < 0 else 'inner'}")

    def in_view(self, outline: Outline, view: ViewPosition) -> tuple[float, float]:
        """Return x, y in mm."""
        share = self.outer if view is ViewPosition.CC else self.lower
        return self.depth * outline.depth_mm, outline.centre_mm + share * outline.half_height_mm


@dataclass(frozen=True, slots=True)
class Points:
    """Bright points: calcifications, or a vessel's course."""

    points_mm: np.ndarray  # [N, 2] x, y
    weights: np.ndarray  # [N] share of full scale
    sigma_mm: float


@dataclass(slots=True)
class Scene:
    """Everything to draw, by side and view, and the truth of each breast."""

    masses: defaultdict[Key, list[tuple[Blob, MassShape]]] = field(default_factory=lambda: defaultdict(list))
    clumps: defaultdict[Key, list[Blob]] = field(default_factory=lambda: defaultdict(list))
    nodes: defaultdict[Key, list[Blob]] = field(default_factory=lambda: defaultdict(list))
    points: defaultdict[Key, list[Points]] = field(default_factory=lambda: defaultdict(list))
    truth: dict[Side, BreastTruth] = field(default_factory=lambda: {side: BreastTruth() for side in Side})


Outlines = dict[Key, Outline]


def draw_scene(outlines: Outlines, *, config: PhantomConfig, rng: np.random.Generator) -> Scene:
    """Return a patient's lesions and the structures that resemble them."""
    scene = Scene()
    if rng.random() < config.mass_share:
        num_masses = 2 if rng.random() < config.second_mass_share else 1
        for _ in range(num_masses):
            _put_mass(scene, outlines, config=config, rng=rng)
    for _ in range(int(rng.integers(config.num_distractors_low, config.num_distractors_high + 1))):
        _put_clump(scene, outlines, config=config, rng=rng)
    for side in Side:
        if rng.random() < config.calcification_share:
            _put_calcifications(scene, outlines, side=side, rng=rng)
        if rng.random() < config.lymph_node_share:
            _put_lymph_node(scene, outlines, side=side, rng=rng)
        _put_vessels(scene, outlines, side=side, rng=rng)
    return scene


def find_place(outlines: Outlines, *, sides: tuple[Side, ...], radius_mm: float, rng: np.random.Generator) -> Place:
    """Return a place where a lesion of this radius is free of skin and muscle in every view of these sides."""
    depth = rng.uniform(0.2, 0.82, NUM_TRIES)
    outer, lower = rng.uniform(-0.62, 0.62, (2, NUM_TRIES))
    fits = np.ones(NUM_TRIES, bool)
    for (side, view), outline in outlines.items():
        if side in sides:
            x = depth * outline.depth_mm
            y = outline.centre_mm + (outer if view is ViewPosition.CC else lower) * outline.half_height_mm
            room = (1 - skin_radius(outline, x, y)) * min(outline.depth_mm, outline.half_height_mm)
            fits &= (
                (room > radius_mm + SKIN_MARGIN_MM) & (x > radius_mm) & (muscle_distance_mm(outline, x, y) < -radius_mm)
            )
    if not fits.any():
        return Place(depth=0.5, outer=-0.05, lower=-0.05)
    chosen = int(np.argmax(fits))
    return Place(float(depth[chosen]), float(outer[chosen]), float(lower[chosen]))


def _put_mass(scene: Scene, outlines: Outlines, *, config: PhantomConfig, rng: np.random.Generator) -> None:
    side = list(Side)[int(rng.integers(2))]
    shape = list(MassShape)[int(rng.integers(len(MassShape)))]
    diameter = float(np.exp(rng.uniform(np.log(config.diameter_mm_low), np.log(config.diameter_mm_high))))
    contrast = rng.uniform(config.contrast_low, config.contrast_high)
    place = find_place(outlines, sides=(side,), radius_mm=diameter / 2, rng=rng)
    seen_in = [list(ViewPosition)[int(rng.integers(2))]] if rng.random() < config.one_view_share else list(ViewPosition)
    for view in ViewPosition:
        x, y = place.in_view(outlines[side, view], view)
        blob = Blob(
            x,
            y,
            radius_mm=diameter / 2,
            contrast=contrast * rng.uniform(0.9, 1.0),
            elongation=rng.uniform(1.0, 1.35),
            angle_rad=rng.uniform(0, np.pi),
            wobble=draw_wobble(0.03 if shape is MassShape.CIRCUMSCRIBED else 0.13, rng=rng),
            spicules=draw_spicules(rng=rng) if shape is MassShape.SPICULATED else (),
        )
        if view in seen_in:
            scene.masses[side, view].append((blob, shape))
    masses = (*scene.truth[side].masses, MassTruth(shape, diameter, place.region))
    scene.truth[side] = replace(scene.truth[side], masses=masses)


def _put_clump(scene: Scene, outlines: Outlines, *, config: PhantomConfig, rng: np.random.Generator) -> None:
    is_bilateral = rng.random() < config.bilateral_share
    sides = tuple(Side) if is_bilateral else (list(Side)[int(rng.integers(2))],)
    radius = rng.uniform(config.diameter_mm_low, config.diameter_mm_high) / 2
    contrast = rng.uniform(config.contrast_low, config.contrast_high)
    place = find_place(outlines, sides=sides, radius_mm=radius, rng=rng)
    for view in ViewPosition:
        elongation, angle = rng.uniform(1.2, 2.0), rng.uniform(0, np.pi)
        wobble = draw_wobble(0.25, rng=rng)
        for side in sides:
            x, y = place.in_view(outlines[side, view], view)
            shift_x, shift_y = rng.normal(0, 2.5, 2)
            size, strength = rng.normal(1, 0.08, 2)
            blob = Blob(x + shift_x, y + shift_y, radius * size, contrast * strength, elongation, angle, wobble)
            scene.clumps[side, view].append(blob)
    if not is_bilateral:
        scene.truth[sides[0]] = replace(scene.truth[sides[0]], has_asymmetry=True)


def _put_calcifications(scene: Scene, outlines: Outlines, *, side: Side, rng: np.random.Generator) -> None:
    is_cluster = rng.random() < 0.6
    num = int(rng.integers(6, 25)) if is_cluster else int(rng.integers(1, 4))
    spread = rng.uniform(2.0, 5.0) if is_cluster else 18.0
    place = find_place(outlines, sides=(side,), radius_mm=8.0, rng=rng)
    for view in ViewPosition:
        centre = np.array(place.in_view(outlines[side, view], view))
        points = centre + rng.normal(0, spread, (num, 2))
        weights = rng.uniform(0.15, 0.4, num)
        scene.points[side, view].append(Points(points, weights, sigma_mm=0.25 if is_cluster else rng.uniform(0.5, 0.9)))
    scene.truth[side] = replace(scene.truth[side], has_calcifications=True)


def _put_lymph_node(scene: Scene, outlines: Outlines, *, side: Side, rng: np.random.Generator) -> None:
    key = side, ViewPosition.MLO
    outline = outlines[key]
    blob = Blob(
        x_mm=outline.muscle_width_mm * rng.uniform(0.35, 1.1),
        y_mm=outline.muscle_height_mm * rng.uniform(0.08, 0.3),
        radius_mm=rng.uniform(3.5, 8.0),
        contrast=rng.uniform(0.12, 0.25),
        elongation=rng.uniform(1.3, 1.9),
        angle_rad=rng.uniform(0.8, 2.2),
    )
    scene.nodes[key].append(blob)
    scene.truth[side] = replace(scene.truth[side], has_lymph_node=True)


def _put_vessels(scene: Scene, outlines: Outlines, *, side: Side, rng: np.random.Generator) -> None:
    for view in ViewPosition:
        outline = outlines[side, view]
        for _ in range(int(rng.integers(0, 4))):
            scene.points[side, view].append(_vessel(outline, rng=rng))


def _vessel(outline: Outline, *, rng: np.random.Generator) -> Points:
    """Return the points of a wavy line from near the chest wall towards the skin."""
    num = 400
    along = np.linspace(0, 1, num)
    x = outline.depth_mm * (0.05 + along * rng.uniform(0.4, 0.8))
    start, end = rng.uniform(-0.75, 0.75), rng.uniform(-0.5, 0.5)
    wave = rng.normal(0, 0.03) * np.sin(2 * np.pi * (rng.uniform(1, 2.5) * along + rng.uniform()))
    y = outline.centre_mm + outline.half_height_mm * (start + (end - start) * along**1.3 + wave)
    strength = rng.uniform(0.04, 0.1) * np.minimum(1, 4 * along * (1 - along) + 0.2)
    points = np.stack([x, y], axis=1)
    strength = strength * (skin_radius(outline, x, y) < 0.93)
    return Points(points, strength, sigma_mm=rng.uniform(0.5, 0.9))
