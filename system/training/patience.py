"""When a training has stopped rising on validation, and which epoch's weights are kept."""

import math
from collections.abc import Sequence


def best_epoch(values: Sequence[float]) -> int:
    """Return the epoch of the highest value, from 1, the first of equals; the last epoch where none was measured.

    values: on validation, epoch by epoch, NaN where it was not measured or has no lesion
    """
    known = [-math.inf if math.isnan(value) else value for value in values]
    highest = max(known, default=-math.inf)
    return len(known) if highest == -math.inf else known.index(highest) + 1


def has_stopped_rising(values: Sequence[float], *, patience_epochs: int) -> bool:
    """Return whether so many epochs have brought no higher value; never where patience_epochs is 0.

    values: as for `best_epoch`
    """
    return patience_epochs > 0 and len(values) - best_epoch(values) >= patience_epochs
