"""Catch up with what has come since a run last looked: label, infer and sort it, and train nothing.

Only what is new is labelled and inferred, by the model that is promoted; the next round finds it done.
"""

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import infer, label
from pipelines.infer import InferJob
from system.archive import Archive, pair_table, share_of_patients
from system.config import RunConfig
from system.continuous import caught_up
from system.continuous.caught_up import CaughtUp
from system.mining import QuadrantCounts, on_these_pictures, verdicts_of
from system.records import P0, Split
from system.run.ahead import Ahead
from system.run.folder import RunFolder
from system.run.maps_kept import Kept
from system.run.systems import Round, System

log = logging.getLogger(__name__)


def run(archive_uri: str, out: Path, *, system: str, config: RunConfig) -> CaughtUp:
    """Label what is new, infer it with a system's model, and return what the weak images stand for.

    Needs a running Ray.

    system: folder of the promoted system in the run
    config: the run's own, perhaps with other resources

    Raises UserError for a system that is not measured.
    """
    folder = RunFolder(out.resolve())
    with folder.claimed(config):
        promoted = folder.trained(system)
        resources = config.resources
        labelled = label.refresh(
            archive_uri, config=config.reports, resources=resources.reports, stage=folder.labelling
        )
        log.info("%s", labelled.line())
        archive = Archive.open(archive_uri)
        now = archive.pinned(archive.versions())
        ahead = Ahead(folder.path, promoted.model_name)
        images = now.table("images")
        kept, num_inferred = _infer(images, promoted, ahead, archive_uri=archive_uri, config=config)
        p0, counts, num_new = _sorted(kept, images, now, folder.trained_rounds(), promoted, config=config)
        first, *later = ahead.parts() or [None]
        result = CaughtUp(
            system=promoted.name,
            model=ahead.model,
            archive_versions=now.versions(),
            num_rounds=folder.num_done,
            report_models=folder.labelling.result().models,
            num_labelled=labelled.num_labelled,
            num_inferred=num_inferred,
            p0=p0,
            counts=counts,
            num_new_samples=num_new,
            map_drift=caught_up.map_drift(
                first.paths() if first else [], [path for part in later if part for path in part.paths()]
            ),
        )
        caught_up.write(result, run=folder.path)
        log.info("%d images looked at; at p0 %g: %s; %d of them new", num_inferred, p0, counts.line(), num_new)
        return result


def _infer(
    images: pa.Table, promoted: System, ahead: Ahead, *, archive_uri: str, config: RunConfig
) -> tuple[list[Kept], int]:
    """Look at the weak images that the model has not seen; return the rows that stand for all, and how many are new."""
    weak = images.filter(pc.field("split") == str(Split.WEAK))
    pairs = pair_table(share_of_patients(weak, share=config.weak_share))
    job = InferJob(
        archive_uri,
        promoted.model,
        config.infer,
        config.resources.infer,
        promoted.thresholds.result().mask_threshold,
    )
    return infer.look_ahead(pairs, job, ahead=ahead)


def _sorted(
    kept: list[Kept], images: pa.Table, now: Archive, rounds: list[Round], promoted: System, *, config: RunConfig
) -> tuple[P0, QuadrantCounts, int]:
    """Return the last p0 of a round, the quadrants at it, and how many images would train that have not trained yet."""
    p0 = config.rounds.p0.values(config.rounds.train.num_epochs)[-1]
    disputed_train = config.rounds.disputed == "train"
    verdicts = verdicts_of(on_these_pictures(now.table("verdicts"), images), images, round_number=1)
    counts, trains = caught_up.sort(
        kept, labels=now.table("labels"), images=images, verdicts=verdicts, p0=p0, disputed_train=disputed_train
    )
    known: set[int] = set()
    for this in [each for each in rounds if each == promoted or each == rounds[-1]]:
        pool = this.pools.path(this.pools.result().pool_of(p0).file)
        known |= set(caught_up.trained_on(pool, disputed_train=disputed_train).tolist())
    return p0, counts, len(set(trains.tolist()) - known)
