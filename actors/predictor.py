"""The predictor: holds a network on a device and turns decoded pairs into rows of predictions.

A plain class; pipelines/infer.py makes it an actor. It stands for all of METHODS 1.4 step 1: network, dense CRF, mask, candidates.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

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
from system.refine import RefineConfig, refine_masks, regions
from system.schemas import PREDICTIONS
from system.settings import Settings
from system.training.epoch import resolve_precision

log = logging.getLogger(__name__)

REMOVAL_WARNING = 0.5  # share of a component; above it the CRF is suspected of destroying masses (METHODS 1.8)
NOT_FINITE = "map_not_finite: the network gave no numbers; set infer.precision to fp32, or take another checkpoint"
SIDES = {"left": Side.LEFT, "right": Side.RIGHT}


@dataclass
class Stopwatch:
    """Seconds by what they went into; one per call, as actors may be called by several threads."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def on(self, what: str) -> Iterator[None]:
        """Count the block's time."""
        began_s = time.perf_counter()
        yield
        self.seconds[what] += time.perf_counter() - began_s


class PredictorConfig(Settings):
    """What a predictor must know beside its checkpoint; travels as a dict of plain values."""

    method: str = "btv"  # key of methods.METHODS
    height_px: int = Field(default=1024, ge=32)  # canonical views of the archive
    width_px: int = Field(default=800, ge=32)
    batch_pairs: int = Field(default=8, ge=1)  # pairs in a forward pass; fewer are padded with all-zero images
    mask_threshold: float = Field(default=0.5, gt=0, lt=1)  # probability that counts as even odds before the CRF
    keep_maps: Literal["masked", "all"] = "masked"  # masked: 8 bit, where there is a mask; all: 16 bit, everywhere
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    device: Literal["cpu", "cuda"] = "cpu"
    num_threads: int = Field(default=1, ge=1)  # of torch, on the CPU
    refine: RefineConfig = RefineConfig()


class Predictor:
    """Answers batches of pairs with rows of schemas.PREDICTIONS, one per image that exists."""

    def __init__(self, checkpoint: str, config: Mapping[str, Any]) -> None:
        """Load the network. checkpoint: its folder;  config: PredictorConfig as a dict. Raises ValueError for a wrong checkpoint."""
        self.config = PredictorConfig.model_validate(config)
        if self.config.method not in METHODS:
            raise UserError(f"unknown method {self.config.method!r}: choose one of {', '.join(METHODS)}")
        # One thread while loading: Ray loads in one thread and calls in another, and the threads of two OpenMP teams spend a quarter of
        # their time asleep, because libgomp does not let more of them than there are cores wait actively.
        torch.set_num_threads(1)
        self.method = METHODS[self.config.method]
        self.model = self.method.load(Path(checkpoint), self.config.device)

    def __call__(self, batch: Mapping[str, NDArray[Any]], watch: Stopwatch | None = None) -> pa.Table:
        """Return the rows of a batch in its order, left before right. May be called by several threads at once.

        batch: columns study_id, view, {left,right}_id ("" = that breast is missing), {left,right}_key,
        {left,right}_pixels (bytes, uint16 [H, W], or None), error (text or None)
        watch: gets the seconds under `network` and `refine`
        """
        watch = watch or Stopwatch()
        torch.set_num_threads(self.config.num_threads)
        pairs = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        rows: list[dict[str, Any]] = []
        for start in range(0, len(pairs), self.config.batch_pairs):
            rows += self._predict(pairs[start : start + self.config.batch_pairs], watch)
        return pa.Table.from_pylist(rows, schema=PREDICTIONS)

    def _predict(self, pairs: list[dict[str, Any]], watch: Stopwatch) -> list[dict[str, Any]]:
        """Return the rows of at most batch_pairs pairs."""
        pixels = self._stack(pairs)
        present = [(i, name) for i, pair in enumerate(pairs) for name in SIDES if pair[f"{name}_id"]]
        readable = [(i, name) for i, name in present if pairs[i]["error"] is None]
        found = self._look(pixels, readable, watch) if readable else {}
        return [_identity(pairs[i], name) | found.get((i, name), {"error": pairs[i]["error"]}) for i, name in present]

    def _stack(self, pairs: list[dict[str, Any]]) -> NDArray[np.uint16]:
        """Return the pixels [2, batch_pairs, H, W], left then right, zero where there is nothing."""
        config = self.config
        pixels = np.zeros((len(SIDES), config.batch_pairs, config.height_px, config.width_px), dtype=np.uint16)
        for i, pair in enumerate(pairs):
            for side, name in enumerate(SIDES):
                if pair["error"] is None and pair[f"{name}_id"]:
                    pixels[side, i] = np.frombuffer(pair[f"{name}_pixels"], dtype=np.uint16).reshape(
                        config.height_px, config.width_px
                    )
        return pixels

    @torch.inference_mode()
    def _look(
        self, pixels: NDArray[np.uint16], readable: list[tuple[int, str]], watch: Stopwatch
    ) -> dict[tuple[int, str], dict[str, Any]]:
        """Run network and refinement; returns the findings of each readable image, named by pair and side."""
        place = np.array([list(SIDES).index(name) * self.config.batch_pairs + i for i, name in readable])
        with watch.on("network"):
            probability, p_image = self._forward(pixels)
            maps, p_images = probability[place], p_image[place].cpu().tolist()
            finite = (
                torch.isfinite(maps).flatten(1).all(dim=1).cpu()
            )  # waits for the device, so that its work is counted here
        with watch.on("refine"):
            views = pixels.reshape(-1, *pixels.shape[2:])[place]
            findings = self._refine(torch.nan_to_num(maps), views)
        looked = zip(p_images, findings, finite.tolist(), strict=True)
        rows = [{"p_image": p, **found} if is_number else {"error": NOT_FINITE} for p, found, is_number in looked]
        return dict(zip(readable, rows, strict=True))

    def _forward(self, pixels: NDArray[np.uint16]) -> tuple[Tensor, Tensor]:
        """Return probability maps [2 * batch_pairs, h, w] and image-level probabilities [2 * batch_pairs], left first."""
        device = self.config.device
        left, right = (
            torch.from_numpy(to_network(side)[:, None]).to(device, memory_format=torch.channels_last) for side in pixels
        )
        dtype = resolve_precision(self.config.precision, torch.device(device))
        with torch.autocast(device, dtype=dtype, enabled=dtype is not torch.float32):
            logits_left, logits_right, p_left, p_right = self.method.predict(self.model, left, right)
        maps = torch.sigmoid(torch.cat([logits_left, logits_right])[:, 0].float())
        return maps, torch.cat([p_left, p_right]).float()

    def _refine(self, maps: Tensor, views: NDArray[np.uint16]) -> list[dict[str, Any]]:
        """maps: [M, h, w] float;  views: [M, H, W];  returns the columns that describe each map."""
        config = self.config.refine
        size = (self.config.height_px, self.config.width_px)
        full = functional.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
        gray = torch.from_numpy(to_network(views)).to(full.device) * 255
        refined = refine_masks(full, gray, mask_threshold=self.config.mask_threshold, config=config)
        self._warn_of_removal(refined.removed)
        small, full = maps.cpu().numpy(), full.cpu().numpy()
        candidates = regions(full, floor=config.candidate_threshold, min_px=config.min_candidate_px)
        peaks = full.max(axis=(1, 2))
        return [
            {"peak": float(peaks[i]), "entropy": mean_entropy(small[i]), "crf_removed": float(refined.removed[i])}
            | self._findings(small[i], mask=refined.mask[i], candidates=candidates[i])
            for i in range(len(small))
        ]

    def _findings(
        self, small: NDArray[np.float32], *, mask: NDArray[np.bool_], candidates: list[Candidate]
    ) -> dict[str, Any]:
        """Return one image's columns. small: map at stride 4;  mask: canonical [H, W]."""
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
    """Return the mean entropy of a map in bits a cell, 0 (sure everywhere) to 1 (even odds everywhere). probability: [h, w], 0 to 1."""
    p = np.clip(probability.astype(np.float64), 1e-9, 1 - 1e-9)
    return float(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)).mean())


def _identity(pair: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {
        "image_key": int(pair[f"{name}_key"]),
        "image_id": pair[f"{name}_id"],
        "study_id": pair["study_id"],
        "side": SIDES[name].value,
        "view": pair["view"],
    }
