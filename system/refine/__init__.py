"""From probability maps to masks and candidates: dense CRF, binary mask, candidates.

config.py          the settings
crf.py             dense_crf and the table of its backends
mean_field.py      the iteration that the exact and the grid backend share
crf_exact.py       every pair of pixels: the slow reference
crf_grid.py        bilateral grid in plain torch: the default
crf_pydensecrf.py  Kraehenbuehl's permutohedral lattice, an optional extra
active.py          where in a map the CRF can change anything
masks.py           map -> binary mask, and the share that the CRF removed
candidates.py      map -> candidates
"""

from typing import TYPE_CHECKING

from system.lazy import exported_by

if TYPE_CHECKING:
    from system.refine.candidates import own_peak_regions, regions
    from system.refine.config import CrfParams, FlipAverage, InferConfig, RefineConfig
    from system.refine.crf import CRF_BACKENDS, dense_crf
    from system.refine.masks import RefinedMasks, refine_masks, shift_threshold

__all__ = [
    "CRF_BACKENDS",
    "CrfParams",
    "FlipAverage",
    "InferConfig",
    "RefineConfig",
    "RefinedMasks",
    "dense_crf",
    "own_peak_regions",
    "refine_masks",
    "regions",
    "shift_threshold",
]

__getattr__ = exported_by(__name__, "config", "crf", "masks", "candidates")
