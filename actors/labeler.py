"""Label reports: a batch of texts in, the probability of a mass in each breast out. A plain class; made remote in pipelines/label.py."""

from pathlib import Path

import numpy as np

from system.records import Side
from system.reports.text import Sections


class Labeler:
    """Holds the six models (sides times folds) and averages each side's."""

    def __init__(self, models: str, *, device: str = "cpu") -> None:
        """models: folder that system.reports.folder.save_readers completed; device: torch's name, "cuda" for the GPU Ray gave."""
        from system.reports.readers import load_readers  # torch and transformers, which the driver does without

        self._readers = load_readers(Path(models), device=device)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Label a batch.

        batch: study_id, description, impression: [B] str, cleaned;  version [B] int32;
            fold [B] int8: the one model that may read this report, -1 = all
        Returns study_id, version [B] and p_left, p_right: [B] float32, 0 to 1.
        """
        reports = [Sections(*texts) for texts in zip(batch["description"], batch["impression"], strict=True)]
        p_mass = self._readers.read(reports, batch["fold"])
        return {name: batch[name] for name in ("study_id", "version")} | {"p_left": p_mass[Side.LEFT], "p_right": p_mass[Side.RIGHT]}
