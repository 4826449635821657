"""The plan of continuous retraining: what may change, when, and by which test it is accepted, written down before.

In the manner of a predetermined change control plan (FDA, "Marketing Submission Recommendations for a Predetermined
Change Control Plan for AI-Enabled Device Software Functions", 2025): modifications, protocol, acceptance criteria.
"""

import hashlib
from typing import Literal

from pydantic import Field, field_validator, model_validator

from system.settings import Settings

Part = Literal["labels", "thresholds", "weights"]
AUTOMATIC = "automatic"


class Triggers(Settings):
    """What starts a retraining; 0 = never for that reason."""

    # Weak images in a pool that trains which trained neither the promoted model nor the last candidate.
    new_samples: int = Field(default=200, ge=0)
    days: float = Field(default=0.0, ge=0)  # since the last retraining, with anything new at all
    verdicts: int = Field(default=20, ge=0)  # of radiologists, since the last retraining
    label_drift: float = Field(default=0.25, ge=0)  # population stability index of p_mass
    map_drift: float = Field(default=0.25, ge=0)  # of the maps' scores, against those on the plan's patients
    min_days_between: float = Field(default=1.0, ge=0)  # no two retrainings begin closer together, whatever the reason


class Intake(Settings):
    """When a file is taken in, and how often is looked."""

    settle_s: float = Field(default=60.0, ge=0)  # a file that was changed later than so many seconds ago waits
    poll_s: float = Field(default=60.0, gt=0)


class Alarms(Settings):
    """What holds retraining back until a person has looked; shares are of what came since the last retraining.

    1 (or 0 for days and refusals) = never for that reason.
    """

    quarantine_share: float = Field(default=0.2, ge=0, le=1)
    no_side_share: float = Field(default=0.5, ge=0, le=1)  # reports that name no side
    unknown_language_share: float = Field(default=0.1, ge=0, le=1)
    silence_days: float = Field(default=7.0, ge=0)  # nothing came from a source; told, holds nothing back
    refused_in_a_row: int = Field(default=3, ge=0)
    min_arrived: int = Field(default=20, ge=1)  # fewer files or reports give no share


class Subgroup(Settings):
    """How much worse a candidate may be in each group of one kind."""

    margin: float = Field(default=0.1, ge=0, le=1)  # delta_g: of mean sensitivity, by the lower end of the interval
    min_lesions: int = Field(default=20, ge=1)  # a group with fewer is shown and decides nothing


class Subgroups(Settings):
    """The kinds of groups that are looked at; null = not this one."""

    density: Subgroup | None = Subgroup()
    view: Subgroup | None = Subgroup()
    source: Subgroup | None = Subgroup()
    lesion_size: Subgroup | None = Subgroup()

    def of(self, kind: str) -> Subgroup | None:
        """Return the limits of a kind, by the name that a group has."""
        limits: dict[str, Subgroup | None] = {name.replace("_", " "): value for name, value in self}
        return limits.get(kind)


class GatePlan(Settings):
    """What a candidate must pass to take the promoted model's place."""

    split: Literal["test", "validation"] = "test"  # the plan's patients: those of the run's first start, for ever
    # delta: the lower end of the paired interval of the difference in mean sensitivity must lie above -margin.
    margin: float = Field(default=0.05, ge=0, le=1)
    # The interval's confidence, before it is corrected for how often the patients have been looked at.
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    subgroups: Subgroups = Subgroups()
    # How many candidates may be judged on the same patients. correct: each is judged at 1 - (1 - confidence) / looks,
    # and beyond that none is promoted; warn: at the confidence itself, and from there on it is said.
    looks: int = Field(default=20, ge=1)
    after_looks: Literal["correct", "warn"] = "correct"

    @property
    def used_confidence(self) -> float:
        """The confidence of each look's intervals (Bonferroni where it is corrected)."""
        return 1 - (1 - self.confidence) / self.looks if self.after_looks == "correct" else self.confidence


class Limits(Settings):
    """When the watcher gives up what hangs, and how long it waits after a failure."""

    retrain_hours: float = Field(default=48.0, gt=0)
    catch_up_hours: float = Field(default=12.0, gt=0)  # intake, labels, inference and mining of what came
    backoff_s: float = Field(default=60.0, ge=0)  # after a failure; doubled with each in a row
    longest_backoff_s: float = Field(default=3600.0, ge=0)


class Plan(Settings):
    """The whole plan; the watcher carries it out and every decision names its digest."""

    may_change: tuple[Part, ...] = ("labels", "thresholds", "weights")  # never the architecture
    approval: str = AUTOMATIC  # or the name of the person who must approve each promotion
    triggers: Triggers = Triggers()
    gate: GatePlan = GatePlan()
    alarms: Alarms = Alarms()
    intake: Intake = Intake()
    limits: Limits = Limits()

    @field_validator("approval")
    @classmethod
    def _named(cls, approval: str) -> str:
        if not approval.strip():
            raise ValueError(f"{AUTOMATIC}, or the name of the person who approves")
        return approval.strip()

    @model_validator(mode="after")
    def _thresholds_follow_weights(self) -> "Plan":
        if "weights" in self.may_change and "thresholds" not in self.may_change:
            raise ValueError(
                "a retrained model has thresholds of its own: with weights, thresholds must be in may_change"
            )
        return self

    @property
    def digest(self) -> str:
        """16 hex digits that stand for exactly this plan (SHA-256 of its JSON)."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    @property
    def approver(self) -> str:
        """Who must approve a promotion; "" = nobody."""
        return "" if self.approval == AUTOMATIC else self.approval
