"""The rules of a FROC evaluation: set here, printed with every result."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from system.own_peak import NEGLIGIBLE, SHARE
from system.settings import Settings

STEP = "it is the best reached with no more than x false positives per image, not interpolated"
Fppi = Annotated[float, Field(ge=0)]


class FrocConfig(Settings):
    """What counts as a lesion, a candidate and a hit (docs/method.md, Evaluation)."""

    min_lesion_px: int = Field(
        default=20, ge=1, description="smaller components of the truth are annotation specks, left out; canonical px"
    )
    min_candidate_px: int = Field(
        default=20, ge=1, description="smaller components of the map are no candidates; canonical px"
    )
    regions: Literal["map", "mask"] = Field(
        default="map",
        description="what candidates are parts of: the map, or the mask M_b, which is the map after threshold and CRF "
        "(seconds an image on a CPU)",
    )
    candidates: Literal["threshold", "own_peak"] = Field(
        default="threshold",
        description="where a candidate ends: at candidate_threshold, or at half of its own peak, which is not chosen",
    )
    candidate_threshold: float = Field(
        default=0.05, gt=0, lt=1, description="t0: a candidate is a component of the map at or above it"
    )
    iou: float = Field(default=0.2, ge=0, lt=1, description="a hit overlaps its lesion by more than this")
    duplicates: Literal["ignore", "fp"] = Field(
        default="ignore", description="what further hits on a found lesion count as"
    )
    fppi: tuple[Fppi, ...] = Field(
        default=(0.1, 0.2, 0.5, 1.0), min_length=1, description="operating points, false positives per image"
    )
    num_thresholds: int = Field(default=32, ge=2, le=1000, description="levels at which the second mode cuts the map")
    bootstrap: int = Field(
        default=1000, ge=1, description="resamples of the patients; 1000 or more for a result to report"
    )
    seed: int = Field(default=0, ge=0, description="of the resampling")

    @property
    def lowest_cut(self) -> float:
        """The lowest level at which the second mode cuts the map, a probability."""
        return self.candidate_threshold if self.needs_threshold else NEGLIGIBLE

    @property
    def needs_threshold(self) -> bool:
        """Whether the candidate threshold decides where a candidate begins."""
        return self.regions == "map" and self.candidates == "threshold"

    @model_validator(mode="after")
    def _one_rule_for_candidates(self) -> Self:
        if self.regions == "mask" and self.candidates == "own_peak":
            raise ValueError(
                "regions=mask takes the mask's components as they are, candidates=own_peak cuts the map: "
                "set candidates=threshold, which regions=mask does not use, or regions=map"
            )
        return self


def rules(config: FrocConfig) -> list[str]:
    """Return the rules as sentences, to be printed with every result."""
    further = "count neither way" if config.duplicates == "ignore" else "count as false positives"
    also, instead = "those without candidates or without lesions too", "instead of sweeping the candidates' scores"
    cut = "the map" if config.regions == "map" else "what of the map lies within the mask"
    return [
        f"A lesion is an 8-connected component of the truth of at least {config.min_lesion_px} px.",
        *_of_candidates(config),
        f"By falling score each candidate takes the free lesion of highest IoU, if that is above {config.iou:g}.",
        f"Further hits on a found lesion {further}.",
        f"False positives are counted per image over all evaluated images, {also}.",
        f"Sensitivity is the share of all lesions found; at x {STEP}; equal scores are one operating point.",
        f"Second mode: {cut} is cut anew at {config.num_thresholds} levels from {config.lowest_cut:g} on {instead}.",
        f"95 % intervals resample patients {config.bootstrap} times, seed {config.seed}.",
    ]


def _of_candidates(config: FrocConfig) -> list[str]:
    size = f"of at least {config.min_candidate_px} px"
    if config.regions == "mask":
        what = "the mask M_b, which is the map after the mask threshold and the dense CRF"
        return [f"A candidate is an 8-connected component of {what}, {size}; its score is its highest probability."]
    if config.candidates == "threshold":
        above, score = f"at or above {config.candidate_threshold:g}", "its score is its highest probability"
        return [f"A candidate is an 8-connected component of the map {above}, {size}; {score}."]
    above, score = f"at or above {SHARE:g} of its own peak", "its score is that peak"
    turn = "The map's local maxima take their turn by falling probability"
    shoulder = "one whose component holds a candidate already is a shoulder of it and no candidate"
    return [
        f"A candidate is an 8-connected component of the map {above}, {size}; {score}.",
        f"{turn}; {shoulder}; those below {NEGLIGIBLE:g} are left out.",
    ]
