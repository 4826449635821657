"""What the watcher knows when it decides: numbers that were read from storage."""

from dataclasses import dataclass, field

from system.files.json_out import Measured


@dataclass(frozen=True)
class Arrived:
    """What came since the last retraining began, and how much of it is odd."""

    num_files: int = 0  # of images, taken in or quarantined
    num_quarantined: int = 0  # of them
    num_reports: int = 0  # new or corrected
    num_no_side: int = 0  # of them, with no side named
    num_unknown_language: int = 0  # of them
    num_withdrawn: int = 0
    num_verdicts: int = 0

    @property
    def anything(self) -> bool:
        """Whether anything came that a training could learn from."""
        return self.num_files > self.num_quarantined or bool(
            self.num_reports or self.num_withdrawn or self.num_verdicts
        )


@dataclass(frozen=True)
class Situation:
    """One look at a run, its archive and its sources. Times are seconds since 1970, UTC."""

    now_s: float
    arrived: Arrived
    num_new_samples: int  # weak images in a pool that trains, which trained neither the promoted model nor a candidate
    label_drift: Measured = float("nan")  # population stability index; NaN = too little came
    map_drift: Measured = float("nan")
    last_retrain_s: float | None = None  # when the last one began; None = none yet
    last_arrival_s: dict[str, float] = field(default_factory=dict[str, float])  # by source
    refused_in_a_row: int = 0
    held: str = ""  # a candidate that waits for approval; "" = none
    looks: int = 0  # how often the plan's patients have been used
