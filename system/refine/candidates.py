"""Components of probability maps as candidates."""

import numpy as np

from system.maps import find_boxes, label_components
from system.own_peak import own_peak_components
from system.records import Candidate


def regions(probability: np.ndarray, *, candidate_threshold: float, min_px: int) -> list[list[Candidate]]:
    """Return the candidates of each map, highest score first.

    A candidate is an 8-connected component; its score is its highest probability, its centroid is weighted by
    probability.

    probability: [B, H, W] float, 0 to 1
    candidate_threshold: a probability; pixels at or above it belong to a candidate
    min_px: smaller components are dropped
    """
    labels, num_found = label_components(probability >= candidate_threshold)
    return _described(probability, labels, num_found=num_found, min_px=min_px)


def own_peak_regions(probability: np.ndarray, *, min_px: int) -> list[list[Candidate]]:
    """Return the candidates of each map without a threshold (system/own_peak.py), else as `regions`."""
    labels, num_found = np.zeros(probability.shape, np.int32), 0
    for place, each in enumerate(probability):
        found, _ = own_peak_components(each, min_px=min_px)
        labels[place] = np.where(found.labels > 0, found.labels + num_found, 0)
        num_found += len(found.area_px)
    return _described(probability, labels, num_found=num_found, min_px=min_px)


def _described(probability: np.ndarray, labels: np.ndarray, *, num_found: int, min_px: int) -> list[list[Candidate]]:
    """Return the components of at least min_px pixels as candidates. labels: [B, H, W], 0 background, else from 1."""
    found: list[list[Candidate]] = [[] for _ in probability]
    place = np.nonzero(labels)
    member, value = labels[place], probability[place].astype(np.float64)
    area_px, mass, mean_y, mean_x = (
        np.bincount(member, weights=weights, minlength=num_found + 1)
        for weights in (None, value, value * place[1], value * place[2])
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
