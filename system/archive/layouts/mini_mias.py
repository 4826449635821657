"""The mini-MIAS films as they are distributed: Info.txt and mdb*.pgm, 1024 x 1024 px of 0.2 mm.

What Info.txt does not make plain:
* Films come in pairs (2k - 1, 2k) of one person, all MLO; a pair is one patient with one study.
* y counts from the bottom.
* An image with two findings has two rows; a finding may have no circle, or text where the numbers should be.
* Only CIRC, SPIC and MISC are masses; a mass without a circle makes its image positive without truth.
* The side: even numbers should be left films, yet the number is not reliable in all copies. The picture decides: the
  films lie in display orientation, so a right breast has its chest wall at the picture's right edge. Two films of one
  patient that show the same side are both refused (`side_conflict`): nothing here shows which one is mirrored.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from system.archive.layouts.layout import SourceItem, SourceReport
from system.errors import Mistakes, UserError
from system.files.row import to_count
from system.imaging import DicomConfig, ImageRefused, SourceImage, read_plain
from system.imaging.breast import find_breast
from system.phantom import BreastTruth, MassShape, MassTruth, write_report
from system.records import Side, ViewPosition

SPACING_MM = 0.2
FILM_PX = 1024
SHAPES = {"CIRC": MassShape.CIRCUMSCRIBED, "SPIC": MassShape.SPICULATED, "MISC": MassShape.ILL_DEFINED}
OTHER_CLASSES = ("CALC", "ARCH", "ASYM", "NORM")
DENSITIES = {"F": "a", "G": "b", "D": "c"}  # fatty, fatty-glandular, dense-glandular -> the nearest ACR letter
FILM = re.compile(r"mdb[0-9]{3}")
REPORT_SEED = 1995  # of the generated texts: fixed, so that every archive of these films has the same reports


@dataclass(frozen=True, slots=True)
class InfoRow:
    """One row of Info.txt."""

    number: int  # of the film
    tissue: str  # F, G, D
    abnormality: str  # CIRC, SPIC, MISC, CALC, ARCH, ASYM, NORM
    circle_px: tuple[float, float, float] | tuple[()]  # x, y from the top left, radius; () where none is given

    @property
    def is_mass(self) -> bool:
        """Whether the abnormality is a mass."""
        return self.abnormality in SHAPES


@dataclass(frozen=True, slots=True)
class MiniMias:
    """The films, their circles, and reports written from their classes."""

    name: str = "mini-mias"
    report_source: str = "generated"

    def items(self, source: Path) -> list[SourceItem]:
        """Return the films that Info.txt lists, by number."""
        films = _films(source)
        return [_item(number, films[number]) for number in sorted(films)]

    def files(self, source: Path, item: SourceItem) -> list[Path]:
        """Return the film and its partner, from which `read` takes the side to compare with."""
        return [source / item.name, source / _file_name(_partner(int(item.name[3:6])))]

    def read(
        self,
        source: Path,
        item: SourceItem,
        *,
        config: DicomConfig = DicomConfig(),
    ) -> SourceImage:
        """Return one film; refused when its partner shows the same side."""
        number = int(item.name[3:6])
        pixels, side = _film(source / item.name)
        partner = source / _file_name(_partner(number))
        if partner.exists() and _film(partner)[1] is side:
            raise ImageRefused("side_conflict", f"both films of the pair show side {side.value}")
        return SourceImage(
            pixels=pixels,
            side=side,
            view=ViewPosition.MLO,
            spacing_mm=SPACING_MM,
            patient=_pair_name(number),
            study=_pair_name(number),
            image=f"mini-mias film {number}",
        )

    def mask(self, source: Path, item: SourceItem, image: SourceImage) -> np.ndarray:
        """Return the discs of a film's masses."""
        rows, cols = np.ogrid[: image.pixels.shape[0], : image.pixels.shape[1]]
        mask = np.zeros(image.pixels.shape, bool)
        for x, y, radius in item.circles_px:
            mask |= (cols - x) ** 2 + (rows - y) ** 2 <= radius**2
        return mask

    def reports(self, source: Path, *, sides: dict[str, Side]) -> list[SourceReport]:
        """Return one report per patient, in Chinese or English, generated from the classes of the patient's films."""
        films = _films(source)
        pairs: dict[int, dict[Side, BreastTruth]] = {}
        for number in sorted(films):
            if side := sides.get(_file_name(number)):
                pairs.setdefault(_pair(number), {})[side] = _breast_truth(films[number])
        return [_report(pair, breasts) for pair, breasts in pairs.items()]


def _films(source: Path) -> dict[int, list[InfoRow]]:
    """Return the rows of Info.txt by film number.

    Raises UserError for an absent file, a row of another form, and a file without films.
    """
    path = source / "Info.txt"
    if not path.exists():
        raise UserError("Info.txt is not in the source folder: give the folder of the original mini-MIAS files")
    films: dict[int, list[InfoRow]] = {}
    mistakes = Mistakes()
    for line, text in enumerate(path.read_text(encoding="latin-1").split("\n"), start=1):
        fields = text.split()
        if fields and FILM.fullmatch(fields[0]):
            try:
                row = _info_row(fields, where=f"Info.txt line {line}")
            except UserError as error:
                mistakes.add(str(error))
            else:
                films.setdefault(row.number, []).append(row)
    mistakes.refuse()
    if not films:
        raise UserError("Info.txt lists no film (mdbNNN): give the folder of the original mini-MIAS files")
    return films


def _info_row(fields: list[str], *, where: str) -> InfoRow:
    if len(fields) < 3 or fields[1] not in DENSITIES or fields[2] not in (*SHAPES, *OTHER_CLASSES):
        raise UserError(
            f"{where}: expected 'mdbNNN tissue class [severity x y radius]', found {' '.join(fields)[:60]!r}"
        )
    return InfoRow(
        number=int(fields[0][3:]), tissue=fields[1], abnormality=fields[2], circle_px=_circle(fields[4:], where=where)
    )


def _circle(fields: list[str], *, where: str) -> tuple[float, float, float] | tuple[()]:
    """Return x, y from the top left and the radius; () unless there are three numbers."""
    if len(fields) != 3 or not all(field.isascii() and field.isdigit() for field in fields):
        return ()
    names = ("x", "y", "radius")
    x, y_from_bottom, radius = (
        float(to_count(field, where=f"{where}, {name}", high=FILM_PX - 1))
        for name, field in zip(names, fields, strict=True)
    )
    return x, FILM_PX - 1 - y_from_bottom, radius


def _item(number: int, rows: list[InfoRow]) -> SourceItem:
    masses = [row for row in rows if row.is_mass]
    circles = tuple(row.circle_px for row in masses if row.circle_px)
    return SourceItem(
        name=_file_name(number),
        has_truth=len(circles) == len(masses),
        density=DENSITIES[rows[0].tissue],
        num_masses=len(masses),
        circles_px=circles,
    )


def _film(path: Path) -> tuple[np.ndarray, Side]:
    """Return a film's pixels [rows, cols] float32 and the breast it shows. Raises ImageRefused."""
    if not path.is_file():
        raise ImageRefused("not_found", "a film that Info.txt lists is not in the folder")
    pixels = read_plain(path).astype(np.float32)
    return pixels, find_breast(pixels).chest_wall


def _breast_truth(rows: list[InfoRow]) -> BreastTruth:
    """Return what the generated report describes of one breast."""
    abnormalities = {row.abnormality for row in rows}
    masses = (row for row in rows if row.is_mass)
    return BreastTruth(
        masses=tuple(MassTruth(shape=SHAPES[mass.abnormality], diameter_mm=_diameter_mm(mass)) for mass in masses),
        has_calcifications="CALC" in abnormalities,
        has_asymmetry=bool(abnormalities & {"ASYM", "ARCH"}),  # the report generator has no text for distortions
        density=DENSITIES[rows[0].tissue],
    )


def _diameter_mm(mass: InfoRow) -> float:
    """Return the circle's diameter; 0 when there is no circle."""
    return 2 * mass.circle_px[2] * SPACING_MM if mass.circle_px else 0.0


def _report(pair: int, breasts: dict[Side, BreastTruth]) -> SourceReport:
    rng = np.random.default_rng([REPORT_SEED, pair])
    report = write_report(breasts, language="zh" if rng.random() < 0.5 else "en", rng=rng)
    return SourceReport(
        study=_pair_name(2 * pair),
        version=1,
        status="final",
        language=report.language,
        description=report.description,
        impression=report.impression,
    )


def _pair(number: int) -> int:
    return (number + 1) // 2


def _partner(number: int) -> int:
    return number + 1 if number % 2 else number - 1


def _pair_name(number: int) -> str:
    return f"mini-mias pair {_pair(number)}"


def _file_name(number: int) -> str:
    return f"mdb{number:03d}.pgm"
