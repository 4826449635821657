"""Image-level measures: does the image hold a mass at all?"""

import numpy as np
from sklearn.metrics import roc_auc_score


def auroc(truth: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the ROC curve, NaN where only one class is there.

    truth: [N] bool;  score: [N] float, higher is more suspicious
    """
    if truth.all() or not truth.any():
        return float("nan")
    return float(roc_auc_score(truth, score))
