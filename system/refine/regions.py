"""Components of a probability map as candidates."""

import numpy as np

from system.records import Candidate
from system.refine.components import find_boxes, label_components


def regions(probability: np.ndarray, *, floor: float, min_px: int) -> list[Candidate]:
    """Return the 8-connected components of the map at or above `floor` with at least `min_px` pixels, highest score first.

    probability: [H, W] float, 0 to 1. The centroid is weighted by probability.
    """
    above = probability >= floor
    if not above.any():
        return []
    labels, num_found = label_components(above)
    y, x = np.nonzero(labels)
    member, value = labels[y, x], probability[y, x].astype(np.float64)
    area_px = np.bincount(member, minlength=num_found + 1)
    mass = np.bincount(member, weights=value, minlength=num_found + 1)
    mean_x = np.bincount(member, weights=value * x, minlength=num_found + 1)
    mean_y = np.bincount(member, weights=value * y, minlength=num_found + 1)
    score = np.zeros(num_found + 1)
    np.maximum.at(score, member, value)
    found = [
        Candidate(
            box_px=(cols.start, rows.start, cols.stop, rows.stop),
            score=float(score[number]),
            area_px=int(area_px[number]),
            centroid_px=(float(mean_x[number] / mass[number]), float(mean_y[number] / mass[number])),
        )
        for number, (rows, cols) in enumerate(find_boxes(labels), start=1)
        if area_px[number] >= min_px
    ]
    return sorted(found, key=lambda candidate: (-candidate.score, candidate.box_px))
