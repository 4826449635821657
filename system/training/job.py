"""Everything that a training worker needs; paths and settings only, so that it travels as JSON."""

from pydantic import Field

from system.losses import LossConfig
from system.metrics import FrocConfig
from system.nets import NetConfig
from system.records import P0
from system.settings import Settings
from system.training.config import StrongInBatch, TrainConfig


class EpochPool(Settings):
    """The pool that an epoch trains on."""

    file: str  # Arrow file of schemas.POOL
    p0: P0  # a report counts above p0 and below 1 - p0; 0.5 to 1, for log lines


class TrainJob(Settings):
    """One training."""

    name: str  # for log lines
    archive_uri: str
    archive_versions: dict[str, int]  # table -> Delta version
    method: str  # key of methods.METHODS
    net: NetConfig
    train: TrainConfig
    loss: LossConfig
    strong_share: float  # share of the strong patients to use, 0 to 1
    seed: int
    froc: FrocConfig = (
        FrocConfig()
    )  # how the network is measured on validation, where train.patience_epochs asks for it
    # The network is measured on validation after each epoch, also where train.patience_epochs does not ask for it.
    measured: bool = False
    start: str = ""  # folder of the checkpoint to start from; empty = start from `net`
    pools: dict[int, EpochPool] = Field(default={})  # epoch, from 0 -> its pool; empty = strong data alone
    strong_in_batch: StrongInBatch = StrongInBatch()
    fn_in_batch: float | None = None  # share of the positive places; None = drawn with TP
    disputed: bool = True  # FP that the map is surer of than of half of TP train as the others
    # Parquet file of schemas.OUTLINED: weak images in which a radiologist has outlined a mass; empty = none.
    outlined: str = ""
