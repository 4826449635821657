"""The tables of Tang et al. 2021: the grid of each, as settings of a run, and its numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from system.records import Split

NAN = float("nan")
FPPI = (0.1, 0.2, 0.5, 1.0)  # the operating points, false positives per image
NO_NUMBERS = (NAN, NAN, NAN, NAN, NAN)
Setting = Mapping[str, float | str]  # dotted key of RunConfig -> value


class Data(StrEnum):
    """What a row's model was trained on."""

    STRONG = "strong"  # stage 1
    WEAK = "weak"  # the last round


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table of sensitivities."""

    labels: tuple[str, ...]  # one for each of the table's headings
    settings: Setting
    data: Data
    paper: tuple[float, float, float, float, float]  # sensitivity at each of FPPI, and their mean; NaN = not printed


@dataclass(frozen=True, slots=True)
class SensitivityTable:
    """A table, or the curves of a figure, whose rows are trained systems."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    split: Split = Split.TEST


TABLE_2 = {"left": (0.9729, 0.9873, 0.9872), "right": (0.9581, 0.9819, 0.9819)}
"""Report models, held-out folds: breast -> average F1, weighted F1, accuracy."""

_WITHOUT = {
    0.10: (0.426, 0.501, 0.625, 0.705, 0.564),
    0.25: (0.550, 0.650, 0.752, 0.826, 0.695),
    0.50: (0.660, 0.745, 0.810, 0.808, 0.756),
    1.00: (0.720, 0.774, 0.823, 0.827, 0.786),
}
_WITH = {
    0.10: (0.624, 0.700, 0.776, 0.801, 0.725),
    0.25: (0.673, 0.725, 0.801, 0.826, 0.753),
    0.50: (0.700, 0.775, 0.813, 0.830, 0.780),
    1.00: (0.726, 0.778, 0.820, 0.850, 0.794),
}

TABLE_3 = SensitivityTable(
    title="Table 3: shares of the fully annotated data, without and with weak data; test set",
    headings=("annotated", "weak"),
    rows=(
        *(
            Row((f"{share:.0%}", "no"), {"strong_share": share}, Data.STRONG, paper)
            for share, paper in _WITHOUT.items()
        ),
        *(Row((f"{share:.0%}", "yes"), {"strong_share": share}, Data.WEAK, paper) for share, paper in _WITH.items()),
    ),
)

_HARD_SOFT = {
    ("hard", "hard"): (0.668, 0.720, 0.798, 0.806, 0.748),
    ("hard", "soft"): (0.680, 0.732, 0.809, 0.828, 0.762),
    ("soft", "hard"): (0.671, 0.724, 0.798, 0.819, 0.753),
    ("soft", "soft"): (0.691, 0.737, 0.815, 0.832, 0.769),
}

TABLE_4 = SensitivityTable(
    title="Table 4: hard and soft labels of weak data, 25 % of the fully annotated data; validation set",
    headings=("mask", "report"),
    rows=tuple(
        Row(
            (mask, report),
            {"strong_share": 0.25, "loss.mask_labels": mask, "loss.report_labels": report},
            Data.WEAK,
            paper,
        )
        for (mask, report), paper in _HARD_SOFT.items()
    ),
    split=Split.VALIDATION,
)

FIGURE_4 = SensitivityTable(
    title="Figure 4: shares of the weak data, 25 % of the fully annotated data; test set",
    headings=("annotated", "weak"),
    rows=(
        Row(("25%", "0%"), {"strong_share": 0.25}, Data.STRONG, _WITHOUT[0.25]),
        *(
            Row(
                ("25%", f"{share:.0%}"),
                {"strong_share": 0.25, "weak_share": share},
                Data.WEAK,
                NO_NUMBERS if share < 1 else _WITH[0.25],
            )
            for share in (0.25, 0.50, 0.75, 1.00)
        ),
    ),
)
"""The paper draws it and prints no numbers; its two ends are rows of table 3."""

TABLES = {"table3": TABLE_3, "table4": TABLE_4, "figure4": FIGURE_4}
