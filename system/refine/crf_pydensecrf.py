"""Dense CRF by pydensecrf (permutohedral lattice), an optional extra because it needs a compiler."""

import numpy as np
import torch
from torch import Tensor

from system.errors import UserError
from system.refine.config import CrfParams


def pydensecrf_crf(log_odds: Tensor, image: Tensor, params: CrfParams) -> Tensor:
    """Return P(mass) [B, H, W].

    log_odds: [B, H, W] float
    image: [B, H, W] float, 0 to 255

    Raises UserError with the name of the extra where pydensecrf is not installed.
    """
    try:
        from pydensecrf import densecrf, utils  # type: ignore[import-not-found]
    except ModuleNotFoundError as absent:
        raise UserError(
            "CRF backend 'pydensecrf' is not installed: pip install 'mammoloop[pydensecrf]', or use backend 'grid'"
        ) from absent
    height, width = log_odds.shape[-2:]
    results = []
    for odds, gray in zip(log_odds.cpu().double(), image.cpu().double(), strict=True):
        # -log(1 - p), -log p
        energy = torch.stack([torch.nn.functional.softplus(odds), torch.nn.functional.softplus(-odds)])
        field = densecrf.DenseCRF2D(width, height, 2)
        field.setUnaryEnergy(np.ascontiguousarray(energy.reshape(2, -1).numpy(), dtype=np.float32))
        smoothness = utils.create_pairwise_gaussian(sdims=(params.smoothness_sigma_px,) * 2, shape=(height, width))
        field.addPairwiseEnergy(smoothness, compat=params.smoothness_weight)
        # One gray channel; three equal channels would be another model, with sigma_beta / sqrt(3).
        appearance = utils.create_pairwise_bilateral(
            sdims=(params.position_sigma_px,) * 2, schan=(params.intensity_sigma,), img=gray.numpy()[..., None], chdim=2
        )
        field.addPairwiseEnergy(appearance, compat=params.appearance_weight)
        q = np.asarray(field.inference(params.num_iterations))[1].reshape(height, width)
        results.append(torch.from_numpy(q))
    return torch.stack(results).to(log_odds)
