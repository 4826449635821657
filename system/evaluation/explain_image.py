"""Explain one image of a run: why each candidate found a lesion or not, and in which pools the image is, and why."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from system.archive import Archive
from system.archive.delta import one_of
from system.config import RunConfig
from system.errors import UserError
from system.evaluation.read_back import read_back
from system.files.json_out import Measured
from system.files.parquet import read_table
from system.metrics import FrocConfig
from system.mining import quadrants, read_pool
from system.mining.pools import POOLED
from system.mining.rules import cut_labels
from system.own_peak import SHARE
from system.records import P0, Box, Quadrant, Side, Split
from system.reports.annotated import read_reports
from system.reports.rules import sentence_on
from system.rounds import RoundsConfig
from system.run.folder import RunFolder
from system.run.predictions import read_predictions
from system.run.results import FrocResult, Pool
from system.run.systems import Round, System

_IMAGE = [  # the first fields of ImageFacts
    "image_id",
    "image_key",
    "study_id",
    "side",
    "view",
    "split",
    "source",
    "pixel_sha",
]


@dataclass(frozen=True)
class ImageFacts:
    """What the archive has of an image, at the versions the run is pinned to."""

    image_id: str
    image_key: int
    study_id: str
    side: str
    view: str
    split: str
    source: str
    pixel_sha: str
    num_lesions: int  # components of the annotated mask; 0 also where it was never annotated
    p_mass: Measured  # by the report, 0 to 1; NaN without a label
    sentence: str  # of the report, on this breast; "" = there is no report
    verdicts: tuple[str, ...]  # radiologists' verdicts, oldest first, as the archive has them today


@dataclass(frozen=True)
class CandidateOutcome:
    """One candidate of one system, and why it counts as it does."""

    box_px: Box  # canonical view
    score: float  # highest probability inside, 0 to 1
    area_px: int
    outcome: str  # TP, FP, duplicate
    nearest_lesion: int  # number within the image; -1 = it touches none
    iou: float  # with it, also below the limit of a hit
    why: str


@dataclass(frozen=True)
class LesionOutcome:
    """One lesion of a held-out image."""

    lesion: int  # number within the image
    area_px: int  # canonical
    found_at: Measured  # score of the candidate that found it; NaN where none did


@dataclass(frozen=True)
class SystemAnswer:
    """What one system makes of a held-out image."""

    title: str
    candidate_threshold: Measured  # where a candidate begins; NaN where no threshold decides it
    begin: str  # where a candidate begins, in words
    mask_threshold: float
    min_iou: float  # a hit overlaps its lesion by more
    min_candidate_px: int
    min_lesion_px: int  # smaller components of the annotated mask do not count as lesions
    error: bool  # the image could not be read, and counts as without candidates
    candidates: tuple[CandidateOutcome, ...]  # by falling score
    lesions: tuple[LesionOutcome, ...]


class ReportReading(StrEnum):
    """What the report of an image counts as at one p0."""

    MASS = "mass"
    NO_MASS = "no mass"
    NOT_SURE = "not sure enough"
    NO_LABEL = "no label"
    REPLACED = "replaced by a later report or a verdict"  # which is kept of images in a pool only


@dataclass(frozen=True)
class PoolAnswer:
    """Where a weak image stands at one p0 of a round."""

    step: int
    p0: P0
    # Of an image in the pool, updates included; of another, its label when the run began; NaN without one.
    p_mass: Measured
    report: ReportReading
    quadrant: str  # TP, FP, FN, TN, UNUSED; "TN or UNUSED" where the label that counted is not known
    trains: bool  # it is in the pool, and the round's settings do not leave such images out
    disputed: bool  # FP of which the map is surer than of half of TP


@dataclass(frozen=True)
class RoundAnswer:
    """What a round made of a weak image."""

    number: int  # from 1
    model: str  # title of the system that looked at it
    mask_threshold: float  # of that system
    score: Measured  # highest probability of a candidate; NaN where the image could not be read
    has_mask: bool
    error: str  # why it could not be read; "" = it could
    outlined: bool  # a radiologist has outlined a mass in it: it trains as an annotated image, and is in no pool
    pools: tuple[PoolAnswer, ...]  # by step


@dataclass(frozen=True)
class Explanation:
    """One image of a run."""

    image: ImageFacts
    systems: tuple[SystemAnswer, ...]  # of a held-out image
    rounds: tuple[RoundAnswer, ...]  # of a weak image


def explain_image(run: RunFolder, image_id: str, *, archive: Archive, config: RunConfig) -> Explanation:
    """Return why an image of a run was judged and pooled as it was.

    image_id: as in the archive's tables and in the evaluation's files;  archive: pinned to the run's versions
    Raises UserError for an image that the run's archive does not have.
    """
    image = _facts(image_id, archive, config=config, run_name=run.name)
    held_out = image.split in (Split.VALIDATION, Split.TEST)
    systems = tuple(_system_answer(system, image) for system in run.systems()) if held_out else ()
    weak = image.split == Split.WEAK
    mined_with = image
    if config.loss.report_labels == "hard_before":
        mined_with = replace(image, p_mass=float(cut_labels(np.array([image.p_mass]))[0]))
    rounds = tuple(_round_answer(run, this, mined_with, config=config.rounds) for this in run.rounds()) if weak else ()
    return Explanation(image, systems, rounds)


def _facts(image_id: str, archive: Archive, *, config: RunConfig, run_name: str) -> ImageFacts:
    rows = archive.table("images", columns=_IMAGE, where=one_of("image_id", [image_id])).to_pylist()
    if not rows:
        raise UserError(
            f"the archive of run {run_name} has no image {image_id[:40]!r}: take an image_id from the run's files, "
            "e.g. of stage1/froc, candidates.parquet"
        )
    row = rows[0]
    masks = archive.table("masks", where=one_of("image_id", [image_id])).to_pylist()
    labels = archive.table("labels", where=one_of("study_id", [row["study_id"]]))
    p_mass = labels.filter(pc.field("side") == row["side"])["p_mass"].to_pylist()
    read = read_reports(archive.table("reports", where=one_of("study_id", [row["study_id"]])), config=config.reports)
    today = Archive.open(archive.uri).table("verdicts", where=one_of("image_id", [image_id])).to_pylist()
    return ImageFacts(
        **row,
        num_lesions=masks[0]["num_lesions"] if masks else 0,
        p_mass=p_mass[0] if p_mass and p_mass[0] is not None else float("nan"),
        sentence=sentence_on(read.sections[0], Side(row["side"])) if read.sections else "",
        verdicts=tuple(verdict["verdict"] for verdict in sorted(today, key=lambda verdict: verdict["at"])),
    )


def _system_answer(system: System, image: ImageFacts) -> SystemAnswer:
    """Raises NotFinished where the system was not evaluated on the image's split."""
    stage = system.froc(Split(image.split))
    result, kept = stage.result(), read_back(stage)
    rows = kept.candidates.filter(pc.field("image_id") == image.image_id).sort_by([("score", "descending")])
    candidates = tuple(_candidate(row, rules=result) for row in rows.to_pylist())
    lesions = kept.lesions.filter(pc.field("image_id") == image.image_id).to_pylist()
    (error,) = kept.images.filter(pc.field("image_id") == image.image_id)["error"].to_pylist()
    found_at = {found.nearest_lesion: found.score for found in candidates if found.outcome == "TP"}
    return SystemAnswer(
        title=system.title,
        candidate_threshold=result.rules.candidate_threshold if result.rules.needs_threshold else float("nan"),
        begin=_begin(result.rules),
        mask_threshold=result.mask_threshold,
        min_iou=result.rules.iou,
        min_candidate_px=result.rules.min_candidate_px,
        min_lesion_px=result.rules.min_lesion_px,
        error=error,
        candidates=candidates,
        lesions=tuple(
            LesionOutcome(row["lesion"], row["area_px"], found_at.get(row["lesion"], float("nan"))) for row in lesions
        ),
    )


def _begin(rules: FrocConfig) -> str:
    """Return where a candidate begins, in words."""
    if rules.regions == "mask":
        return "the edge of the mask"
    return f"{SHARE:g} of their own peak" if rules.candidates == "own_peak" else f"{rules.candidate_threshold:.3g}"


def _candidate(row: dict[str, float | int | str], *, rules: FrocResult) -> CandidateOutcome:
    outcome, lesion, iou = str(row["outcome"]), int(row["lesion"]), float(row["iou"])
    nearest = lesion if lesion >= 0 else int(row["nearest_lesion"])
    return CandidateOutcome(
        box_px=(int(row["x0"]), int(row["y0"]), int(row["x1"]), int(row["y1"])),
        score=float(row["score"]),
        area_px=int(row["area_px"]),
        outcome=outcome,
        nearest_lesion=nearest,
        iou=iou,
        why=why(outcome, nearest_lesion=nearest, iou=iou, min_iou=rules.rules.iou),
    )


def why(outcome: str, *, nearest_lesion: int, iou: float, min_iou: float) -> str:
    """Return in a sentence why a candidate counts as it does."""
    if outcome == "TP":
        return f"finds lesion {nearest_lesion}: IoU {iou:.3f} is above {min_iou:g}"
    if outcome == "duplicate":
        return f"IoU {iou:.3f} with lesion {nearest_lesion}, which another candidate had found"
    if nearest_lesion < 0:
        return "touches no lesion"
    return f"IoU {iou:.3f} with lesion {nearest_lesion}: a hit needs more than {min_iou:g}"


def _round_answer(run: RunFolder, this: Round, image: ImageFacts, *, config: RoundsConfig) -> RoundAnswer:
    model, mined = run.before(this.number), this.pools.result()
    outlined = read_table(this.pools.path(mined.outlined), columns=["image_key"])["image_key"].to_pylist()
    seen = next(read_predictions(this.predictions, [image.image_key]), None)
    found = seen and not seen.error and _pool_answers(this, mined.pools, image, has_mask=seen.has_mask, config=config)
    return RoundAnswer(
        number=this.number,
        model=model.title,
        mask_threshold=model.thresholds.result().mask_threshold,
        score=seen.score if seen else float("nan"),
        has_mask=seen.has_mask if seen else False,
        error=seen.error if seen else "it was not among the weak images of this run",
        outlined=image.image_key in outlined,
        pools=tuple(found or ()),
    )


def _pool_answers(
    this: Round, pools: tuple[Pool, ...], image: ImageFacts, *, has_mask: bool, config: RoundsConfig
) -> Iterator[PoolAnswer]:
    for pool in pools:
        if member := _member(this.pools.path(pool.file), image.image_key):
            report, trains = _report_reading(member.p_mass, p0=pool.p0), member.trains(config)
            yield PoolAnswer(
                pool.step, pool.p0, member.p_mass, report, member.quadrant.name, trains, disputed=member.disputed
            )
            continue
        quadrant, p_mass = _quadrant(image.p_mass, has_mask=has_mask, p0=pool.p0), image.p_mass
        report, name = _report_reading(p_mass, p0=pool.p0), quadrant.name
        if quadrant in POOLED:  # with this label it would be in the pool: another one counted
            p_mass, report, name = float("nan"), ReportReading.REPLACED, "TN or UNUSED"
        yield PoolAnswer(pool.step, pool.p0, p_mass, report, name, trains=False, disputed=False)


@dataclass(frozen=True)
class _Member:
    """An image in a pool."""

    quadrant: Quadrant
    p_mass: float
    disputed: bool

    def trains(self, config: RoundsConfig) -> bool:
        """Return whether the round's batches can hold it."""
        if self.disputed:
            return config.disputed == "train"
        return self.quadrant is not Quadrant.FN or config.fn_in_batch != 0


def _report_reading(p_mass: float, *, p0: P0) -> ReportReading:
    if np.isnan(p_mass):
        return ReportReading.NO_LABEL
    match _quadrant(p_mass, has_mask=True, p0=p0):  # with a mask given, the report alone decides
        case Quadrant.TP:
            return ReportReading.MASS
        case Quadrant.FP:
            return ReportReading.NO_MASS
        case _:
            return ReportReading.NOT_SURE


def _quadrant(p_mass: float, *, has_mask: bool, p0: P0) -> Quadrant:
    return Quadrant(int(quadrants(np.array([p_mass], np.float32), np.array([has_mask]), p0=p0)[0]))


def _member(path: Path, key: int) -> _Member | None:
    """Return an image of a pool, None where it is not in it."""
    pool = read_pool(path)
    rows: NDArray[np.int64] = np.flatnonzero(pool["image_key"].to_numpy() == key)
    if not len(rows):
        return None
    row = pool.slice(int(rows[0]), 1)
    quadrant, p_mass, disputed = (row[name][0].as_py() for name in ("quadrant", "p_mass", "disputed"))
    return _Member(Quadrant(quadrant), float(p_mass), disputed)
