"""How good a network in training is on the validation images, as one number without a chosen threshold."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from system.archive import Archive, pair_table
from system.errors import UserError
from system.imaging import to_network
from system.maps import components, upsample
from system.methods import Method
from system.metrics import FrocConfig, froc_curve, match
from system.metrics.froc import mean_sensitivity
from system.metrics.matching import gather, overlaps
from system.own_peak import own_peak_components
from system.records import Split

BATCH_PAIRS = 8  # in a forward pass

_Examined = tuple[NDArray[np.float32], NDArray[np.float64]]  # of an image: scores [n], IoU [n, m]


@dataclass(frozen=True)
class View:
    """One view of a pair."""

    pixel_sha: str  # "" where that breast is missing
    mask_sha: str  # "" where it shows no mass


@dataclass(frozen=True)
class Validation:
    """The validation images that one worker looks at."""

    pairs: Sequence[tuple[View, View]]  # left, right
    archive: Archive
    froc: FrocConfig

    def mean(self, method: Method, model: nn.Module, *, device: torch.device, dtype: torch.dtype) -> float:
        """Return the mean sensitivity over all workers' images, own-peak candidates; NaN without a lesion.

        Every worker must call it: they wait for each other. The model is left in the mode it was in.
        """
        _take_buffers_of_the_first(model)
        was_training = model.training
        model.eval()
        try:
            mine = list(self._examined(method, model, device=device, dtype=dtype))
        finally:
            model.train(was_training)
        detections = gather([image for part in _of_all_workers(mine) for image in part])
        curve = froc_curve(detections, match(detections, iou=self.froc.iou), config=self.froc)
        return mean_sensitivity(curve, fppi=self.froc.fppi)

    def _examined(
        self, method: Method, model: nn.Module, *, device: torch.device, dtype: torch.dtype
    ) -> Iterator[_Examined]:
        for start in range(0, len(self.pairs), BATCH_PAIRS):
            pairs = self.pairs[start : start + BATCH_PAIRS]
            left, right = (self._views([pair[side] for pair in pairs]).to(device) for side in (0, 1))
            with torch.no_grad(), torch.autocast(device.type, dtype=dtype, enabled=dtype is not torch.float32):
                logits = method.predict(model, left, right)[:2]
            for side, maps in enumerate(torch.sigmoid(logit[:, 0].float()).cpu().numpy() for logit in logits):
                for pair, coarse in zip(pairs, maps, strict=False):
                    if pair[side].pixel_sha:
                        yield self._examine(pair[side], coarse)

    def _views(self, views: Sequence[View]) -> Tensor:
        """Return network input [BATCH_PAIRS, 1, H, W]; missing breasts, and what fills the last batch, are zeros."""
        stacked = np.zeros((BATCH_PAIRS, 1, *self._shape), np.float32)
        for place, view in enumerate(views):
            if view.pixel_sha:
                stacked[place, 0] = to_network(self.archive.pixels(view.pixel_sha))
        return torch.from_numpy(stacked)

    def _examine(self, view: View, coarse: NDArray[np.float32]) -> _Examined:
        truth = self.archive.pixels(view.mask_sha) > 0 if view.mask_sha else np.zeros(self._shape, bool)
        found, scores = own_peak_components(upsample(coarse, shape=self._shape), min_px=self.froc.min_candidate_px)
        return scores, overlaps(found, components(truth, min_px=self.froc.min_lesion_px))

    @property
    def _shape(self) -> tuple[int, int]:
        return self.archive.imaging.height_px, self.archive.imaging.width_px


def validation_of(archive: Archive, *, froc: FrocConfig, rank: int, num_workers: int) -> Validation:
    """Return one worker's share of the archive's validation images, those that evaluations see: every n-th pair.

    Raises UserError when there is none.
    """
    images, masks = archive.table("images"), archive.table("masks")
    drawn = masks.filter(pc.field("num_lesions") > 0)
    sha_of = dict(zip(drawn["image_id"].to_pylist(), drawn["mask_sha"].to_pylist(), strict=True))
    table = pair_table(images.filter(pc.field("split") == str(Split.VALIDATION)))
    if not len(table):
        raise UserError(
            "validation images are wanted, by patience_epochs or by a sweep, and the archive has none: set it to 0 in "
            "stage1 and rounds.train, or ingest with a share of ingest.split.validation"
        )
    rows = table.take(np.arange(rank, len(table), num_workers)).to_pylist()
    pairs = [
        tuple(View(row[f"{side}_sha"], sha_of.get(row[f"{side}_id"], "")) for side in ("left", "right")) for row in rows
    ]
    return Validation([(left, right) for left, right in pairs], archive, froc)


def _take_buffers_of_the_first(model: nn.Module) -> None:
    """Give every worker the norms' statistics of rank 0, whose model is kept; each has those of its own images."""
    if distributed.is_initialized():
        for buffer in model.buffers():
            distributed.broadcast(buffer, src=0)


def _of_all_workers(mine: list[_Examined]) -> list[list[_Examined]]:
    """Return every worker's images, by rank."""
    if not distributed.is_initialized():
        return [mine]
    everyone: list[list[_Examined]] = [[] for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(everyone, mine)
    return everyone
