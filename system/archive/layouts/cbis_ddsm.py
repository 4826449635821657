"""CBIS-DDSM as TCIA's downloader writes it: digitised films, with a mask for each outlined abnormality.

There is one DICOM folder per film and one per outlined abnormality:

{mass,calc}_case_description_{train,test}_set.csv                 one row per abnormality of a film;
                                                                  all four tables lie in the source itself
[manifest-*/][CBIS-DDSM/]Mass-Training_P_00001_LEFT_CC/**/*.dcm   the film
                         Mass-Training_P_00001_LEFT_CC_1/**/*.dcm the cropped film and the mask of abnormality 1

What the tables do not make plain:
* Their paths are not those on disk (the downloader renames the folders inside), and end in line breaks within the
  quotes. Only the first folder of a path is right, so a film and its abnormalities are found by it.
* The headers' Patient ID is the folder's name, and their View Position is missing: patient, side and view are taken
  from the tables.
* Cropped film and mask are often swapped, in the tables as on disk: the mask is the two-valued picture of its film's
  size. A two-valued picture of another size is scaled to the film when their aspects agree within 1 %; otherwise the
  film is refused (`mask_size`), so that no part of its truth is ever left out.
* A patient may be among the masses and among the calcifications, and on both sides of the official split, with the
  same film in two folders. A film is one item whatever the tables that list it, its truth is the union of its masses,
  and the official split is not used.
* A film with calcifications only has no mass. This is known from the tables of masses, so none of the four tables may
  be absent.
* The scanner is not named, so the spacing is unknown (0).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from system.archive.layouts.layout import SourceItem, SourceReport, density_of
from system.errors import Mistakes, UserError
from system.files.csv_in import read_records
from system.files.row import Row
from system.imaging import DicomConfig, ImageRefused, SourceImage, read_pixels
from system.records import Side, ViewPosition

TABLES = tuple(f"{group}_case_description_{part}_set.csv" for group in ("mass", "calc") for part in ("train", "test"))
COLUMNS = (
    "patient_id",
    "left or right breast",
    "image view",
    "abnormality type",
    "image file path",
    "ROI mask file path",
)
FILM_FOLDER = re.compile(r"(?:Mass|Calc)-(?:Training|Test)_(P_[0-9]{5})_(LEFT|RIGHT)_(CC|MLO)")
SIDES = {"LEFT": Side.LEFT, "RIGHT": Side.RIGHT}
DENSITY = ("breast_density", "breast density")  # the tables of masses and of calcifications spell it differently
MASS, CALCIFICATION = "mass", "calcification"
MAX_ASPECT_ERROR = 0.01  # width to height of a mask and its film, relative


@dataclass(frozen=True, slots=True)
class Abnormality:
    """One row of a table."""

    film: tuple[str, str, str]  # patient, LEFT or RIGHT, CC or MLO
    film_folder: str
    mask_folder: str  # "" = not a mass
    density: str  # of the film, ACR a to d; "" = not given


@dataclass(frozen=True, slots=True)
class CbisDdsm:
    """The films, and the outlines of their masses."""

    name: str = "cbis-ddsm"
    report_source: str = "none"

    def items(self, source: Path) -> list[SourceItem]:
        """Return the films that the four tables list, ordered by patient, side and view."""
        films: dict[tuple[str, str, str], list[Abnormality]] = {}
        for abnormality in _abnormalities(source):
            films.setdefault(abnormality.film, []).append(abnormality)
        return [_item(films[film]) for film in sorted(films)]

    def files(self, source: Path, item: SourceItem) -> list[Path]:
        """Return the film's files, then those of its masses; a folder without files is returned itself."""
        return [path for folder in (item.name, *item.masks) for path in _files_in(source, folder) or [source / folder]]

    def read(self, source: Path, item: SourceItem, *, config: DicomConfig = DicomConfig()) -> SourceImage:
        """Return one film."""
        files = _files_in(source, item.name)
        if not files:
            raise ImageRefused("not_found", "a film that a table lists is not in the source")
        if len(files) > 1:
            raise ImageRefused("ambiguous", f"the folder of one film has {len(files)} DICOM files, expected 1")
        return SourceImage(
            pixels=read_pixels(files[0], config=config),
            side=Side(item.side),
            view=ViewPosition(item.view),
            spacing_mm=0.0,
            patient=item.patient,
            study=item.study,
            image=f"{item.patient} {item.side} {item.view}",
        )

    def mask(self, source: Path, item: SourceItem, image: SourceImage) -> np.ndarray:
        """Return the union of the film's masses."""
        mask = np.zeros(image.pixels.shape, bool)
        for folder in item.masks:
            mask |= _mask_in(source, folder, shape=mask.shape)
        return mask

    def reports(self, source: Path, *, sides: dict[str, Side]) -> list[SourceReport]:
        """Return nothing."""
        return []


def _abnormalities(source: Path) -> list[Abnormality]:
    """Return the rows of the four tables. Raises UserError with the mistakes of all of them."""
    found, mistakes = [], Mistakes()
    for table in TABLES:
        try:
            found += read_records(source / table, of=_abnormality, columns=COLUMNS, optional=DENSITY)
        except UserError as error:
            mistakes.add(str(error))
    mistakes.refuse()
    return found


def _abnormality(row: Row) -> Abnormality:
    abnormality_type = row.one_of("abnormality type", (MASS, CALCIFICATION))
    film = (row["patient_id"], row["left or right breast"], row["image view"])
    folder = row["image file path"].split("/")[0]
    match = FILM_FOLDER.fullmatch(folder)
    if match is None or match.groups() != film:
        row.wrong("image file path does not begin with the folder of this patient, breast and view: correct the row")
    mask_folder = row["ROI mask file path"].split("/")[0] if abnormality_type == MASS else ""
    if abnormality_type == MASS and not re.fullmatch(rf"{re.escape(folder)}_[0-9]{{1,4}}", mask_folder):
        row.wrong(
            "ROI mask file path does not begin with the folder of one of this film's abnormalities: correct the row"
        )
    return Abnormality(film, folder, mask_folder, density_of(next(filter(None, (row[name] for name in DENSITY)), "")))


def _item(abnormalities: list[Abnormality]) -> SourceItem:
    """Return one film; where it lies in several folders, that of a row with a mass counts."""
    patient, side, view = abnormalities[0].film
    with_mass = [row for row in abnormalities if row.mask_folder]
    folders = {row.film_folder for row in with_mass or abnormalities}
    masks = tuple(sorted({row.mask_folder for row in abnormalities} - {""}))
    name = f"CBIS-DDSM {patient}"
    return SourceItem(
        name=min(folders),
        has_truth=True,
        num_masses=len(masks),
        masks=masks,
        side=SIDES[side],
        view=view,
        density=abnormalities[0].density,
        patient=name,
        study=name,
    )


def _files_in(source: Path, folder: str) -> list[Path]:
    """Return the DICOM files of a folder in the first download that has it; none where no download does."""
    found = (sorted((root / folder).rglob("*.dcm")) for root in _downloads(source))
    return next((files for files in found if files), [])


def _downloads(source: Path) -> Iterator[Path]:
    """Return the folders that may hold the folders of films.

    Every manifest of the data set is downloaded into a folder of its own.
    """
    yield source
    yield source / "CBIS-DDSM"
    yield from sorted(source.glob("manifest-*/CBIS-DDSM"))


def _mask_in(source: Path, folder: str, *, shape: tuple[int, ...]) -> np.ndarray:
    """Return the mask among the pictures of one abnormality: [rows, cols] bool of the film's shape.

    Raises ImageRefused not_found, mask_size, ambiguous, mask_empty.
    """
    files = _files_in(source, folder)
    if not files:
        raise ImageRefused("not_found", "the mask of a listed mass is not in the source")
    pictures = [read_pixels(path) for path in files]
    masks = [picture for picture in pictures if _is_two_valued(picture)]
    fitting = [mask for mask in masks if mask.shape == shape] or [
        mask for mask in masks if _has_aspect_of(mask, shape=shape)
    ]
    if not fitting:
        sizes = [list(picture.shape) for picture in pictures]
        raise ImageRefused(
            "mask_size", f"no mask of the film's size {list(shape)} px or aspect; the pictures with it are {sizes} px"
        )
    mask, *others = (_scaled(mask > mask.min(), shape=shape) for mask in fitting)
    if any(not np.array_equal(mask, other) for other in others):
        raise ImageRefused("ambiguous", f"{len(fitting)} different masks of one abnormality")
    if not mask.any():
        raise ImageRefused("mask_empty", "the mask of a listed mass is empty")
    return mask


def _is_two_valued(picture: np.ndarray) -> bool:
    return bool(((picture == picture.min()) | (picture == picture.max())).all())


def _has_aspect_of(mask: np.ndarray, *, shape: tuple[int, ...]) -> bool:
    return abs(mask.shape[1] * shape[0] / (mask.shape[0] * shape[1]) - 1) < MAX_ASPECT_ERROR


def _scaled(mask: np.ndarray, *, shape: tuple[int, ...]) -> np.ndarray:
    """Return the mask in another shape, [rows, cols] bool: each pixel has the value at its centre."""
    rows, cols = ((np.arange(new) + 0.5) * old / new for new, old in zip(shape, mask.shape, strict=True))
    return mask[np.ix_(rows.astype(np.intp), cols.astype(np.intp))]
