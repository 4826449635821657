"""The predictor: holds a network on a device and turns decoded pairs into rows of predictions.

A plain class; pipelines/infer.py makes it an actor. It does all of step 1 of a round (docs/method.md, One round):
network, dense CRF, mask, candidates.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from system.errors import UserError
from system.imaging import to_network
from system.maps import encode_map, encode_mask, reduce_mask
from system.methods import METHODS
from system.records import Candidate, Side, encode_candidates
from system.refine import FlipAverage, RefineConfig, own_peak_regions, refine_masks, regions
from system.schemas import PREDICTIONS
from system.settings import Settings
from system.training.epoch import resolve_precision

log = logging.getLogger(__name__)

# Share of a component; above it the CRF is suspected of destroying masses (docs/method.md, Dense CRF).
REMOVAL_WARNING = 0.5
NOT_FINITE = "map_not_finite: the network gave no numbers; set infer.precision to fp32, or take another checkpoint"

Batch = Mapping[str, NDArray[np.generic]]
"""Pairs as columns, as Ray Data gives them."""

Row = dict[str, object]
"""Columns of one row of schemas.PREDICTIONS; those left out are null."""

_ROWS = -2  # axis of views and maps
_SIDES = {"left": Side.LEFT, "right": Side.RIGHT}
_OTHER = {"left": "right", "right": "left"}


@dataclass
class Stopwatch:
    """Seconds by step; one per call, as actors may be called by several threads."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def on(self, step: str) -> Generator[None]:
        """Count the block's time."""
        began_s = time.perf_counter()
        yield
        self.seconds[step] += time.perf_counter() - began_s


class PredictorConfig(Settings):
    """The settings of a predictor; they travel as a dict of plain values."""

    method: str = "btv"  # key of methods.METHODS
    height_px: int = Field(default=1024, ge=32)  # canonical views of the archive
    width_px: int = Field(default=800, ge=32)
    batch_pairs: int = Field(default=8, ge=1)  # pairs in a forward pass; fewer are padded with all-zero images
    mask_threshold: float = Field(default=0.5, gt=0, lt=1)  # probability that counts as even odds before the CRF
    keep_maps: Literal["masked", "all"] = "masked"  # masked: 8 bit, where there is a mask; all: 16 bit, everywhere
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    flip_average: FlipAverage = "none"  # vertical: probabilities are means over the view and its up-down mirror image
    device: Literal["cpu", "cuda"] = "cpu"
    num_threads: int = Field(default=1, ge=1)  # of torch, on the CPU
    refine: RefineConfig = RefineConfig()


@dataclass(frozen=True, slots=True)
class _Image:
    """One image of a batch."""

    pair: int  # place of its pair in the batch
    side: int  # 0 left, 1 right
    identity: Row  # image_key, image_id, study_id, side, view, pixel_sha, other_sha
    pixels: bytes | None  # uint16 [H, W]; None where an image of the pair could not be read
    error: str | None  # why not


class Predictor:
    """Gives rows of schemas.PREDICTIONS for batches of pairs, one per image that exists."""

    def __init__(self, checkpoint: str, config: Mapping[str, object]) -> None:
        """Load the network. Raises UserError for an unknown method and for a wrong checkpoint.

        checkpoint: its folder
        config: PredictorConfig as a dict
        """
        self.config = PredictorConfig.model_validate(config)
        if self.config.method not in METHODS:
            raise UserError(f"unknown method {self.config.method!r}: choose one of {', '.join(METHODS)}")
        # One thread while loading: Ray loads in one thread and calls in another, and the threads of two OpenMP teams
        # spend a quarter of their time asleep, because libgomp does not let more of them than there are cores wait
        # actively.
        torch.set_num_threads(1)
        self.method = METHODS[self.config.method]
        self.model = self.method.load(Path(checkpoint), self.config.device)

    def __call__(self, batch: Batch, watch: Stopwatch | None = None) -> pa.Table:
        """Return the rows of a batch in its order, left before right. May be called by several threads at once.

        batch: columns
            study_id, view: text
            left_id, right_id: "" = that breast is missing
            left_key, right_key: int64
            left_sha, right_sha: text, "" = that breast is missing
            left_pixels, right_pixels: bytes, uint16 [H, W], or None
            error: text or None
        watch: gets the seconds under `network` and `refine`
        """
        watch = watch or Stopwatch()
        torch.set_num_threads(self.config.num_threads)
        images, step = _images_of(batch), self.config.batch_pairs
        rows: list[Row] = []
        for start in range(0, len(batch["study_id"]), step):
            rows += self._predict([image for image in images if start <= image.pair < start + step], watch)
        return pa.Table.from_pylist(rows, schema=PREDICTIONS)

    def _predict(self, images: Sequence[_Image], watch: Stopwatch) -> list[Row]:
        """Return the rows of the images of at most batch_pairs pairs."""
        readable = [image for image in images if image.error is None]
        described = iter(self._describe(readable, watch) if readable else [])
        return [
            image.identity | (next(described) if image.error is None else {"error": image.error}) for image in images
        ]

    @torch.no_grad()  # not inference_mode: a method may need gradients to explain a class by, and turns them on itself
    def _describe(self, images: Sequence[_Image], watch: Stopwatch) -> list[Row]:
        """Run network and refinement; return the columns that describe each image."""
        place = np.array(
            [image.side * self.config.batch_pairs + image.pair % self.config.batch_pairs for image in images]
        )
        pixels = self._stack(images, place)
        with watch.on("network"):
            probability, p_image = self._forward(pixels)
            maps, p_images = probability[place], p_image[place].cpu().numpy()
            # Waits for the device, so that its work is counted here.
            finite = torch.isfinite(maps).flatten(1).all(dim=1).cpu().numpy()
        with watch.on("refine"):
            refined = self._refine(torch.nan_to_num(maps), pixels[place])
        return [
            {"p_image": float(p_images[i]), **columns} if finite[i] else {"error": NOT_FINITE}
            for i, columns in enumerate(refined)
        ]

    def _stack(self, images: Sequence[_Image], place: NDArray[np.int64]) -> NDArray[np.uint16]:
        """Return the pixels [2 * batch_pairs, H, W], left first, zero where there is nothing."""
        config = self.config
        pixels = np.zeros((len(_SIDES) * config.batch_pairs, config.height_px, config.width_px), dtype=np.uint16)
        for image, index in zip(images, place, strict=True):
            pixels[index] = np.frombuffer(image.pixels or b"", dtype=np.uint16).reshape(pixels.shape[1:])
        return pixels

    def _forward(self, pixels: NDArray[np.uint16]) -> tuple[Tensor, Tensor]:
        """Return maps [2 * batch_pairs, h, w] and image-level probabilities [2 * batch_pairs], left first."""
        left, right = (
            torch.as_tensor(to_network(side)[:, None]).to(self.config.device, memory_format=torch.channels_last)
            for side in pixels.reshape(len(_SIDES), -1, *pixels.shape[1:])
        )
        maps, p_image = self._probabilities(left, right)
        if self.config.flip_average == "none":
            return maps, p_image
        mirrored, p_mirrored = self._probabilities(left.flip(_ROWS), right.flip(_ROWS))
        return (maps + mirrored.flip(_ROWS)) / 2, (p_image + p_mirrored) / 2

    def _probabilities(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps and image-level probabilities as `_forward` does. left, right: [B, 1, H, W] float, 0 to 1."""
        device = self.config.device
        dtype = resolve_precision(self.config.precision, torch.device(device))
        with torch.autocast(device, dtype=dtype, enabled=dtype is not torch.float32):
            logits_left, logits_right, p_left, p_right = self.method.predict(self.model, left, right)
        maps = torch.sigmoid(torch.cat([logits_left, logits_right])[:, 0].float())
        return maps, torch.cat([p_left, p_right]).float()

    def _refine(self, maps: Tensor, views: NDArray[np.uint16]) -> list[Row]:
        """Return the columns that describe each map. maps: [M, h, w] float, 0 to 1;  views: [M, H, W]."""
        config = self.config.refine
        size = (self.config.height_px, self.config.width_px)
        full = functional.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
        gray = torch.as_tensor(to_network(views)).to(full.device) * 255
        refined = refine_masks(full, gray, mask_threshold=self.config.mask_threshold, config=config)
        self._warn_of_removal(refined.removed)
        small, full = maps.cpu().numpy(), full.cpu().numpy()
        if config.candidates == "own_peak":
            candidates = own_peak_regions(full, min_px=config.min_candidate_px)
        else:
            candidates = regions(full, candidate_threshold=config.candidate_threshold, min_px=config.min_candidate_px)
        peaks = full.max(axis=(1, 2))
        return [
            {"peak": float(peaks[i]), "entropy": mean_entropy(small[i]), "crf_removed": float(refined.removed[i])}
            | self._columns_of(small[i], mask=refined.mask[i], candidates=candidates[i])
            for i in range(len(small))
        ]

    def _columns_of(
        self, small: NDArray[np.float32], *, mask: NDArray[np.bool_], candidates: Sequence[Candidate]
    ) -> Row:
        """Return the columns of one image's map, mask and candidates.

        small: [h, w] map at stride 4;  mask: [H, W] canonical
        """
        area_px = int(mask.sum())
        kept = self.config.keep_maps == "all" or area_px > 0
        return {
            "score": candidates[0].score if candidates else 0.0,
            "mask_area_px": area_px,
            "candidates": encode_candidates(candidates),
            "map_png": encode_map(small, bits=16 if self.config.keep_maps == "all" else 8) if kept else None,
            "mask_png": encode_mask(reduce_mask(mask)) if area_px else None,
            "map_rows": small.shape[0],
            "map_cols": small.shape[1],
        }

    def _warn_of_removal(self, removed: NDArray[np.float32]) -> None:
        if count := int((removed > REMOVAL_WARNING).sum()):
            params = self.config.refine.params.model_dump()
            log.warning(
                "the CRF took more than half of a component in %d of %d images; its parameters: %s",
                count,
                len(removed),
                params,
            )


def mean_entropy(probability: NDArray[np.float32]) -> float:
    """Return the mean entropy of a map in bits per cell, 0 (sure everywhere) to 1 (even odds everywhere).

    probability: [h, w], 0 to 1
    """
    p = np.clip(probability.astype(np.float64), 1e-9, 1 - 1e-9)
    return float(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)).mean())


def _images_of(batch: Batch) -> list[_Image]:
    """Return the images of a batch that exist, pair by pair, left before right."""
    return [
        _Image(
            pair=pair,
            side=side,
            identity={
                "image_key": int(batch[f"{name}_key"][pair]),
                "image_id": batch[f"{name}_id"][pair],
                "study_id": batch["study_id"][pair],
                "side": _SIDES[name].value,
                "view": batch["view"][pair],
                "pixel_sha": batch[f"{name}_sha"][pair],
                "other_sha": batch[f"{_OTHER[name]}_sha"][pair],
            },
            pixels=batch[f"{name}_pixels"][pair],
            error=batch["error"][pair],
        )
        for pair in range(len(batch["study_id"]))
        for side, name in enumerate(_SIDES)
        if batch[f"{name}_id"][pair]
    ]
