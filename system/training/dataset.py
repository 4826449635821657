"""From the pixel store to arrays, and from arrays to a batch on the device."""

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from system.losses import Targets
from system.maps import STRIDE, covered_share, decode_map
from system.methods import Batch
from system.training.samples import STRONG, SampleIndex, SampleRole

ReadPixels = Callable[[str], np.ndarray]
"""sha256 → canonical view uint16 [H, W], or mask uint8 [H, W]."""


class Sample(TypedDict):
    """One row of the index, read."""

    main: np.ndarray  # uint16 [H, W]
    auxiliary: np.ndarray  # uint16 [H, W], zeros = no other breast
    mask: np.ndarray  # float32 [h, w], 0 to 1
    p_mass: float
    is_strong: bool
    has_mask: bool


class SampleReader(Dataset[Sample]):
    """The index as a map-style dataset; up to `cache_images` decoded views are kept in memory."""

    def __init__(self, index: SampleIndex, read: ReadPixels, *, cache_images: int) -> None:
        self.index, self._has_mask = index, index.has_mask()
        self._from_store, self._cache_images = read, cache_images
        self._read = lru_cache(maxsize=cache_images)(read) if cache_images else read

    def __reduce__(self) -> tuple[Callable[..., "SampleReader"], tuple[SampleIndex, ReadPixels]]:
        """Pickle without the cache, which cannot be pickled; each process of a loader fills its own."""
        return partial(SampleReader, cache_images=self._cache_images), (self.index, self._from_store)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, row: int) -> Sample:
        """Raise what the pixel store raises for a file that is missing, or whose content does not fit its name."""
        index = self.index
        main = self._read(index.pixel_sha[row])
        other = index.auxiliary_sha[row]
        role = SampleRole(index.role[row])
        return Sample(
            main=main,
            auxiliary=self._read(other) if other else np.zeros_like(main),
            mask=self._mask(row, role, main.shape),
            p_mass=float(index.p_mass[row]),
            is_strong=role in STRONG,
            has_mask=bool(self._has_mask[row]),
        )

    def _mask(self, row: int, role: SampleRole, shape: tuple[int, ...]) -> np.ndarray:
        if role is SampleRole.STRONG_MASS:
            return covered_share(self._read(self.index.mask_sha[row]) > 0)
        if role is SampleRole.TP:
            png = self.index.map_png[row]
            assert png is not None, "the pool holds a TP without its map"
            return decode_map(png)
        return np.zeros((shape[0] // STRIDE, shape[1] // STRIDE), np.float32)


def collate(samples: list[Sample]) -> dict[str, Tensor]:
    """Stack samples; images stay uint16 until they are on the device."""
    return {
        "main": torch.from_numpy(np.stack([s["main"] for s in samples])),
        "auxiliary": torch.from_numpy(np.stack([s["auxiliary"] for s in samples])),
        "mask": torch.from_numpy(np.stack([s["mask"] for s in samples])),
        "p_mass": torch.tensor([s["p_mass"] for s in samples]),
        "is_strong": torch.tensor([s["is_strong"] for s in samples]),
        "has_mask": torch.tensor([s["has_mask"] for s in samples]),
    }


def make_loader(dataset: SampleReader, batches: list[np.ndarray], *, num_workers: int) -> Iterable[dict[str, Tensor]]:
    """Return a loader over one worker's share of the batches, in their order.

    batches: rows of the index, one array per batch
    num_workers: processes that decode beside the caller; 0 = decode in this process
    """
    return DataLoader(
        dataset,
        batch_sampler=[batch.tolist() for batch in batches],
        collate_fn=collate,
        num_workers=num_workers,
        multiprocessing_context="forkserver" if num_workers else None,  # fork deadlocks inside a Ray worker
    )


def to_batch(
    stacked: dict[str, Tensor],
    *,
    group_sizes: dict[str, float],
    seeds: np.ndarray,
    image_keys: np.ndarray,
    device: torch.device,
) -> Batch:
    """Move a stacked share to the device and scale its images to 0 to 1.

    stacked: as `collate` returns it
    group_sizes: as `group_sizes` returns it
    seeds: [B] int64, of the samples' augmentation
    image_keys: [B] int64
    """
    moved = {name: value.to(device, non_blocking=True) for name, value in stacked.items()}
    images = {name: moved[name].to(torch.float32).unsqueeze(1).div_(65535) for name in ("main", "auxiliary")}
    return Batch(
        main=images["main"],
        auxiliary=images["auxiliary"],
        targets=Targets(
            mask=moved["mask"].unsqueeze(1),
            p_mass=moved["p_mass"],
            is_strong=moved["is_strong"],
            has_mask=moved["has_mask"],
            group_sizes=group_sizes,
        ),
        seeds=torch.from_numpy(np.ascontiguousarray(seeds)),
        image_keys=torch.from_numpy(np.ascontiguousarray(image_keys)),
    )


def group_sizes(index: SampleIndex, batch: np.ndarray, *, num_workers: int) -> dict[str, float]:
    """Return how many samples each loss term averages over in the whole batch, per worker.

    batch: rows of the index, of all workers
    num_workers: workers that train together

    The sizes are divided by the number of workers because DDP averages the workers' gradients: the average is then the
    mean over the whole batch.
    """
    is_strong = np.isin(index.role[batch], STRONG)
    strong, weak_masks = is_strong.sum(), (index.has_mask()[batch] & ~is_strong).sum()
    sizes = {"mask_strong": strong, "class_strong": strong, "mask_weak": weak_masks, "class_weak": len(batch) - strong}
    return {name: float(size) / num_workers for name, size in sizes.items()}
