"""Trials without a training: masks made of stored maps, judged as candidates on validation."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from system.archive import Archive
from system.evaluation.maps_of_run import HeldOutImage, held_out_images
from system.imaging import to_network
from system.metrics import FrocConfig, PatientCounts, match
from system.metrics.examination import examine
from system.metrics.lesion_f1 import counts_of_all
from system.metrics.matching import gather
from system.records import Split
from system.refine import RefineConfig, refine_masks
from system.run.folder import RunFolder

_KEPT_BYTES = 2 * 1024**3  # of maps and images that stay in a worker's memory from one trial to the next
_BYTES_PER_PX = 4 + 2 + 1  # map, image, truth
_IMAGES_AT_ONCE = 64  # refined together


def counts_of_masks(
    source: Path, archive: Archive, *, round_number: int, split: Split, refine: RefineConfig, froc: FrocConfig
) -> PatientCounts:
    """Return what the masks find that settings make of the maps of the model that a round was mined with.

    All components count, as candidates at one operating point.

    source: folder of the run;  archive: pinned to its versions
    refine: its mask_threshold a number;  froc: regions "mask"
    """
    assert isinstance(refine.mask_threshold, float)
    stored = _Stored(source, archive.uri, tuple(archive.versions().items()), round_number, split)
    patients: list[str] = []
    examined: list[tuple[NDArray[np.float32], NDArray[np.float64]]] = []
    for images in batched(stored.images(), _IMAGES_AT_ONCE):
        masks = refine_masks(
            torch.from_numpy(np.stack([image.probability for image, _ in images])),
            torch.from_numpy(np.stack([to_network(pixels) * np.float32(255) for _, pixels in images])),
            mask_threshold=refine.mask_threshold,
            config=refine,
        ).mask
        for (image, _), mask in zip(images, masks, strict=True):
            found = examine(
                image.probability, image.truth, levels=np.empty(0), config=froc, mask=mask & (image.peak > 0)
            )
            patients.append(image.patient_id)
            examined.append((found.scores, found.iou))
    detections = gather(examined)
    matched = match(detections, iou=froc.iou)
    return counts_of_all(detections, matched, image_patient=patients, config=froc)


_Item = TypeVar("_Item")


def batched(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Give the items in lists of at most that many."""
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part


_Image = tuple[HeldOutImage, NDArray[np.uint16]]  # with its pixels [H, W]


@dataclass(frozen=True)
class _Stored:
    """The maps of one model on one split."""

    source: Path
    archive_uri: str
    versions: tuple[tuple[str, int], ...]
    round_number: int
    split: Split

    def images(self) -> Iterable[_Image]:
        """Give map, truth and pixels of each image; what fits is kept in memory for the next trial."""
        return _kept(self) if self._num_bytes() <= _KEPT_BYTES else self.read()

    def _num_bytes(self) -> int:
        archive = self._archive()
        num_images = archive.table("images", columns=["split"]).filter(pc.field("split") == str(self.split)).num_rows
        return num_images * archive.imaging.height_px * archive.imaging.width_px * _BYTES_PER_PX

    def read(self) -> Iterator[_Image]:
        """Give them from the run's files."""
        archive = self._archive()
        predictions = RunFolder(self.source).before(self.round_number).held_out
        for image in held_out_images(predictions, archive=archive, split=self.split):
            pixels = np.zeros(image.probability.shape, np.uint16) if image.error else archive.pixels(image.pixel_sha)
            yield image, pixels

    def _archive(self) -> Archive:
        return Archive.open(self.archive_uri).pinned(dict(self.versions))


@lru_cache(maxsize=1)
def _kept(stored: _Stored) -> Sequence[_Image]:
    return tuple(stored.read())
