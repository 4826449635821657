"""What an inference comes to: lines while it runs, a record at its end, a table for the terminal."""

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from actors.predictor import REMOVAL_WARNING
from actors.shard_predictor import ShardFacts
from system.figures.console import two_columns
from system.figures.table import Table
from system.files.parquet import read_table
from system.place import PLACE
from system.run.results import InferResult
from system.schemas import PREDICTIONS

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 10.0
STEPS = ("read", "network", "refine", "write")  # in the order a pair goes through them
MIB = 1024**2


class InferProgress:
    """Collects the facts of shards as they are finished, and logs a line now and then."""

    def __init__(self, title: str, *, num_pairs: int) -> None:
        """num_pairs: how many there are to do."""
        self.title, self.num_pairs = title, num_pairs
        self.facts: list[ShardFacts] = []
        self._logged_s = time.monotonic()

    def add(self, facts: ShardFacts) -> None:
        """Add one shard."""
        self.facts.append(facts)
        done = sum(shard.num_pairs for shard in self.facts)
        PLACE.how_far = f"{done} of {self.num_pairs} pairs"
        if time.monotonic() - self._logged_s >= SECONDS_BETWEEN_LINES:
            self._logged_s = time.monotonic()
            log.info("%s: %s, %.1f images/s", self.title, PLACE.how_far, images_per_s(self.facts))


def images_per_s(facts: Sequence[ShardFacts]) -> float:
    """Return the rate between the first shard's beginning and the last one's end, without the actors' start."""
    if not facts:
        return 0.0
    duration_s = max(shard.ended_s for shard in facts) - min(shard.began_s for shard in facts)
    return sum(shard.num_images for shard in facts) / max(duration_s, 1e-9)


def wait_share(facts: Sequence[ShardFacts]) -> float:
    """Return the share of their time that predictors had nothing to do, 0 to 1, between their first and last shard."""
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for shard in facts:
        spans[shard.actor].append((shard.began_s, shard.ended_s))
    total_s = sum(max(end for _, end in own) - min(begin for begin, _ in own) for own in spans.values())
    busy_s = sum(_covered_s(own) for own in spans.values())
    return max(0.0, 1 - busy_s / total_s) if total_s > 0 else 0.0


def _covered_s(spans: Sequence[tuple[float, float]]) -> float:
    """Return the length of the union: an actor may work on two shards at once."""
    covered_s, until_s = 0.0, -np.inf
    for begin, end in sorted(spans):
        covered_s += max(0.0, end - max(begin, until_s))
        until_s = max(until_s, end)
    return covered_s


def summarise(files: Sequence[Path], facts: Sequence[ShardFacts], *, began_s: float, ended_s: float) -> InferResult:
    """Return the counts over all files, and the speed of the shards done in this start."""
    columns = ["mask_area_px", "crf_removed", "error"]
    empty = PREDICTIONS.empty_table().select(columns)
    rows = pa.concat_tables([empty, *(read_table(path, columns=columns) for path in files)])
    area_px, removed = (rows[name].fill_null(0).to_numpy() for name in columns[:2])
    return InferResult(
        num_images=len(rows),
        num_errors=len(rows) - rows["error"].null_count,
        num_masked=int((area_px > 0).sum()),
        num_crf_warnings=int((removed > REMOVAL_WARNING).sum()),
        duration_s=round(ended_s - began_s, 3),
        start_s=round(min((shard.began_s for shard in facts), default=began_s) - began_s, 3),
        images_per_s=round(images_per_s(facts), 2),
        wait_share=round(wait_share(facts), 3),
        num_predictors=len({shard.actor for shard in facts}),
        seconds={name: round(sum(getattr(shard, f"{name}_s") for shard in facts), 3) for name in STEPS},
        pixel_mib=round(sum(shard.pixel_bytes for shard in facts) / MIB, 1),
        written_mib=round(sum(shard.written_bytes for shard in facts) / MIB, 1),
        num_earlier_shards=len(files) - len(facts),
    )


def in_words(found: InferResult) -> str:
    """Return the result as a line."""
    counts = f"{found.num_images} images, {found.num_masked} with a mask, {found.num_errors} could not be read"
    if found.num_taken_over:
        counts += f"; {found.num_taken_over} taken over from an earlier inference"
    speed = f"{found.images_per_s:.1f} images/s after {found.start_s:.1f} s of start"
    return f"{counts}; {speed}, predictors waited {found.wait_share:.0%}"


def summary_table(title: str, found: InferResult) -> Table:
    """Return the result for the terminal."""
    lines = {
        "images": found.num_images,
        "with a mask": found.num_masked,
        "could not be read": found.num_errors,
        "lost more than half of a component to the CRF": found.num_crf_warnings,
        "images/s, once started": found.images_per_s,
        "seconds in all / until the first pair": f"{found.duration_s:.1f} / {found.start_s:.1f}",
        "predictors, and their share of waiting": f"{found.num_predictors}, {found.wait_share:.0%}",
        "seconds by step, over all workers": ", ".join(f"{name} {found.seconds[name]:.1f}" for name in STEPS),
        "MiB decoded / written": f"{found.pixel_mib} / {found.written_mib}",
        "shards of earlier starts": found.num_earlier_shards,
        "images looked at before, by the same model": found.num_taken_over,
    }
    return two_columns(f"Inference, {title}", lines)
