"""Read images, lesions and candidates from CSV files; every mistake in them is reported with its line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from system.errors import UserError
from system.files.csv_in import read_rows
from system.metrics.boxes import BoxSet

BOX = ("x0", "y0", "x1", "y1")
_SHOWN = 10  # mistakes named; the rest is counted

Rows = list[tuple[int, dict[str, str]]]
"""(line, row)."""


def read_boxes(images: Path, lesions: Path, candidates: Path, *, with_breasts: bool = False) -> BoxSet:
    """Return the content of three tables; columns that are not named here are ignored.

    images: image_id, patient_id and, where with_breasts, breast_id
    lesions: image_id and the box
    candidates: image_id, score and the box

    Raises UserError with the lines of all mistakes: an id that is missing, doubled or unknown, text in place of a
    number, a score outside 0 to 1, a box that ends where it begins. Also for a file that is no such table.
    """
    columns = ("image_id", "patient_id", *(("breast_id",) if with_breasts else ()))
    listed = read_rows(images, columns=columns)
    mistakes = _Mistakes()
    place: dict[str, int] = {}
    for line, row in listed:
        if empty := [name for name in columns if not row[name]]:
            mistakes.add(images, line, f"{empty[0]} is empty")
        elif row["image_id"] in place:
            mistakes.add(images, line, "the image was listed before")
        place.setdefault(row["image_id"], len(place))
    found = read_rows(lesions, columns=("image_id", *BOX))
    marked = read_rows(candidates, columns=("image_id", "score", *BOX))
    lesion_image, lesion_box = _boxes(found, lesions, place=place, mistakes=mistakes)
    candidate_image, candidate_box = _boxes(marked, candidates, place=place, mistakes=mistakes)
    score = _numbers(marked, "score", candidates, mistakes=mistakes)
    mistakes.where(
        ~((score >= 0) & (score <= 1)) & ~np.isnan(score),
        marked,
        candidates,
        lambda row: f"score {row['score']} is outside 0 to 1",
    )
    mistakes.refuse()
    return BoxSet(
        image_id=tuple(place),
        patient=tuple(row["patient_id"] for _, row in listed),
        breast=tuple(row["breast_id"] for _, row in listed) if with_breasts else (),
        lesion_image=lesion_image,
        lesion_box=lesion_box,
        candidate_image=candidate_image,
        candidate_box=candidate_box,
        score=score,
    )


class _Mistakes:
    """All that is wrong in the files, in the order found."""

    def __init__(self) -> None:
        self._all: list[str] = []

    def add(self, path: Path, line: int, what: str) -> None:
        self._all.append(f"{path.name} line {line}: {what}")

    def where(self, wrong: NDArray[np.bool_], rows: Rows, path: Path, what: Callable[[dict[str, str]], str]) -> None:
        """Add the rows that are wrong. wrong: [N] bool."""
        for index in np.flatnonzero(wrong).tolist():
            self.add(path, rows[index][0], what(rows[index][1]))

    def refuse(self) -> None:
        if self._all:
            more = len(self._all) - _SHOWN
            raise UserError("\n".join([*self._all[:_SHOWN], *([f"and {more} more lines"] if more > 0 else [])]))


def _boxes(
    rows: Rows, path: Path, *, place: dict[str, int], mistakes: _Mistakes
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each row's image, [N], and box, [N, 4]."""
    image = np.fromiter((place.get(row["image_id"], -1) for _, row in rows), dtype=np.int64, count=len(rows))
    mistakes.where(image < 0, rows, path, lambda _: "its image is not among the images")
    box = np.stack([_numbers(rows, name, path, mistakes=mistakes) for name in BOX], axis=1)
    for low, high in ((0, 2), (1, 3)):
        what = f"{BOX[high]} must be above {BOX[low]}, found "
        mistakes.where(
            box[:, high] <= box[:, low],
            rows,
            path,
            lambda row, low=low, high=high, what=what: f"{what}{row[BOX[low]]} and {row[BOX[high]]}",
        )
    return image, box


def _numbers(rows: Rows, column: str, path: Path, *, mistakes: _Mistakes) -> NDArray[np.float64]:
    """Return a column, [N], NaN where it holds no finite number; those are mistakes."""
    texts = [row[column] for _, row in rows]
    try:
        values = np.array(texts, dtype=np.float64)
    except ValueError:
        values = np.array([_number(text) for text in texts])
    values[np.isinf(values)] = np.nan
    mistakes.where(np.isnan(values), rows, path, lambda row: f"{column} is no number: {row[column][:20]!r}")
    return values


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
