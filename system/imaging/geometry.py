"""The mapping between source and canonical pixels, kept with every image to draw candidates on the original."""

import json
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Geometry:
    """Mirror (when the chest wall is on the right), move, scale: in this order from source to canonical.

    Coordinates are x, y; the centre of pixel i is at i.
    """

    source_rows: int
    source_cols: int
    rows: int  # canonical height, px
    cols: int  # canonical width, px
    mirrored: bool
    scale: float  # canonical px per source px
    left_px: float  # source px cut off on the chest-wall side, after mirroring
    top_px: int  # canonical px of padding above

    def to_canonical(self, xy: np.ndarray) -> np.ndarray:
        """Return canonical x, y of source points: [N, 2] float64, canonical px; may lie outside the view.

        xy: [N, 2] float, source px
        """
        points = np.array(xy, dtype=np.float64).reshape(-1, 2)
        if self.mirrored:
            points[:, 0] = self.source_cols - 1 - points[:, 0]
        points[:, 0] = (points[:, 0] + 0.5 - self.left_px) * self.scale - 0.5
        points[:, 1] = (points[:, 1] + 0.5) * self.scale - 0.5 + self.top_px
        return points

    def to_source(self, xy: np.ndarray) -> np.ndarray:
        """Return source x, y of canonical points, the inverse of `to_canonical`: [N, 2] float64, source px.

        xy: [N, 2] float, canonical px
        """
        points = np.array(xy, dtype=np.float64).reshape(-1, 2)
        points[:, 0] = (points[:, 0] + 0.5) / self.scale - 0.5 + self.left_px
        points[:, 1] = (points[:, 1] - self.top_px + 0.5) / self.scale - 0.5
        if self.mirrored:
            points[:, 0] = self.source_cols - 1 - points[:, 0]
        return points

    def to_json(self) -> str:
        """Return the text for the archive's `geometry` column."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Geometry":
        """Return the geometry written by `to_json`."""
        return cls(**json.loads(text))
