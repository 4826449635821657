"""The plain rows that a run's tables and page are made of.

They are filled in pipelines/: nothing here depends on stages or tables of a run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from system.records import P0, Box
from system.training.epoch_row import EpochRow

NAN = float("nan")
BASELINE = "supervised"  # the row that differences are taken from, unless another is named


@dataclass(frozen=True)
class Caution:
    """A warning to whoever reads the page."""

    sentence: str
    about: str  # the part of the page that it is about, by its anchor


@dataclass(frozen=True)
class HeadlineRow:
    """One system in the main table."""

    title: str  # "supervised", "control 1", "round 1", …
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
    # False positives per image, and low and high end of the 95 % interval there.
    band: Sequence[tuple[float, float, float]] = ()


@dataclass(frozen=True)
class PoolRow:
    """The quadrants at one p0 of one round, in images."""

    round: int  # from 1
    p0: P0
    tp: int
    fp: int
    fn: int
    tn: int
    unused: int  # the report is not sure enough
    disputed: int = 0  # of FP: the map is surer of a mass than in half of TP


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
    p0: P0
    tp: int
    fp: int
    fn: int


@dataclass(frozen=True)
class FlowRow:
    """How the images moved between the quadrants since the round before, at one p0."""

    round: int  # from 2
    p0: P0
    ways: Mapping[str, int]  # "FN>TP" -> images
    reasons: Mapping[str, int]  # label, map, both, verdict -> images


@dataclass(frozen=True)
class Reliability:
    """How well the report models' probabilities are calibrated, on one side."""

    title: str  # "left", "right"
    p_mass: Sequence[float]  # mean of each filled tenth, calibrated, 0 to 1
    share: Sequence[float]  # of its breasts that have a mass
    count: Sequence[int]  # its breasts
    raw: Sequence[tuple[float, float]] = ()  # probability and share before calibration


@dataclass(frozen=True)
class MinedItem:
    """One image of a pool, with the map by which it was mined."""

    image: NDArray[np.uint16]  # [H, W] canonical view
    probability: NDArray[np.float32] | None  # [h, w], 0 to 1; None: no map was kept, because there is no mask
    sentence: str  # of the report, scrubbed
    caption: str  # no patient data
    image_id: str = ""
    flag: str = ""  # where rules and report models read the report differently, in words


@dataclass(frozen=True)
class MinedGallery:
    """Images of a pool, or of all pools."""

    heading: str
    how: str  # they were chosen, a sentence
    items: Sequence[MinedItem]


@dataclass(frozen=True)
class SplitRow:
    """What a run had of one split."""

    split: str
    num_patients: int
    num_images: int
    lesions: float  # components of the annotated masks; NaN where masks are not used


@dataclass(frozen=True)
class PartRow:
    """Two systems on one part of the test images or lesions."""

    kind: str  # view, density, source, lesion size
    name: str
    num_images: int
    num_lesions: int
    before: float  # mean sensitivity of the supervised system, 0 to 1; NaN without a lesion
    mean: float  # of the system that is shown
    interval: tuple[float, float]  # 95 %, of `mean`


@dataclass(frozen=True)
class TimeRow:
    """One finished stage."""

    title: str  # "round 1: training"
    began_s: float  # since the first stage began; later than the end of the one before where the run stood still
    seconds: float


@dataclass(frozen=True)
class Live:
    """A page that is written while its run goes on."""

    at_work: bool  # a driver holds the run; else it was stopped, killed, or failed
    doing: str  # what it does now, or waits for, a phrase
    left: str  # how long it will take, in words; "" = not known
    at: str  # when the page was written, for people


@dataclass(frozen=True)
class PurityRow:
    """How many members of a pool are what their quadrant takes them for, where the truth is known."""

    round: int  # from 1
    p0: P0
    quadrant: str  # TP, FP, FN
    num_images: int
    right: float  # share, 0 to 1: with a mass in TP and FN, without in FP


@dataclass(frozen=True)
class LabelRow:
    """How well the reports of one side were read, on held-out folds (Tang et al. 2021, table 2)."""

    title: str  # "left", "left, by rules", "left, mean of both", "left, zh", …
    num_breasts: int
    f1: float
    weighted_f1: float
    accuracy: float
    auroc: float = NAN
    ece_before: float = NAN  # expected calibration error before the temperatures; NaN for what is not calibrated
    ece: float = NAN
    brier: float = NAN
    # p0 as text -> share of breasts with a probability above p0 or below 1 - p0.
    coverage: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ReproducedRow:
    """One row of a table of the paper: our numbers, and the printed ones."""

    labels: tuple[str, ...]  # one for each of the table's headings
    sensitivity: tuple[float, ...]  # at each number of false positives per image, mean over the seeds, 0 to 1
    mean: float
    interval: tuple[float, float]  # 95 %, of the mean
    each: tuple[float, ...]  # the mean of each seed
    paper: Mapping[float, float]  # false positives per image -> the printed sensitivity
    paper_mean: float  # over the paper's operating points; NaN where none is printed, or ours are others
    gain: float = NAN  # over the row without weak data
    gain_interval: tuple[float, float] = (NAN, NAN)  # 95 %, paired by patient
    more_steps: float = NAN  # mean of the control: without weak data, trained for as many more steps


@dataclass(frozen=True)
class AblationRow:
    """One run with a part changed: mean sensitivities over the seeds, 0 to 1."""

    title: str
    stage1: float
    control: float  # of the last round's steps
    rounds: tuple[float, ...]
    gain: float  # of the last round over the control
    gain_interval: tuple[float, float]  # 95 %, paired by patient
    each: tuple[float, ...]  # the last round's mean of each seed


@dataclass(frozen=True)
class GalleryItem:
    """One image to look at."""

    image: NDArray[np.uint16]  # [H, W] canonical view
    truth: NDArray[np.bool_]  # [H, W] all False where there is no mass
    map_before: NDArray[np.float32]  # [H, W] or coarser, 0 to 1
    map_after: NDArray[np.float32]  # same shape as map_before
    caption: str  # no patient data
    image_id: str = ""
    note: str = ""  # why it is shown, in words
    marks: Sequence[tuple[Box, str, float]] = ()  # candidates of the later system: box, outcome, score


@dataclass(frozen=True)
class Gallery:
    """Images to look at, all judged by the same two systems."""

    heading: str
    how: str  # they were chosen, a sentence or two
    items: Sequence[GalleryItem]
    before: str = BASELINE  # title of the system of map_before
    after: str = ""  # of map_after


@dataclass(frozen=True)
class PageData:
    """Everything on a run's page; empty parts are left out."""

    title: str
    headline: Sequence[HeadlineRow]
    sentence: str = ""  # what the run brought
    live: Live | None = None  # None = the run is over
    cautions: Sequence[Caution] = ()
    about: Mapping[str, str] = field(default_factory=dict[str, str])  # when, how long, on what -> in words
    splits: Sequence[SplitRow] = ()
    baseline: str = BASELINE  # the row that differences are taken from
    result: str = ""  # which system is the run's result, and why
    decisions: Sequence[str] = ()  # what was decided after each round, one sentence each
    rules: Sequence[str] = ()  # of the evaluation, one sentence each
    froc: Sequence[FrocSeries] = ()
    pools: Sequence[PoolRow] = ()
    epoch_pools: Sequence[EpochPool] = ()
    flows: Sequence[FlowRow] = ()
    purity: Sequence[PurityRow] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)  # what was chosen on validation -> value
    labels: Sequence[LabelRow] = ()
    label_note: str = ""  # which labels the loop gets, and which fit the truth best
    reliability: Sequence[Reliability] = ()
    trainings: Sequence[TrainingCurve] = ()
    shown: str = ""  # the system that parts and galleries are about
    parts: Sequence[PartRow] = ()
    galleries: Sequence[Gallery] = ()
    mined: Sequence[MinedGallery] = ()
    timeline: Sequence[TimeRow] = ()  # in the order in which the stages ended
    config: str = ""  # the resolved config, YAML
    facts: Mapping[str, str | int | float] = field(default_factory=dict)  # versions, digests, counts, durations
