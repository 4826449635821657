"""Settings of inference: the dense CRF, how a map becomes a mask and candidates, and how pairs are run."""

from typing import Annotated, Literal

from pydantic import Field

from system.settings import Settings


class CrfParams(Settings):
    """The two kernels of the dense CRF (docs/method.md, Dense CRF).

    These defaults keep masses at 800 x 1024 px; the defaults in pydensecrf's README remove most of them.
    """

    smoothness_sigma_px: float = Field(default=3.0, gt=0)  # sigma_gamma, canonical px
    smoothness_weight: float = Field(default=3.0, ge=0)  # the most that this kernel changes the log-odds
    position_sigma_px: float = Field(default=10.0, gt=0)  # sigma_alpha, canonical px
    # sigma_beta, in gray levels of 0 to 255; the image has one channel, so RGB's factor sqrt(3) does not apply
    intensity_sigma: float = Field(default=25.0, gt=0)
    appearance_weight: float = Field(default=3.0, ge=0)  # the most that this kernel changes the log-odds
    num_iterations: int = Field(default=5, ge=1, le=100)

    def scaled(self, factor: float) -> "CrfParams":
        """Return the parameters for images `factor` times as large: lengths scale, gray levels and weights stay."""
        return self.changed(
            smoothness_sigma_px=self.smoothness_sigma_px * factor,
            position_sigma_px=self.position_sigma_px * factor,
        )


FlipAverage = Literal["none", "vertical"]
"""Over which views the network's probabilities are averaged: each as it is, or with its up-down mirror image as well.

A canonical view has its chest wall on the left, so other mirror images are no views.
"""


class RefineConfig(Settings):
    """How a probability map becomes the binary mask M_b and the candidates."""

    backend: Literal["grid", "exact", "pydensecrf", "none"] = "grid"
    params: CrfParams = CrfParams()
    # Probability that counts as even odds before the CRF; networks trained with the soft focal loss give too low ones.
    # validation = chosen on the masks of the validation images; report_negatives = the 80th percentile of the peaks of
    # weak images whose report says no mass (needs no masks; with mask_extent a mask still has its whole size).
    mask_threshold: Annotated[float, Field(gt=0, lt=1)] | Literal["validation", "report_negatives"] = "validation"
    # A component that reaches mask_threshold extends down to this share of its own peak; 0 = down to mask_threshold,
    # as in the paper.
    mask_extent: float = Field(default=0.0, ge=0, lt=1)
    # threshold = candidates are components of the map at or above candidate_threshold; own_peak = each ends at half of
    # its own peak. Of what predictions list; an evaluation has froc.candidates.
    candidates: Literal["threshold", "own_peak"] = "threshold"
    # t0: candidates are components of the map at or above this probability
    candidate_threshold: float = Field(default=0.05, gt=0, lt=1)
    min_candidate_px: int = Field(default=30, ge=1)  # canonical px; smaller components of mask and map are dropped


class InferConfig(Settings):
    """How weak or held-out pairs are run through a checkpoint."""

    refine: RefineConfig = RefineConfig()
    # pairs in one forward pass; the last batch is padded, so that shapes never change
    batch_pairs: int = Field(default=8, ge=1)
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto = bf16 where the hardware multiplies it natively
    # vertical = probabilities of map and image are means over the view and its up-down mirror image; twice the time
    flip_average: FlipAverage = "none"
