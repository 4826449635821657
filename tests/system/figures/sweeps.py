"""Made-up trials of a sweep."""

import math
from collections.abc import Mapping, Sequence

from system.figures.sweep_rows import State, SweepTrial, Value


def trial(
    number: int,
    mean: float = math.nan,
    *,
    state: State = "done",
    setting: Mapping[str, Value] | None = None,
    values: Sequence[float] = (),
    seconds: float = 10.0,
    reason: str = "",
) -> SweepTrial:
    return SweepTrial(
        number=number,
        setting=setting or {"loss.alpha": 0.1 * (number + 1), "loss.mask_labels": "soft"},
        state=state,
        mean=mean,
        interval=(mean - 0.1, mean + 0.1),
        sensitivity={"0.5": mean},
        seconds=seconds,
        values=values,
        folder=f"trials/trial_{number}",
        reason=reason,
    )
