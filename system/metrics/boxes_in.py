"""Read images, lesions and candidates from CSV files; every mistake in them is reported with its line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from system.errors import Mistakes
from system.files.csv_in import read_rows
from system.files.row import parse_number
from system.metrics.boxes import BoxSet

BOX = ("x0", "y0", "x1", "y1")
MAX_PX = 1e7  # no picture is as wide
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
    mistakes = Mistakes(shown=_SHOWN)
    place: dict[str, int] = {}
    for line, row in listed:
        if empty := [name for name in columns if not row[name]]:
            mistakes.add(f"{images.name} line {line}: {empty[0]} is empty")
        elif row["image_id"] in place:
            mistakes.add(f"{images.name} line {line}: the image was listed before")
        place.setdefault(row["image_id"], len(place))
    found = read_rows(lesions, columns=("image_id", *BOX), numbers=BOX)
    marked = read_rows(candidates, columns=("image_id", "score", *BOX), numbers=("score", *BOX))
    lesion_image, lesion_box = _boxes(found, lesions, place=place, mistakes=mistakes)
    candidate_image, candidate_box = _boxes(marked, candidates, place=place, mistakes=mistakes)
    score = _numbers(marked, "score", candidates, mistakes=mistakes)
    _add_where(
        mistakes,
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


def _add_where(
    mistakes: Mistakes, wrong: NDArray[np.bool_], rows: Rows, path: Path, what: Callable[[dict[str, str]], str]
) -> None:
    """Add the rows that are wrong. wrong: [N] bool."""
    for index in np.flatnonzero(wrong).tolist():
        mistakes.add(f"{path.name} line {rows[index][0]}: {what(rows[index][1])}")


def _boxes(
    rows: Rows, path: Path, *, place: dict[str, int], mistakes: Mistakes
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each row's image, [N], and box, [N, 4]."""
    image = np.fromiter((place.get(row["image_id"], -1) for _, row in rows), dtype=np.int64, count=len(rows))
    _add_where(mistakes, image < 0, rows, path, lambda _: "its image is not among the images")
    box = np.stack([_numbers(rows, name, path, mistakes=mistakes) for name in BOX], axis=1)
    for low, high in ((0, 2), (1, 3)):
        what = f"{BOX[high]} must be above {BOX[low]}, found "
        _add_where(
            mistakes,
            box[:, high] <= box[:, low],
            rows,
            path,
            lambda row, low=low, high=high, what=what: f"{what}{row[BOX[low]]} and {row[BOX[high]]}",
        )
    return image, box


def _numbers(rows: Rows, column: str, path: Path, *, mistakes: Mistakes) -> NDArray[np.float64]:
    """Return a column, [N], NaN where it holds no finite number; those are mistakes."""
    texts = [row[column] for _, row in rows]
    values = np.array([parse_number(text) for text in texts], dtype=np.float64)
    _add_where(mistakes, np.isnan(values), rows, path, lambda row: f"{column} is no number: {row[column][:20]!r}")
    _add_where(
        mistakes,
        np.abs(values) > MAX_PX,
        rows,
        path,
        lambda row: f"{column} is beyond {MAX_PX:g}: {row[column][:20]!r}",
    )
    return values
