"""The mapping between source and canonical pixels, kept with every image to draw candidates on the original."""

import json
from dataclasses import asdict, dataclass

import numpy as np

MAX_SIDE_PX = 65536  # no picture has more rows or columns


@dataclass(frozen=True, slots=True)
class Turn:
    """How a file's picture is turned so that it is upright; left and right are the geometry's affair."""

    transposed: bool = False  # rows become columns
    flipped: bool = False  # upside down, after that

    def upright(self, pixels: np.ndarray) -> np.ndarray:
        """Return the file's pixels [rows, cols] turned upright."""
        pixels = pixels.T if self.transposed else pixels
        return pixels[::-1] if self.flipped else pixels


UPRIGHT = Turn()


@dataclass(frozen=True, slots=True)
class Geometry:
    """Turn upright, mirror (when the chest wall is on the right), move, scale: in this order from source to canonical.

    Coordinates are x, y; the centre of pixel i is at i. The source frame is the file's, as it lies in the file.
    """

    source_rows: int
    source_cols: int
    rows: int  # canonical height, px
    cols: int  # canonical width, px
    mirrored: bool
    scale: float  # canonical px per source px
    left_px: float  # source px cut off on the chest-wall side, after mirroring
    top_px: int  # canonical px of padding above
    transposed: bool = False  # see Turn; false in archives from before it
    flipped: bool = False

    @property
    def turn(self) -> Turn:
        """How the file's pixels are turned before all else."""
        return Turn(transposed=self.transposed, flipped=self.flipped)

    @property
    def upright_size(self) -> tuple[int, int]:
        """Rows and columns of the source once it is upright."""
        return (self.source_cols, self.source_rows) if self.transposed else (self.source_rows, self.source_cols)

    def to_canonical(self, xy: np.ndarray) -> np.ndarray:
        """Return canonical x, y of source points: [N, 2] float64, canonical px; may lie outside the view.

        xy: [N, 2] float, source px
        """
        points = np.array(xy, dtype=np.float64).reshape(-1, 2)
        rows, cols = self.upright_size
        if self.transposed:
            points = points[:, ::-1].copy()
        if self.flipped:
            points[:, 1] = rows - 1 - points[:, 1]
        if self.mirrored:
            points[:, 0] = cols - 1 - points[:, 0]
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
        rows, cols = self.upright_size
        if self.mirrored:
            points[:, 0] = cols - 1 - points[:, 0]
        if self.flipped:
            points[:, 1] = rows - 1 - points[:, 1]
        return points[:, ::-1].copy() if self.transposed else points

    def to_json(self) -> str:
        """Return the text for the archive's `geometry` column."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def checked(cls, text: str) -> "Geometry":
        """Return the geometry in a text that people may have changed. Raises ValueError for what is none."""
        try:
            found = cls.from_json(text)
            sizes = (found.source_rows, found.source_cols, found.rows, found.cols)
            turns = (found.mirrored, found.transposed, found.flipped)
            is_one = all(type(size) is int and 0 < size <= MAX_SIDE_PX for size in sizes)
            is_one &= all(type(turn) is bool for turn in turns) and type(found.top_px) is int
            is_one &= 0 < found.scale < MAX_SIDE_PX and abs(found.left_px) < MAX_SIDE_PX
            is_one &= abs(found.top_px) < found.rows
        except (TypeError, ValueError, AttributeError, RecursionError):
            found, is_one = None, False
        if found is None or not is_one:
            raise ValueError("it is no geometry of a picture")
        return found

    @classmethod
    def from_json(cls, text: str) -> "Geometry":
        """Return the geometry written by `to_json`."""
        return cls(**json.loads(text))
