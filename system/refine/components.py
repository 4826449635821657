"""8-connected components inside each image of a batch."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_EIGHT_CONNECTED = np.ones((3, 3), dtype=bool)
_NOTHING = np.zeros((3, 3), dtype=bool)
_WITHIN_IMAGE = np.stack([_NOTHING, _EIGHT_CONNECTED, _NOTHING])  # neighbours in the batch are strangers


def label_components(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Return the components' numbers, from 1, 0 elsewhere, and how many there are. mask: [H, W] or [B, H, W] bool."""
    labels = np.zeros(mask.shape, dtype=np.int32)
    count = ndimage.label(mask, structure=_EIGHT_CONNECTED if mask.ndim == 2 else _WITHIN_IMAGE, output=labels)
    return labels, int(count)  # type: ignore[arg-type] - with `output` scipy returns the count alone


def find_boxes(labels: NDArray[np.int32]) -> list[tuple[slice, ...]]:
    """Return each component's bounding slices, in the order of their numbers. labels: as label_components gives them, no gaps."""
    return [box for box in ndimage.find_objects(labels) if box is not None]
