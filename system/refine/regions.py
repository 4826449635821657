"""Components of probability maps as candidates."""

import numpy as np

from system.records import Candidate
from system.refine.components import find_boxes, label_components


def regions(probability: np.ndarray, *, floor: float, min_px: int) -> list[list[Candidate]]:
    """Return each map's 8-connected components at or above `floor` with at least `min_px` pixels, highest score first.

    probability: [B, H, W] float, 0 to 1. The centroid is weighted by probability.
    """
    found: list[list[Candidate]] = [[] for _ in probability]
    labels, num_found = label_components(probability >= floor)
    place = np.nonzero(labels)
    member, value = labels[place], probability[place].astype(np.float64)
    area_px, mass, mean_y, mean_x = (
        np.bincount(member, weights=weights, minlength=num_found + 1) for weights in (None, value, value * place[1], value * place[2])
    )
    score = np.zeros(num_found + 1)
    np.maximum.at(score, member, value)
    for number, (image, rows, cols) in enumerate(find_boxes(labels), start=1):
        if area_px[number] >= min_px:
            found[image.start].append(
                Candidate(
                    box_px=(cols.start, rows.start, cols.stop, rows.stop),
                    score=float(score[number]),
                    area_px=int(area_px[number]),
                    centroid_px=(float(mean_x[number] / mass[number]), float(mean_y[number] / mass[number])),
                )
            )
    return [sorted(candidates, key=lambda candidate: (-candidate.score, candidate.box_px)) for candidates in found]
