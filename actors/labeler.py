"""Label reports: a batch of texts in, the probability of a mass in each breast out.

A plain class; pipelines/label.py makes it remote.
"""

from pathlib import Path

import numpy as np

from system.records import Side
from system.reports.text import Sections


class Labeler:
    """Holds the six report models (sides times folds) and averages each side's."""

    def __init__(self, models: str, *, device: str = "cpu") -> None:
        """Load the models.

        models: folder that system.reports.folder.save_report_models completed
        device: torch's name, "cuda" for the GPU that Ray gave
        """
        from system.reports.report_models import load_report_models  # torch and transformers: not for the driver

        self._models = load_report_models(Path(models), device=device)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Label a batch.

        batch: columns
            study_id, description, impression: [B] str, the texts cleaned
            version: [B] int32
            fold: [B] int8, the fold of the one model that may read this report, -1 = all models

        Returns columns
            study_id, version: as in the batch
            p_left, p_right: [B] float32, p_mass of the breast, 0 to 1
        """
        reports = [Sections(*texts) for texts in zip(batch["description"], batch["impression"], strict=True)]
        p_mass = self._models.read(reports, batch["fold"])
        return {name: batch[name] for name in ("study_id", "version")} | {
            "p_left": p_mass[Side.LEFT],
            "p_right": p_mass[Side.RIGHT],
        }
