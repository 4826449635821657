"""What a run may use of its machines: how fast a result comes, not what it is; it may differ at each start."""

from pydantic import Field, ValidationInfo, field_validator

from system.settings import Settings


class ClusterResources(Settings):
    """Where Ray runs."""

    address: str = (
        "auto"  # local = start Ray on this machine; auto = the cluster this machine belongs to; ray://host:port
    )
    # Local only; 0 = as many as the machine has. More than it has lets small actors share cores.
    logical_cpus: int = Field(default=0, ge=0)
    object_store_bytes: int = Field(default=0, ge=0)  # local only; 0 = Ray's choice
    dashboard: bool = False  # local only; Ray Tune with Ray Train inside needs it
    worker_logs: bool = False  # also print what the workers log; Ray keeps it in its session folder in any case


class TrainResources(Settings):
    """Workers of a training and what each of them may use."""

    num_workers: int = Field(default=1, ge=1)
    # Go on with as few when nodes leave, and grow again; 0 = never fewer than num_workers.
    min_workers: int = Field(default=0, ge=0)
    cpus: float = Field(default=4, gt=0)  # logical CPUs a worker; its torch threads are this rounded down
    gpus: float = Field(default=1, ge=0)  # GPUs a worker
    loader_workers: int = Field(default=0, ge=0)  # processes a worker that decode beside it
    cache_images: int = Field(default=0, ge=0)  # decoded views kept in memory per loader
    # A checkpoint every so many steps, beside the one at an epoch's end; 0 = none.
    checkpoint_steps: int = Field(default=0, ge=0)
    max_failures: int = Field(default=3, ge=0)  # worker groups lost before a training gives up
    # A worker without a finished step, validation or checkpoint for so long has stood still and is ended.
    stall_s: float = Field(default=3600.0, gt=0)

    @field_validator("min_workers")
    @classmethod
    def _no_more_than_asked_for(cls, fewest: int, info: ValidationInfo) -> int:
        if fewest > (most := info.data.get("num_workers", fewest)):
            raise ValueError(f"must not be more than num_workers, {most}")
        return fewest


class InferResources(Settings):
    """Actors that hold the network, tasks that decode for them, and how pairs are dealt out to them."""

    num_predictors: int = Field(default=1, ge=1)  # actors that hold the network
    # Above num_predictors: more are started, up to it, while resources are free; 0 = never.
    max_predictors: int = Field(default=0, ge=0)
    # Logical CPUs of one; its torch threads are this rounded down, at least 1.
    predictor_cpus: float = Field(default=1.0, gt=0)
    predictor_gpus: float = Field(default=0.0, ge=0)  # GPUs of one: 0 = run on the CPU, 0.25 and 0.5 share a GPU
    decode_cpus: float = Field(default=0.5, gt=0)  # logical CPUs of a task that reads pixels
    calls_at_once: int = Field(default=1, ge=1)  # shards one actor works on; 2 hides CRF, PNG and disk behind a GPU
    # Decoded pixels of the pairs written together, at most, where a batch allows it.
    shard_bytes: int = Field(default=64 * 1024**2, ge=1)
    # An actor or a task without a finished shard for so long has stood still and is replaced.
    stall_s: float = Field(default=1800.0, gt=0)

    @field_validator("max_predictors")
    @classmethod
    def _no_fewer_than_at_the_start(cls, most: int, info: ValidationInfo) -> int:
        if 0 < most < (fewest := info.data.get("num_predictors", 1)):
            raise ValueError(f"must be 0 or at least num_predictors, {fewest}")
        return most


class ReportResources(Settings):
    """Fine-tunes side by side, and the actors that label."""

    fit_cpus: float = Field(default=1.0, gt=0)  # logical CPUs a fine-tune
    fit_gpus: float = Field(default=0.0, ge=0)  # GPUs a fine-tune; 0.5 and 0.25 are the fractions that work
    fits_at_once: int = Field(default=6, ge=1)  # fine-tunes side by side at most; each is a process that imports torch
    num_labelers: int = Field(default=1, ge=1)  # Labeler actors
    labeler_cpus: float = Field(default=0.5, gt=0)  # logical CPUs of one
    labeler_gpus: float = Field(default=0.0, ge=0)  # GPUs of one


class Resources(Settings):
    """Everything a run may use of its machines."""

    cluster: ClusterResources = ClusterResources()
    train: TrainResources = TrainResources()
    infer: InferResources = InferResources()
    reports: ReportResources = ReportResources()
