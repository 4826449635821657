"""The plain rows that a run's tables and page are made of. They are filled in pipelines/, so nothing here knows stages or tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from system.training.epoch_row import EpochRow

NAN = float("nan")
BASELINE = "supervised"  # the row that differences are taken from, unless another is named


@dataclass(frozen=True)
class HeadlineRow:
    """One system in the main table."""

    title: str  # "supervised", "as many more supervised steps", "round 1", …
    sensitivity: Mapping[str, float]  # false positives per image as text ("0.1") -> 0 to 1; NaN without lesions
    mean: float  # of the sensitivities
    interval: tuple[float, float]  # 95 %, of the mean
    difference: float = NAN  # of the mean from the baseline's; NaN where it is not compared
    difference_interval: tuple[float, float] = (NAN, NAN)  # 95 %, paired by patient


@dataclass(frozen=True)
class FrocSeries:
    """One system's curve."""

    title: str
    fppi: Sequence[float]  # operating points where the sensitivity changes, in order, and the last
    sensitivity: Sequence[float]  # 0 to 1
    band: Sequence[
        tuple[float, float, float]
    ] = ()  # false positives per image, low and high of the 95 % interval there


@dataclass(frozen=True)
class PoolRow:
    """What the miner found at one p0 of one round, in images."""

    round: int  # from 1
    p0: float
    tp: int
    fp: int
    fn: int
    tn: int
    unused: int  # the report is not sure enough


@dataclass(frozen=True)
class TrainingCurve:
    """One training, epoch by epoch."""

    title: str  # of the system that it trained
    rows: Sequence[EpochRow]


@dataclass(frozen=True)
class EpochPool:
    """The pool that one epoch of a round trained on, in images."""

    round: int  # from 1
    epoch: int  # of the round, from 1
    p0: float
    tp: int
    fp: int
    fn: int


@dataclass(frozen=True)
class FlowRow:
    """How the images moved between the quadrants since the round before, at one p0."""

    round: int  # from 2
    p0: float
    ways: Mapping[str, int]  # "FN>TP" -> images
    reasons: Mapping[str, int]  # label, map, both, verdict -> images


@dataclass(frozen=True)
class Reliability:
    """How far the report models' probabilities can be taken at their word."""

    title: str  # "left", "right"
    p_mass: Sequence[float]  # mean of each filled tenth, calibrated, 0 to 1
    share: Sequence[float]  # of its breasts that have a mass
    count: Sequence[int]  # its breasts
    raw: Sequence[tuple[float, float]] = ()  # probability and share before calibration


@dataclass(frozen=True)
class MinedItem:
    """One image of a pool, as the miner saw it."""

    image: np.ndarray  # [H, W] uint16, canonical view
    probability: np.ndarray | None  # [h, w] float, 0 to 1; None: no map was kept, because it holds no mask
    sentence: str  # of the report, scrubbed
    caption: str  # no patient data


@dataclass(frozen=True)
class PurityRow:
    """How many members of a pool are what the report and the map say, where the truth is known."""

    round: int  # from 1
    p0: float
    quadrant: str  # TP, FP, FN
    num_images: int
    right: float  # share, 0 to 1: with a mass in TP and FN, without in FP


@dataclass(frozen=True)
class LabelRow:
    """How well the reports of one side were read, on the folds held out (seed 000, table 2)."""

    title: str  # "left", "left, by rules", "left, zh", …
    num_breasts: int
    f1: float
    weighted_f1: float
    accuracy: float
    auroc: float = NAN
    ece_before: float = NAN  # expected calibration error before the temperatures; NaN for what is not calibrated
    ece: float = NAN
    brier: float = NAN
    coverage: Mapping[str, float] = field(
        default_factory=dict
    )  # p0 as text -> share of breasts whose answer is beyond it either way


@dataclass(frozen=True)
class ReproducedRow:
    """One row of a table of the paper: what we measured, and what it printed."""

    labels: tuple[str, ...]  # one for each of the table's headings
    sensitivity: tuple[float, ...]  # at each number of false positives per image, mean over the seeds, 0 to 1
    mean: float
    interval: tuple[float, float]  # 95 %, of the mean
    each: tuple[float, ...]  # the mean of each seed
    paper: Mapping[float, float]  # false positives per image -> what it prints there
    paper_mean: float  # of its own operating points; NaN where it prints none or ours are others
    gain: float = NAN  # over the row without weak data
    gain_interval: tuple[float, float] = (NAN, NAN)  # 95 %, paired by patient
    more_steps: float = NAN  # mean of the model without weak data, trained for as many more steps


@dataclass(frozen=True)
class GalleryItem:
    """One image to look at."""

    image: np.ndarray  # [H, W] uint16, canonical view
    truth: np.ndarray  # [H, W] bool; all False where there is no mass
    map_before: np.ndarray  # [H, W] or coarser, float, 0 to 1
    map_after: np.ndarray  # same shape as map_before
    caption: str  # no patient data


@dataclass(frozen=True)
class PageData:
    """Everything on a run's page; what is empty is left out of it."""

    title: str
    headline: Sequence[HeadlineRow]
    baseline: str = BASELINE  # the row that differences are taken from
    rules: Sequence[str] = ()  # of the evaluation, one sentence each
    froc: Sequence[FrocSeries] = ()
    pools: Sequence[PoolRow] = ()
    epoch_pools: Sequence[EpochPool] = ()
    flows: Sequence[FlowRow] = ()
    purity: Sequence[PurityRow] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)  # what was chosen on validation -> value
    labels: Sequence[LabelRow] = ()
    reliability: Sequence[Reliability] = ()
    trainings: Sequence[TrainingCurve] = ()
    galleries: Mapping[str, Sequence[GalleryItem]] = field(default_factory=dict)  # heading -> images
    mined: Mapping[str, Sequence[MinedItem]] = field(default_factory=dict)  # heading -> images
    seconds: Mapping[str, float] = field(default_factory=dict)  # stage -> how long it took, the slowest first
    config: str = ""  # the resolved config, YAML
    facts: Mapping[str, str | int | float] = field(default_factory=dict)  # versions, digests, counts, durations
