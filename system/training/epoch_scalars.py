"""What TensorBoard draws of an epoch, by tag.

```
loss/total …                 the terms of the loss            pace/images_per_s …    speed, memory, skipped steps
optimiser/learning_rate …    rate and size of the gradient    pools/TP, pools/p0 …   what trains, in images
batch/TP …                   places of a batch                validation/…, test/…   how good the model is
```
"""

import math

from system.training.epoch_row import EpochRow

MEAN_SENSITIVITY = "mean_sensitivity"
_OPTIMISER = ("learning_rate", "gradient_norm")
_PACE = ("images_per_s", "wait_share", "bad_steps", "gpu_memory_bytes", "workers", "seconds")


def epoch_scalars(row: EpochRow) -> dict[str, float]:
    """Return an epoch's numbers by tag; what could not be measured is left out."""
    found = {f"loss/{term}": value for term, value in row.losses.items()}
    found |= {f"optimiser/{name}": getattr(row, name) for name in _OPTIMISER}
    found |= {f"pace/{name}": getattr(row, name) for name in _PACE}
    found |= {f"pools/{role}": float(count) for role, count in row.samples.items()}
    found |= {f"batch/{role}": places for role, places in row.places.items()}
    found |= {"pools/p0": row.p0} if row.p0 else {}
    found["pace/epoch"] = row.epoch
    found[f"validation/{MEAN_SENSITIVITY}"] = row.validation
    return {tag: value for tag, value in found.items() if not math.isnan(value)}
