"""Settings of inference: the dense CRF, how a map becomes a mask and candidates, and how pairs are fed."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from system.settings import Settings


class CrfParams(Settings):
    """The two kernels of the dense CRF (METHODS 1.8); the defaults keep masses at 800 x 1024, those of pydensecrf's README do not."""

    smoothness_sigma_px: float = Field(default=3.0, gt=0)  # sigma_gamma, canonical px
    smoothness_weight: float = Field(default=3.0, ge=0)  # added to the log-odds at most
    position_sigma_px: float = Field(default=10.0, gt=0)  # sigma_alpha, canonical px
    intensity_sigma: float = Field(default=25.0, gt=0)  # sigma_beta, gray levels of 255; one channel, so no sqrt(3) against RGB
    appearance_weight: float = Field(default=3.0, ge=0)  # added to the log-odds at most
    num_iterations: int = Field(default=5, ge=1, le=100)

    def scaled(self, factor: float) -> "CrfParams":
        """Return the parameters for images `factor` times as large: lengths scale, gray levels and weights stay."""
        return self.model_copy(
            update={
                "smoothness_sigma_px": self.smoothness_sigma_px * factor,
                "position_sigma_px": self.position_sigma_px * factor,
            }
        )


class RefineConfig(Settings):
    """How a probability map becomes the binary mask M_b and the candidates."""

    backend: Literal["grid", "exact", "pydensecrf", "none"] = "grid"
    params: CrfParams = CrfParams()
    # Probability that counts as even odds before the CRF; "validation" = chosen there (soft focal loss is under-confident).
    mask_threshold: float | Literal["validation"] = "validation"
    # A component that reaches mask_threshold goes down to this share of its own peak; 0 = down to mask_threshold, as the paper's.
    mask_extent: float = Field(default=0.0, ge=0, lt=1)
    candidate_floor: float = Field(default=0.05, gt=0, lt=1)  # t0: candidates are components of the map at or above this probability
    min_candidate_px: int = Field(default=30, ge=1)  # canonical px; smaller components of mask and map are dropped


class InferConfig(Settings):
    """How weak or held-out pairs are run through a checkpoint."""

    refine: RefineConfig = RefineConfig()
    batch_pairs: int = Field(default=8, ge=1)  # pairs in one forward pass; the last one is padded, so that shapes never change
    shard_bytes: int = Field(default=64 * 1024**2, ge=1)  # decoded pixels of the pairs written together, at most, where a batch allows it
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto = bf16 where the hardware multiplies it natively
    decode_cpus: float = Field(default=0.5, gt=0)  # logical CPUs of a task that reads pixels
    num_predictors: int = Field(default=1, ge=1)  # actors that hold the network
    max_predictors: int = Field(
        default=0, ge=0
    )  # above num_predictors: the pool grows up to it while resources are free; 0 = it never does
    calls_at_once: int = Field(default=1, ge=1)  # shards one actor works on; 2 hides CRF, PNG and disk behind a GPU
    predictor_cpus: float = Field(default=1.0, gt=0)  # logical CPUs of one; its torch threads are this rounded down, at least 1
    predictor_gpus: float = Field(default=0.0, ge=0)  # GPUs of one: 0 = run on the CPU, 0.25 and 0.5 share a GPU

    @field_validator("max_predictors")
    @classmethod
    def _no_fewer_than_the_pool_starts_with(cls, most: int, info: ValidationInfo) -> int:
        if 0 < most < (fewest := info.data.get("num_predictors", 1)):
            raise ValueError(f"must be 0 or at least num_predictors, {fewest}")
        return most
