"""Decide where an image stands when its report is compared with its mask (Tang et al. 2021, 3.3 and table 1)."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from system.records import P0, Quadrant
from system.settings import Settings

_DECIMALS = 9  # 0.95 - 0.1 - 0.1 is 0.75, not 0.7499999999999999


class P0Schedule(Settings):
    """How sure a report must be to be used, epoch by epoch; every round starts again at `start`."""

    start: float = Field(default=0.95, ge=0.5, lt=1.0, description="p0 of a round's first epochs, 0.5 to 1")
    step: float = Field(default=0.1, ge=0.0, le=0.5, description="how far p0 falls each time")
    every_epochs: int = Field(default=5, ge=1, description="epochs between two falls")
    minimum: float = Field(
        default=0.5, ge=0.5, lt=1.0, description="p0 never falls below this; under 0.5 a report would be both + and −"
    )

    @model_validator(mode="after")
    def _minimum_below_start(self) -> "P0Schedule":
        if self.minimum > self.start:
            raise ValueError(
                f"p0 minimum {self.minimum} is above its start {self.start}: lower the minimum or raise the start"
            )
        return self

    def at(self, epoch: int) -> P0:
        """Return p0 of an epoch of a round, counted from 0."""
        if epoch < 0:
            raise ValueError(f"epochs count from 0, got {epoch}")
        fallen = self.start - self.step * (epoch // self.every_epochs)
        return max(round(fallen, _DECIMALS), self.minimum)

    def values(self, num_epochs: int) -> list[P0]:
        """Return the distinct p0 of a round's epochs, in the order they are reached: one pool each, from step 1 on."""
        return list(dict.fromkeys(self.at(epoch) for epoch in range(num_epochs)))


def cut_labels(p_mass: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return labels as yes or no, 1 or 0: [N]; NaN where there is no report.

    p_mass: [N] probability of a mass by the report, 0 to 1, NaN where there is no report
    """
    probability = np.asarray(p_mass, np.float32)
    return np.where(np.isnan(probability), probability, np.float32(probability > 0.5)).astype(np.float32)


def quadrants(p_mass: NDArray[np.floating], has_mask: NDArray[np.bool_], *, p0: P0) -> NDArray[np.uint8]:
    """Return the records.Quadrant of each image: label + is p_mass > p0, label − is p_mass < 1 − p0, both strictly.

    p_mass: [N] float, probability of a mass by the report, 0 to 1, NaN where there is no report
    has_mask: [N] bool, M_b non-empty
    p0: 0.5 to below 1; ValueError for others

    Returns [N] uint8.
    """
    if not 0.5 <= p0 < 1.0:
        raise ValueError(f"p0 is {p0}, must be at least 0.5 and below 1, so that no label is both + and −")
    # Labels are stored as float32; bounds of the same type keep 0.95 from being above 0.95, and 0.05 below 1 - 0.95.
    probability = np.asarray(p_mass, dtype=np.float32)
    positive = probability > np.float32(p0)
    negative = probability < np.float32(1.0 - p0)
    masked = np.asarray(has_mask, dtype=bool)
    cases = [positive & masked, negative & masked, positive & ~masked, negative & ~masked]
    names = [Quadrant.TP, Quadrant.FP, Quadrant.FN, Quadrant.TN]
    return np.select(cases, [np.uint8(name) for name in names], default=np.uint8(Quadrant.UNUSED)).astype(np.uint8)


def sure_score(score: NDArray[np.float32], quadrant: NDArray[np.uint8]) -> float:
    """Return the score that half of TP exceed: above it a map is as sure of a mass as where the report agrees.

    score: [N] highest probability of a kept candidate, 0 to 1
    quadrant: [N] records.Quadrant

    Returns infinity where there is no TP.
    """
    agreed = score[quadrant == Quadrant.TP]
    return float(np.median(agreed)) if len(agreed) else float("inf")


def disputed(
    score: NDArray[np.float32], quadrant: NDArray[np.uint8], *, limit: float, judged: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which FP are disputed: the report says no mass, the map is surer of one than `limit`: [N].

    The better the network, the more of them are masses that the report leaves out; a radiologist should look.

    score, quadrant: as for `sure_score`
    limit: of `sure_score`, over the whole round
    judged: [N], a radiologist has settled it
    """
    return (quadrant == Quadrant.FP) & (score > limit) & ~judged


def distance_to_bound(p_mass: NDArray[np.float32], *, p0: P0) -> NDArray[np.float32]:
    """Return how far each label is from p0 or 1 − p0, whichever is nearer: [N]; NaN where there is no report.

    p_mass: [N] probability of a mass by the report, 0 to 1
    """
    return np.minimum(np.abs(p_mass - p0), np.abs(p_mass - (1 - p0)))
