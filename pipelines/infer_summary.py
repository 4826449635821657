"""What an inference came to: lines while it runs, numbers at its end."""

import logging
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.table import Table

from actors.predictor import REMOVAL_WARNING
from actors.shard_predictor import ShardFacts
from pipelines.console import two_columns
from system.archive.tables import PREDICTIONS
from system.runs import Stage

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 10.0
STAGES = ("read", "network", "refine", "write")  # in the order a pair goes through them
MIB = 1024**2


class Progress:
    """Collects the facts of shards as they are finished, and logs a line now and then."""

    def __init__(self, title: str, *, num_pairs: int) -> None:
        """num_pairs: how many there are to do."""
        self.title, self.num_pairs = title, num_pairs
        self.facts: list[ShardFacts] = []
        self._said_s = time.monotonic()

    def add(self, facts: ShardFacts) -> None:
        """Take in one shard."""
        self.facts.append(facts)
        if time.monotonic() - self._said_s >= SECONDS_BETWEEN_LINES:
            self._said_s = time.monotonic()
            done = sum(shard.num_pairs for shard in self.facts)
            log.info("%s: %d of %d pairs, %.1f images/s", self.title, done, self.num_pairs, images_per_s(self.facts))


def images_per_s(facts: list[ShardFacts]) -> float:
    """Return the rate between the first shard's beginning and the last one's end, so without the start of the actors."""
    if not facts:
        return 0.0
    duration_s = max(shard.ended_s for shard in facts) - min(shard.began_s for shard in facts)
    return sum(shard.num_images for shard in facts) / max(duration_s, 1e-9)


def wait_share(facts: list[ShardFacts]) -> float:
    """Return the share of their time that predictors had nothing to do, 0 to 1: from an actor's first shard to its last one's end."""
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for shard in facts:
        spans[shard.actor].append((shard.began_s, shard.ended_s))
    total_s = sum(max(end for _, end in own) - min(begin for begin, _ in own) for own in spans.values())
    busy_s = sum(_covered_s(own) for own in spans.values())
    return max(0.0, 1 - busy_s / total_s) if total_s > 0 else 0.0


def _covered_s(spans: list[tuple[float, float]]) -> float:
    """Return the length of the union: an actor may work on two shards at once."""
    covered_s, until_s = 0.0, -np.inf
    for begin, end in sorted(spans):
        covered_s += max(0.0, end - max(begin, until_s))
        until_s = max(until_s, end)
    return covered_s


def summarise(files: list[Path], facts: list[ShardFacts], *, began_s: float, ended_s: float) -> dict[str, Any]:
    """Return the counts over all files, and the speed of the shards done in this start.

    images, errors, masked, crf_warnings: rows;  duration_s: all of this start, start_s: of it before the first shard was begun
    images_per_s: once started;  wait_share: of the predictors' time;  seconds: by stage, summed over its workers
    """
    columns = ["mask_area_px", "crf_removed", "error"]
    rows = pa.concat_tables([PREDICTIONS.empty_table().select(columns), *(pq.ParquetFile(path).read(columns) for path in files)])
    area_px, removed = (rows[name].fill_null(0).to_numpy() for name in columns[:2])
    return {
        "images": len(rows),
        "errors": len(rows) - rows["error"].null_count,
        "masked": int((area_px > 0).sum()),
        "crf_warnings": int((removed > REMOVAL_WARNING).sum()),
        "duration_s": round(ended_s - began_s, 3),
        "start_s": round(min((shard.began_s for shard in facts), default=began_s) - began_s, 3),
        "images_per_s": round(images_per_s(facts), 2),
        "wait_share": round(wait_share(facts), 3),
        "predictors": len({shard.actor for shard in facts}),
        "seconds": {name: round(sum(getattr(shard, f"{name}_s") for shard in facts), 3) for name in STAGES},
        "pixel_mib": round(sum(shard.pixel_bytes for shard in facts) / MIB, 1),
        "written_mib": round(sum(shard.written_bytes for shard in facts) / MIB, 1),
        "shards_from_earlier_starts": len(files) - len(facts),
    }


def in_words(metrics: dict[str, Any]) -> str:
    """Return what `summarise` found as a line."""
    counts = f"{metrics['images']} images, {metrics['masked']} with a mask, {metrics['errors']} could not be read"
    speed = f"{metrics['images_per_s']:.1f} images/s after {metrics['start_s']:.1f} s of start"
    return f"{counts}; {speed}, predictors waited {metrics['wait_share']:.0%}"


def summary_table(stage: Stage) -> Table:
    """Return a finished inference's numbers for the terminal."""
    manifest = stage.manifest()
    assert manifest is not None, "the stage is finished"
    found = manifest.metrics
    lines = {
        "images": found["images"],
        "with a mask": found["masked"],
        "could not be read": found["errors"],
        "lost more than half of a component to the CRF": found["crf_warnings"],
        "images/s, once started": found["images_per_s"],
        "seconds in all / until the first pair": f"{found['duration_s']:.1f} / {found['start_s']:.1f}",
        "predictors, and their share of waiting": f"{found['predictors']}, {found['wait_share']:.0%}",
        "seconds by stage, over all workers": ", ".join(f"{name} {found['seconds'][name]:.1f}" for name in STAGES),
        "MiB decoded / written": f"{found['pixel_mib']} / {found['written_mib']}",
        "files": len(manifest.files),
    }
    return two_columns(f"Inference, {stage.name}", lines)
