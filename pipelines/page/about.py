"""What a run's page states of the run as a whole: its data, when and how long, on what, and its stages in time."""

import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import accumulate

import pyarrow as pa
import pyarrow.compute as pc

from system.archive import Archive, share_of_patients
from system.config import RunConfig
from system.durations import duration_in_words
from system.evaluation.read_back import by_group
from system.figures.rows import NAN, PartRow, SplitRow, TimeRow
from system.metrics import FrocConfig
from system.records import Split
from system.run.code import code_digest
from system.run.folder import RunFolder
from system.run.progress import FinishedStage, Progress, title_of
from system.run.starts import starts_of
from system.run.systems import System

_PARTS = {
    "checkpoint": "training",
    "predictions": "inference on weak images",
    "held_out": "inference on held-out images",
    "pools": "mining",
    "thresholds": "thresholds",
    "froc": "evaluation on test",
    "validated": "evaluation on validation",
    "promotion": "comparison with the model before",
}
_ALONE = {"labels": "reports: models and labels", "archive": "archive pinned", "chosen": "result chosen"}


def split_rows(archive: Archive, config: RunConfig) -> list[SplitRow]:
    """Return what the run has of each split; lesions where masks are used. archive: pinned to the run's versions."""
    images = archive.table("images", columns=["image_id", "patient_id", "split"])
    masks = archive.table("masks", columns=["image_id", "num_lesions"])
    return [_split_row(split, _used(images, split, config), masks) for split in Split]


def _used(images: pa.Table, split: Split, config: RunConfig) -> pa.Table:
    members = images.filter(pc.field("split") == str(split))
    return share_of_patients(members, share=config.weak_share) if split is Split.WEAK else members


def _split_row(split: Split, members: pa.Table, masks: pa.Table) -> SplitRow:
    theirs = masks.filter(pc.field("image_id").isin(members["image_id"].combine_chunks()))
    lesions = NAN if split is Split.WEAK else float(pc.sum(theirs["num_lesions"]).as_py() or 0)
    return SplitRow(str(split), len(pc.unique(members["patient_id"])), len(members), lesions)


def about(run: RunFolder, config: RunConfig, progress: Progress) -> dict[str, str]:
    """Return when the run was done, how long it took, and on what, in words."""
    starts, finished = starts_of(run.path), progress.finished
    found: dict[str, str] = {}
    lost = _times_are_lost(finished)
    if starts:
        found["begun"] = _at(datetime.fromisoformat(starts[0].at))
    elif finished and not lost:
        found["begun"] = _at(datetime.fromtimestamp(finished[0].began_s, UTC))
    if progress.state == "finished" and not lost:
        found["finished"] = _at(datetime.fromtimestamp(max(each.ended_s for each in finished), UTC))
    if finished:
        found["work"] = f"{duration_in_words(sum(each.seconds for each in finished))} in {len(finished)} stages"
        if len(starts) > 1:
            found["work"] += f", started {len(starts)} times"
    if starts:
        found["hardware"] = "; later: ".join(dict.fromkeys(start.hardware for start in starts))
    found["network"] = f"{config.method}, {config.net.backbone}"
    return found


def _at(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def timeline(finished: Sequence[FinishedStage]) -> list[TimeRow]:
    """Return the run's own stages in the order in which they ended; later evaluations by other rules are left out.

    Stages of a copied run whose times are lost stand end to end.
    """
    named = [(title, stage) for stage in finished if (title := stage_title(stage.name))]
    if _times_are_lost(finished):
        ends = accumulate(stage.seconds for _, stage in named)
        return [
            TimeRow(title, end - stage.seconds, stage.seconds) for (title, stage), end in zip(named, ends, strict=True)
        ]
    first_s = min((stage.began_s for _, stage in named), default=0.0)
    return [TimeRow(title, stage.began_s - first_s, stage.seconds) for title, stage in named]


def _times_are_lost(finished: Sequence[FinishedStage]) -> bool:
    """Return whether stages overlap by their times on disk, as they do in a copy that did not keep these."""
    if not finished:
        return False
    whole_s = max(stage.ended_s for stage in finished) - min(stage.began_s for stage in finished)
    return sum(stage.seconds for stage in finished) > 1.05 * whole_s + 1


def stage_title(name: str) -> str:
    """Return a stage's name for people, e.g. of round_01/checkpoint; "" for one that is not of the loop."""
    if name.partition("_")[0] == "labels":
        return _ALONE["labels"]
    system, _, part = name.partition("/")
    if not part:
        return _ALONE.get(name, "")
    return f"{title_of(system)}: {_PARTS[part]}" if part in _PARTS else ""


def part_rows(supervised: System, shown: System, *, rules: FrocConfig) -> Iterator[PartRow]:
    """Give both systems on each part of the test images and lesions; one that shows no lesion is left out."""
    before = {(row.kind, row.name): row.mean for row in by_group(supervised.froc(), config=rules)}
    for row in by_group(shown.froc(), config=rules):
        if row.num_lesions:
            was = before[row.kind, row.name]
            yield PartRow(row.kind, row.name, row.num_images, row.num_lesions, was, row.mean, row.interval.pair())


def facts(archive: Archive | None) -> dict[str, str]:
    """Return what the numbers were made of: code, packages as installed here, versions of the archive's tables."""
    packages = ("mammoloop", "torch", "timm", "ray")
    found = {"code": code_digest(), "Python": platform.python_version()} | {name: version(name) for name in packages}
    if archive:
        found |= {f"archive table {name}": f"version {at}" for name, at in archive.versions().items()}
    return found
