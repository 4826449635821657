import math

import numpy as np
import pytest
import torch

from system.errors import UserError
from system.refine import CRF_BACKENDS, CrfParams, RefineConfig, dense_crf
from system.refine.active import active_crops
from system.refine.crf_grid import full_grid_crf

README_OF_PYDENSECRF = CrfParams(position_sigma_px=80, intensity_sigma=13, appearance_weight=10)


def scene(height: int = 64, width: int = 72, num_images: int = 1, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return smooth images with bright discs, and maps that find the discs roughly."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    maps, images = [], []
    for _ in range(num_images):
        cy, cx, radius = rng.uniform(20, height - 20), rng.uniform(20, width - 20), rng.uniform(6, 10)
        inside = np.clip(radius - np.hypot(y - cy, x - cx), 0, 1)
        image = 80 + 30 * np.sin(x / 11) * np.cos(y / 9) + 50 * inside + rng.normal(0, 6, inside.shape)
        images.append(np.clip(image, 0, 255))
        spread = 0.85 * np.exp(-((np.hypot(y - cy - 1, x - cx + 1) / radius) ** 2))
        maps.append(np.clip(spread + rng.normal(0, 0.03, inside.shape), 0, 1))
    return torch.tensor(np.stack(maps), dtype=torch.float32), torch.tensor(np.stack(images), dtype=torch.float32)


def slow_mean_field(prob: np.ndarray, image: np.ndarray, params: CrfParams) -> np.ndarray:
    """Return P(mass) [H, W] of two classes by loops over pairs, as in Kraehenbuehl and Koltun's algorithm 1."""
    height, width = prob.shape
    pixels = [(y, x) for y in range(height) for x in range(width)]
    unary = np.stack([-np.log(1 - prob.ravel()), -np.log(prob.ravel())])
    kernels = []
    for weight, space, tone in (
        (params.smoothness_weight, params.smoothness_sigma_px, math.inf),
        (params.appearance_weight, params.position_sigma_px, params.intensity_sigma),
    ):
        k = np.array(
            [
                [
                    math.exp(
                        -((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / (2 * space**2)
                        - (float(image[a]) - float(image[b])) ** 2 / (2 * tone**2)
                    )
                    for b in pixels
                ]
                for a in pixels
            ]
        )
        root = 1 / np.sqrt(k.sum(axis=1))
        kernels.append(weight * root[:, None] * k * root[None, :])
    q = np.exp(-unary) / np.exp(-unary).sum(axis=0)
    for _ in range(params.num_iterations):
        other = q[::-1]  # Potts: a class pays for its neighbours' other class
        energy = unary + sum((k @ other.T).T for k in kernels)
        q = np.exp(-energy) / np.exp(-energy).sum(axis=0)
    return q[1].reshape(height, width)


def test_exact_backend_equals_mean_field_written_as_loops() -> None:
    rng = np.random.default_rng(3)
    prob, image = rng.uniform(0.05, 0.95, (5, 7)), rng.uniform(0, 255, (5, 7))
    params = CrfParams(
        smoothness_sigma_px=1.2, smoothness_weight=0.8, position_sigma_px=2.5, intensity_sigma=60, appearance_weight=1.4
    )
    found = dense_crf(torch.tensor(prob)[None], torch.tensor(image)[None], params, backend="exact")[0].numpy()
    np.testing.assert_allclose(found, slow_mean_field(prob, image, params), atol=1e-5)


@pytest.mark.parametrize(
    "params",
    [
        CrfParams(num_iterations=3),
        README_OF_PYDENSECRF,
        CrfParams().scaled(0.16),
        CrfParams(position_sigma_px=15, intensity_sigma=10, appearance_weight=6),
        CrfParams(smoothness_weight=0.5, appearance_weight=0.5),
    ],
)
def test_grid_errs_by_at_most_three_hundredths_against_exact(params: CrfParams) -> None:
    prob, image = scene()
    grid, exact = (dense_crf(prob, image, params, backend=backend) for backend in ("grid", "exact"))
    assert (grid - exact).abs().max() <= 0.03


def test_the_blur_of_splat_and_slice_is_taken_off_the_grids_own() -> None:
    prob, image = scene()
    once = CrfParams(smoothness_weight=0, appearance_weight=4, num_iterations=1)  # before the mean field saturates
    error = (dense_crf(prob, image, once, backend="grid") - dense_crf(prob, image, once, backend="exact")).abs().max()
    assert error < 0.0085  # 0.0091 and 0.022 if the gray or the spatial axes omit it


@pytest.mark.parametrize("params", [README_OF_PYDENSECRF, CrfParams().scaled(0.16)])
@pytest.mark.parametrize("seed", [0, 1])
def test_images_and_maps_of_nothing_but_noise_err_no_more(params: CrfParams, seed: int) -> None:
    rng = np.random.default_rng(seed)
    prob, image = (torch.tensor(rng.uniform(0, high, (1, 48, 56)), dtype=torch.float32) for high in (1, 255))
    grid, exact = (dense_crf(prob, image, params, backend=backend) for backend in ("grid", "exact"))
    # 0.05 and 0.15 on a grid that a heavy weight does not make finer, 0.06 and 0.03 on one of two gray cells a sigma
    assert (grid - exact).abs().max() <= 0.03


def test_the_grid_is_deterministic_in_deterministic_mode() -> None:
    prob, image = scene(num_images=2)
    torch.use_deterministic_algorithms(True)  # on GPUs the splat then adds in a fixed order
    try:
        first, second = (dense_crf(prob, image, CrfParams(), backend="grid") for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(first, second)


def test_working_in_windows_gives_what_working_everywhere_gives() -> None:
    prob, image = (torch.nn.functional.pad(batch, (0, 150, 90, 0)) for batch in scene())
    everywhere = full_grid_crf(torch.logit(prob, eps=1e-5), image, CrfParams(), valid=torch.ones_like(prob))
    assert (dense_crf(prob, image, CrfParams(), backend="grid") - everywhere).abs().max() < 0.005


@pytest.mark.parametrize("seed", range(4))
def test_where_no_pixel_is_above_even_odds_none_rises_above_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prob = torch.tensor(rng.uniform(0.3, 0.4999, (1, 32, 32)), dtype=torch.float32)
    image = torch.tensor(rng.uniform(0, 255, (1, 32, 32)), dtype=torch.float32)
    for params in (CrfParams(), CrfParams().scaled(0.3), README_OF_PYDENSECRF):
        everywhere = full_grid_crf(torch.logit(prob, eps=1e-5), image, params, valid=torch.ones_like(prob))
        assert dense_crf(prob, image, params, backend="exact").max() < 0.5
        assert everywhere.max() < 0.5
        assert dense_crf(prob, image, params, backend="grid").max() < 0.5


def test_a_window_without_a_pixel_above_even_odds_costs_nothing_and_changes_no_mask() -> None:
    prob, image = (torch.nn.functional.pad(batch, (0, 200, 0, 0)) for batch in scene())
    faint = prob.roll(200, dims=-1) * 0.45 / prob.max()
    both, pair = torch.maximum(prob, faint), image + image.roll(200, dims=-1)
    crops = [crop for batch in active_crops(torch.logit(both, eps=1e-5), margin_px=30) for crop in batch.crops]
    assert all(crop.x.start < 200 for crop in crops)
    everywhere = full_grid_crf(torch.logit(both, eps=1e-5), pair, CrfParams(), valid=torch.ones_like(both))
    assert torch.equal(dense_crf(both, pair, CrfParams(), backend="grid") > 0.5, everywhere > 0.5)


def test_an_image_is_refined_alike_alone_and_in_a_batch() -> None:
    prob, image = scene(num_images=3)
    together = dense_crf(prob, image, CrfParams(), backend="grid")
    pairs = zip(prob, image, strict=True)
    alone = torch.cat([dense_crf(p[None], i[None], CrfParams(), backend="grid") for p, i in pairs])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


def test_refinement_follows_the_edge_of_the_image() -> None:
    image = torch.full((1, 48, 48), 60.0)
    image[:, :, 24:] = 160
    prob = torch.full((1, 48, 48), 0.2)
    prob[:, :, 21:] = 0.7  # three columns too wide
    refined = dense_crf(prob, image, CrfParams(smoothness_weight=0, appearance_weight=5), backend="grid")[0] > 0.5
    assert not refined[:, :24].any()
    assert refined[:, 24:].all()


def test_the_safe_default_keeps_a_mass_that_the_readme_of_pydensecrf_destroys() -> None:
    y, x = np.mgrid[:200, :200]
    spread = np.exp(-((np.hypot(y - 100, x - 100) / 40) ** 2))
    noise = np.random.default_rng(0).normal(0, 8, y.shape)
    image = np.clip(100 + 15 * np.sin(x / 17) + 15 * np.cos(y / 13) + 25 * spread + noise, 0, 255)
    prob, gray = (torch.tensor(array, dtype=torch.float32)[None] for array in (np.clip(0.9 * spread, 0.01, 1), image))
    before = (prob > 0.5).sum()
    kept = (dense_crf(prob, gray, CrfParams(), backend="grid") > 0.5).sum() / before
    shrunk = (dense_crf(prob, gray, README_OF_PYDENSECRF, backend="grid") > 0.5).sum() / before
    assert kept > 0.8
    assert shrunk < 0.1


def test_a_map_of_negligible_probabilities_stays_empty() -> None:
    prob, image = torch.full((1, 64, 72), 0.03), scene()[1]
    assert dense_crf(prob, image, CrfParams(), backend="grid").max() < 0.03


def test_none_leaves_the_map_as_it_is() -> None:
    prob, image = scene()
    torch.testing.assert_close(dense_crf(prob, image, CrfParams(), backend="none"), prob, atol=2e-5, rtol=0)


def test_exact_refuses_an_image_that_would_not_fit() -> None:
    with pytest.raises(UserError, match="at most 8192 pixels, found 100 x 100: use backend 'grid'"):
        dense_crf(torch.zeros(1, 100, 100), torch.zeros(1, 100, 100), CrfParams(), backend="exact")


def test_an_unknown_backend_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'cuda': choose one of exact, grid, pydensecrf, none"):
        dense_crf(torch.zeros(1, 8, 8), torch.zeros(1, 8, 8), CrfParams(), backend="cuda")


def test_a_map_at_another_size_than_its_image_is_refused() -> None:
    with pytest.raises(ValueError, match=r"found \[1, 8, 8\] and \[1, 32, 32\]"):
        dense_crf(torch.zeros(1, 8, 8), torch.zeros(1, 32, 32), CrfParams(), backend="grid")


def test_scaling_changes_lengths_only() -> None:
    assert CrfParams().scaled(0.5) == CrfParams(smoothness_sigma_px=1.5, position_sigma_px=5.0)


def test_every_backend_can_be_configured() -> None:
    assert {RefineConfig.model_validate({"backend": name}).backend for name in CRF_BACKENDS} == set(CRF_BACKENDS)


def test_pydensecrf_agrees_with_exact_or_the_error_names_its_extra() -> None:
    prob, image = scene(num_images=1)
    try:
        import pydensecrf  # type: ignore[import-not-found]  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(UserError, match=r"mammoloop\[pydensecrf\]"):
            dense_crf(prob, image, CrfParams(), backend="pydensecrf")
        return
    exact = dense_crf(prob, image, CrfParams(), backend="exact")
    found = dense_crf(prob, image, CrfParams(), backend="pydensecrf")
    assert (found - exact).abs().max() <= 0.3  # its lattice is that coarse
