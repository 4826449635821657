"""The part of sklearn.metrics that this project uses: scikit-learn carries no types."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_Average = Literal["binary", "macro", "weighted"]

def accuracy_score(y_true: NDArray[Any], y_pred: NDArray[Any]) -> float: ...
def f1_score(
    y_true: NDArray[Any], y_pred: NDArray[Any], *, average: _Average = ..., zero_division: float = ...
) -> float: ...
def recall_score(y_true: NDArray[Any], y_pred: NDArray[Any], *, zero_division: float = ...) -> float: ...
def roc_auc_score(
    y_true: NDArray[Any],
    y_score: NDArray[Any],
    *,
    sample_weight: NDArray[Any] | None = ...,
    max_fpr: float | None = ...,
) -> float: ...
def roc_curve(
    y_true: NDArray[Any],
    y_score: NDArray[Any],
    *,
    sample_weight: NDArray[Any] | None = ...,
    drop_intermediate: bool = ...,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]: ...
