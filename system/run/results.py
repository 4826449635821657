"""The result of each stage of a run: one frozen record per stage, kept in its manifest and read back from there.

The records of a whole measurement (FrocSummary, SideMeasures, QuadrantCounts, …) lie beside the code that measures.
"""

from dataclasses import dataclass, field

from system.errors import UserError
from system.files.json_out import Measured
from system.metrics import FrocConfig
from system.metrics.classification import ImageMeasures
from system.metrics.summary import CurvePoints, FrocSummary
from system.mining import PoolPurity, QuadrantCounts
from system.records import P0, p0_text
from system.refine import FlipAverage
from system.reports.measures import SideMeasures
from system.reports.rule_rates import LabelSource, RuleRates
from system.settings import Value
from system.training.epoch_row import EpochRow


@dataclass(frozen=True)
class ArchivePin:
    """Which archive a run reads, and at which version of each table."""

    uri: str
    versions: dict[str, int]  # table -> Delta version
    key_fingerprint: str  # of the archive's site key
    # table -> the table's own id; empty in runs that were pinned before ids were: these compare key and versions alone
    table_ids: dict[str, str] = field(default_factory=dict[str, str])
    first_round: int = 1  # the first that reads these versions
    start: str = ""  # folder of the system that it was told to go on from; "" = as the rounds before it decided
    arrived: "Arrivals | None" = None  # since the pin before; None in a run's first


@dataclass(frozen=True)
class Arrivals:
    """What an archive has gained since a run read it."""

    num_studies: int
    num_held_out: int  # of these studies; a run goes on being measured on the patients that it began with
    num_reports: int  # of studies that had none that counts
    num_corrected: int
    num_withdrawn: int
    num_verdicts: int
    num_outlined: int  # images with a new or changed mask

    def line(self) -> str:
        """Return it for people, "3 studies and 1 verdict"; "" where nothing is new."""
        counts = (
            (self.num_studies, "study", "studies"),
            (self.num_reports, "report", "reports"),
            (self.num_corrected, "corrected report", "corrected reports"),
            (self.num_withdrawn, "withdrawn report", "withdrawn reports"),
            (self.num_verdicts, "verdict", "verdicts"),
            (self.num_outlined, "outlined image", "outlined images"),
        )
        parts = [f"{count} {one if count == 1 else many}" for count, one, many in counts if count]
        return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


@dataclass(frozen=True)
class LabelResult:
    """The result of fine-tuning the report models and labelling every report."""

    models: str  # version of the report models, as column `model` of `labels` names it
    sides: dict[str, SideMeasures]  # left, right
    temperatures: dict[str, list[float]]  # side (L, R) -> what each fold's margins are divided by
    epochs: dict[str, int]  # folder of a report model -> the epoch whose weights were kept
    num_labels: int  # rows written into `labels`
    num_no_side: int  # reports that name no side, and so label no breast
    labels: LabelSource  # what the labels were made of: the models, the rules, or the mean of both
    rules: RuleRates  # what the rules' answers are worth, by all annotated breasts


@dataclass(frozen=True)
class TrainResult:
    """The result of a training; its rows, one per epoch, are in epochs.jsonl."""

    num_epochs: int
    kept_epoch: int  # whose weights the model has: the last, or the best on validation where that was measured
    num_steps: int
    last_epoch: EpochRow


@dataclass(frozen=True)
class InferResult:
    """The result of an inference. Speeds and times are of the start that finished it."""

    num_images: int
    num_errors: int  # images that could not be read
    num_masked: int  # images with a mask
    num_crf_warnings: int  # images of which the CRF took away more than half of a component
    duration_s: float  # all of this start
    start_s: float  # of it before the first shard was begun
    images_per_s: float  # once started
    wait_share: float  # of the predictors' time, 0 to 1
    num_predictors: int
    seconds: dict[str, float]  # by step of an inference, summed over its workers
    pixel_mib: float  # decoded
    written_mib: float
    num_earlier_shards: int  # shards that an earlier start had finished
    num_taken_over: int = 0  # images that the same model had looked at before, in another inference
    flip_average: FlipAverage = "none"  # over which views the probabilities were averaged; none = each by itself


@dataclass(frozen=True)
class Pool:
    """The weak images that train a round's model from one of its p0 on."""

    step: int  # of the round, from 1: which of its distinct p0
    p0: P0  # how sure a report must be, 0.5 to 1
    file: str  # Arrow file of schemas.POOL, in the stage
    counts: QuadrantCounts
    moved: dict[str, int]  # images that left their quadrant since the round before, by way, e.g. "FN>TP"
    reasons: dict[str, int]  # the same images by reason: label, map, both, verdict
    purity: tuple[PoolPurity, ...]


@dataclass(frozen=True)
class PoolsResult:
    """The result of mining a round."""

    round: int  # from 1
    num_images: int
    num_errors: int  # images without a prediction, left out
    num_unlabelled: int  # images without a p_mass
    num_updates: dict[str, int]  # label, verdict -> images with an update since the run was pinned
    pools: tuple[Pool, ...]  # by step
    outlined: str  # Parquet file of schemas.OUTLINED, in the stage

    def pool_of(self, p0: P0) -> Pool:
        """Return the pool of one p0. Raises UserError for one that was not frozen."""
        for pool in self.pools:
            if pool.p0 == p0:
                return pool
        frozen = ", ".join(p0_text(pool.p0) for pool in self.pools)
        raise UserError(
            f"round {self.round} froze no pool at p0 {p0_text(p0)}, only at {frozen}: take the run's own rounds.p0"
        )


@dataclass(frozen=True)
class Thresholds:
    """The two thresholds of one model's maps, probabilities from 0 to 1, and where they come from."""

    mask_threshold: float  # a mask is the refined map at or above it
    mask_reason: str
    candidate_threshold: float  # t0: candidates are components of the map at or above it
    candidate_reason: str


@dataclass(frozen=True)
class EvaluationCounts:
    """Images and lesions of an evaluation, and the outcomes of the candidates."""

    num_images: int
    num_patients: int
    num_lesions: int
    num_specks: int  # components of the truth too small to count as lesions
    num_errors: int  # images that could not be read and count as without candidates
    num_tp: int  # candidates that found a lesion
    num_fp: int
    num_duplicate: int  # candidates on a lesion that another had found


@dataclass(frozen=True)
class FrocResult:
    """How good a model is on one split."""

    split: str
    rules: FrocConfig  # as it was evaluated, its candidate threshold among them
    mask_threshold: float  # of the masks whose Dice is taken
    sweep: FrocSummary  # by the candidates' scores
    rethreshold: FrocSummary  # the map cut anew at each operating point
    counts: EvaluationCounts
    corloc: Measured  # share of images with a lesion in which one is located, 0 to 1
    dice: Measured  # mean over images with a lesion, 0 to 1
    image_level: dict[str, ImageMeasures]  # score (peak, p_image) -> how well it separates images with a mass


@dataclass(frozen=True)
class FrocReport:
    """The file froc.json of an evaluation: what people read, and what is drawn."""

    rules: tuple[str, ...]  # sentences
    result: FrocResult
    sweep_curve: CurvePoints
    rethreshold_curve: CurvePoints


@dataclass(frozen=True)
class TrialResult:
    """The result of one trial of a sweep, on validation."""

    settings: dict[str, Value]  # dotted key of the configuration -> value
    mean: Measured  # sensitivity, mean over the operating points, 0 to 1; of one stopped early, after its last epoch
    interval: tuple[Measured, Measured]  # 95 %; NaN for one that was stopped early
    sensitivity: dict[str, Measured]  # by false positives per image; empty for one that was stopped early
    seconds: float = 0.0  # of training and measuring, in the start that finished it
    stopped_after: int = 0  # epochs, or rounds, after which early stopping ended it; 0 = it was not ended
