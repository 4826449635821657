"""How good a detector is: FROC with its intervals, measures of whole images, and comparisons of systems.

config.py          the rules of the evaluation, as settings and as sentences
matching.py        which candidate finds which lesion: overlap, and the greedy assignment
froc.py            outcomes -> curve, sensitivity at a number of false positives per image
bootstrap.py       95 % intervals by resampling patients; two systems on the same patients
rethreshold.py     the second mode: the map is cut anew at every operating point
examination.py     what the FROC needs of one image's map and truth
summary.py         a curve and its intervals as a record
comparison.py      several systems side by side, several seeds together
boxes.py           the FROC of any system's boxes
boxes_in.py        its three CSV files
classification.py  ROC measures of whole images, their paired comparison; CorLoc, Dice
subgroups.py       the evaluation of a part of the images or lesions
"""

from typing import TYPE_CHECKING

from system.lazy import exported_by

if TYPE_CHECKING:
    from system.metrics.bootstrap import PatientCounts
    from system.metrics.boxes import LIMITS, OUTCOMES, BoxResult, BoxRules, BoxSet, evaluate_boxes
    from system.metrics.boxes_in import read_boxes
    from system.metrics.comparison import (
        Paired,
        SeedsRow,
        SystemRow,
        compare_systems,
        gain_over_seeds,
        over_seeds,
        paired,
    )
    from system.metrics.config import FrocConfig, rules
    from system.metrics.froc import Curve, froc_curve, mean_sensitivity, sensitivity_at
    from system.metrics.matching import Detections, Match, Outcome, match

__all__ = [
    "LIMITS",
    "OUTCOMES",
    "BoxResult",
    "BoxRules",
    "BoxSet",
    "Curve",
    "Detections",
    "FrocConfig",
    "Match",
    "Outcome",
    "Paired",
    "PatientCounts",
    "SeedsRow",
    "SystemRow",
    "compare_systems",
    "evaluate_boxes",
    "froc_curve",
    "gain_over_seeds",
    "match",
    "mean_sensitivity",
    "over_seeds",
    "paired",
    "read_boxes",
    "rules",
    "sensitivity_at",
]

__getattr__ = exported_by(__name__, "config", "matching", "froc", "bootstrap", "comparison", "boxes", "boxes_in")
