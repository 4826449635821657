"""The settings of the overall loss."""

from typing import Literal

from pydantic import Field

from system.settings import Settings


class LossConfig(Settings):
    """Weights of eq. 6, the focal loss's two numbers, and the hard variants of table 4."""

    alpha: float = Field(default=0.25, ge=0, le=1)  # weight of mass against no mass
    gamma: float = Field(default=2.0, ge=0)  # focusing: the larger, the less the easy pixels count
    class_strong: float = Field(default=0.3, ge=0)  # λ1
    mask_weak: float = Field(default=0.6, ge=0)  # λ2
    class_weak: float = Field(default=0.2, ge=0)  # λ3
    # Share of the image-level terms' gradient that reaches the trunk, 1 = all of it, as in the paper; at 0 the branch
    # learns beside the trunk without moving it. The branch itself always gets the whole gradient.
    class_gradient: float = Field(default=1.0, ge=0, le=1)
    mask_labels: Literal["soft", "hard"] = "soft"  # target where report and map agree on a mass: M_p, or M_b
    # soft = p_mass; hard = p_mass > 0.5, cut after the selection by p0; hard_before = cut before it, so that p0 has no
    # effect and every weak image with a report is used. The paper's table 4 can be read either way.
    report_labels: Literal["soft", "hard", "hard_before"] = "soft"
    # True: images whose map has a mass and whose report has none (FP) also train the mask head, with an empty mask.
    # Ours; in the paper they train the image-level branch alone.
    empty_masks: bool = False
    # What the mask terms are divided by; the paper does not say. image = all cells of the term's images (eq. 4 taken
    # at its word); positive = its cells with a mass, as Lin et al. 2017 divide by the anchors on objects.
    pixel_mean: Literal["image", "positive"] = "image"
    # True: the terms of a weak image weigh as much as its report is sure, max(p_mass, 1 - p_mass). Ours. Without effect
    # with hard report labels, which are sure.
    report_weights: bool = False
