"""What a run looks like: tables for the terminal, curves, overlays, and one self-contained page. May import archive, imaging and records.

report.py          the plain rows that tables and page are made of
format.py          numbers as text, the same on the terminal and on the page
tables.py          rich tables
curves.py          FROC, losses, pools, calibration (matplotlib)
overlays.py        image, truth, map before and after
page.py            the run's page
templates/         its Jinja2 template
"""

from system.figures.curves import froc_figure
from system.figures.overlays import png_of, with_findings
from system.figures.page import write_page
from system.figures.report import (
    NAN,
    EpochPool,
    EpochRow,
    FlowRow,
    FrocSeries,
    GalleryItem,
    GroupRow,
    HeadlineRow,
    LabelRow,
    MinedItem,
    PoolRow,
    PurityRow,
    Reliability,
    ReproducedRow,
    RunReport,
)
from system.figures.tables import (
    group_table,
    headline_table,
    image_table,
    label_comparison,
    label_table,
    pool_table,
    reproduction_table,
)

__all__ = [
    "NAN",
    "EpochPool",
    "EpochRow",
    "FlowRow",
    "FrocSeries",
    "GalleryItem",
    "GroupRow",
    "HeadlineRow",
    "LabelRow",
    "MinedItem",
    "PoolRow",
    "PurityRow",
    "Reliability",
    "ReproducedRow",
    "RunReport",
    "froc_figure",
    "group_table",
    "headline_table",
    "image_table",
    "label_comparison",
    "label_table",
    "png_of",
    "pool_table",
    "reproduction_table",
    "with_findings",
    "write_page",
]
