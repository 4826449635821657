"""Dense CRF by a bilateral grid in plain torch, CPU or GPU: splat, blur, slice over x, y and gray level."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from system.refine.active import active_crops, settle_inactive
from system.refine.config import CrfParams
from system.refine.mean_field import Filter, Kernel, mean_field

USUAL_WEIGHT = 3.0  # appearance weight for which the next two numbers hold; a larger weight needs finer cells
CELLS_PER_SIGMA = 2.0  # along x and y
GRAY_CELLS_PER_SIGMA = 3.2
INTENSITY_VARIANCE = 1 / 3  # cells^2 that linear splat and slice add along an axis of arbitrary values, 1/6 each
MAX_MATRIX_PX = 256  # up to this side a full Gaussian matrix is faster than a truncated convolution
TRUNCATE_SIGMAS = 4.0


def grid_crf(log_odds: Tensor, image: Tensor, params: CrfParams) -> Tensor:
    """Return P(mass) [B, H, W].

    log_odds: [B, H, W] float
    image: [B, H, W] float, 0 to 255

    The grid runs only where the unary is not negligible; elsewhere two scalar updates are enough (active.py).
    """
    result = settle_inactive(log_odds, total_weight=params.smoothness_weight + params.appearance_weight)
    margin_px = math.ceil(3 * max(params.smoothness_sigma_px, params.position_sigma_px))
    for crops in active_crops(log_odds, margin_px=margin_px):
        refined = full_grid_crf(crops.cut(log_odds), crops.cut(image), params, valid=crops.valid)
        crops.paste(refined, result)
    return result


def full_grid_crf(log_odds: Tensor, image: Tensor, params: CrfParams, *, valid: Tensor) -> Tensor:
    """Run the grid on whole images; return P(mass) [N, h, w].

    log_odds: [N, h, w] float
    image: [N, h, w] float, 0 to 255
    valid: [N, h, w] float, 1 inside the image, 0 in padding
    """
    smoothness = gaussian_filter(log_odds.shape[-2:], params.smoothness_sigma_px, like=log_odds)
    kernels = [
        Kernel(params.smoothness_weight, smoothness),
        Kernel(params.appearance_weight, BilateralGrid(image, params)),
    ]
    return mean_field(log_odds, kernels, valid=valid, num_iterations=params.num_iterations)


def gaussian_filter(shape: torch.Size, sigma_px: float, *, like: Tensor) -> Filter:
    """Return the separable Gaussian of unit peak on [N, h, w]; pixels outside count as absent."""
    if max(shape) <= MAX_MATRIX_PX:
        down, across = (_gaussian_matrix(n, sigma_px, like=like) for n in shape)
        return lambda x: down @ (x @ across)
    radius = math.ceil(TRUNCATE_SIGMAS * sigma_px)
    taps = _gaussian(torch.arange(-radius, radius + 1, dtype=like.dtype, device=like.device), sigma_px)

    def convolve(x: Tensor) -> Tensor:
        across = functional.conv2d(x[:, None], taps.view(1, 1, 1, -1), padding=(0, radius))
        return functional.conv2d(across, taps.view(1, 1, -1, 1), padding=(radius, 0))[:, 0]

    return convolve


class BilateralGrid:
    """The appearance kernel of a batch of images, ready to be applied many times."""

    def __init__(self, image: Tensor, params: CrfParams) -> None:
        """Build the grid of image [N, h, w] float, 0 to 255."""
        num, height, width = image.shape
        # The kernel's error falls with the square of the cell's size, and every iteration multiplies it by the weight.
        finer = math.sqrt(max(1.0, params.appearance_weight / USUAL_WEIGHT))
        gray_cells = finer * GRAY_CELLS_PER_SIGMA
        y_cell, y_blur = _axis(height, params.position_sigma_px, cells=finer * CELLS_PER_SIGMA, like=image)
        x_cell, x_blur = _axis(width, params.position_sigma_px, cells=finer * CELLS_PER_SIGMA, like=image)
        gray_cell = image / (params.intensity_sigma / gray_cells)
        num_gray = int(255 * gray_cells / params.intensity_sigma) + 2
        sigma_cells = math.sqrt(gray_cells**2 - INTENSITY_VARIANCE)
        self.blurs = (y_blur, x_blur, _gaussian_matrix(num_gray, sigma_cells, like=image))
        self.shape = (num, len(y_blur), len(x_blur), num_gray)
        self.index, self.weight = self._corners(y_cell, x_cell, gray_cell)

    def _corners(self, y_cell: Tensor, x_cell: Tensor, gray_cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return the eight cells around each pixel and their trilinear weights, both [2, 2, 2, N, h, w]."""
        num, num_y, num_x, num_gray = self.shape
        y, y_weight = _linear(y_cell.view(1, -1, 1), last=num_y - 1)
        x, x_weight = _linear(x_cell.view(1, 1, -1), last=num_x - 1)
        gray, gray_weight = _linear(gray_cell, last=num_gray - 1)
        first = torch.arange(num, device=gray.device).view(-1, 1, 1)
        corner = ((first * num_y + y) * num_x + x) * num_gray + gray
        steps = [(dy * num_x + dx) * num_gray + dg for dy in (0, 1) for dx in (0, 1) for dg in (0, 1)]
        index = corner + torch.tensor(steps, device=gray.device).view(2, 2, 2, 1, 1, 1)
        return index, y_weight[:, None, None] * x_weight[None, :, None] * gray_weight[None, None, :]

    def __call__(self, x: Tensor) -> Tensor:
        """Return the kernel applied to x [N, h, w] float, up to a constant factor."""
        num, num_y, num_x, num_gray = self.shape
        grid = x.new_zeros(num * num_y * num_x * num_gray)
        grid.scatter_add_(0, self.index.view(-1), (self.weight * x).view(-1))
        y_blur, x_blur, gray_blur = self.blurs
        grid = grid.view(num * num_y, num_x, num_gray) @ gray_blur
        grid = (x_blur @ grid).view(num, num_y, num_x * num_gray)
        grid = y_blur @ grid
        corners = grid.reshape(-1).index_select(0, self.index.view(-1)).view(self.weight.shape)
        return corners.mul_(self.weight).sum(dim=(0, 1, 2))


def _axis(length_px: int, sigma_px: float, *, cells: float, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return each pixel's place along an axis in cells [length] and the blur between its cells.

    cells: number per sigma; a cell is never smaller than a pixel

    Linear splat and slice blur by f (1 - f) each at a fraction f of a cell, so the grid's own blur is smaller by that.
    """
    cell_px = max(sigma_px / cells, 1.0)
    place = torch.arange(length_px, dtype=like.dtype, device=like.device) / cell_px
    fractions = [(i / cell_px) % 1 for i in range(length_px)]
    added = 2 * sum(f * (1 - f) for f in fractions) / length_px
    sigma_cells = math.sqrt(max((sigma_px / cell_px) ** 2 - added, 1e-6))
    return place, _gaussian_matrix(int((length_px - 1) / cell_px) + 2, sigma_cells, like=like)


def _linear(place: Tensor, *, last: int) -> tuple[Tensor, Tensor]:
    """Return the cell below each place, int64, and the linear weights of that cell and the next, [2, ...]."""
    low = place.floor().clamp_(0, last - 1)
    fraction = place - low
    return low.long(), torch.stack([1 - fraction, fraction])


def _gaussian_matrix(num: int, sigma: float, *, like: Tensor) -> Tensor:
    places = torch.arange(num, dtype=like.dtype, device=like.device)
    return _gaussian(places[:, None] - places[None, :], sigma)


def _gaussian(distance: Tensor, sigma: float) -> Tensor:
    values = torch.exp(-distance.square() / (2 * sigma**2))
    # the far tail is denormal, which slows CPUs tenfold
    return torch.where(distance.abs() <= TRUNCATE_SIGMAS * sigma, values, 0)
