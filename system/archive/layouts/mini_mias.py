"""The mini-MIAS films as they are distributed: Info.txt and mdb*.pgm, 1024 x 1024 px of 0.2 mm.

What Info.txt does not make plain:
* films come in pairs (2k - 1, 2k) of one woman, all MLO; she is one patient with one study;
* y counts from the bottom;
* an image with two findings has two rows; a finding may have no circle, or text where the numbers should be;
* only CIRC, SPIC and MISC are masses; a mass without a circle makes its image positive without truth;
* the side: even numbers are said to be left films, yet the number is not reliable in all copies. The picture decides: the films lie in
  display orientation, so a right breast has its chest wall at the picture's right edge. Two films of one woman that show the same side
  are both refused (`side_conflict`): nothing here could say which one is mirrored.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from system.archive.layouts.layout import SourceItem, SourceReport
from system.imaging import DicomConfig, ImageRefused, SourceImage, read_plain
from system.imaging.breast import find_breast
from system.phantom import BreastFinding, MassFinding, MassShape, write_report
from system.records import Side, ViewPosition

SPACING_MM = 0.2
FILM_PX = 1024
SHAPES = {"CIRC": MassShape.CIRCUMSCRIBED, "SPIC": MassShape.SPICULATED, "MISC": MassShape.ILL_DEFINED}
OTHER_CLASSES = ("CALC", "ARCH", "ASYM", "NORM")
DENSITIES = {"F": "a", "G": "b", "D": "c"}  # fatty, fatty-glandular, dense-glandular -> the nearest ACR letter
REPORT_SEED = 1995  # of the generated wording: fixed, so that every archive of these films has the same reports


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of Info.txt."""

    number: int  # of the film
    tissue: str  # F, G, D
    kind: str  # CIRC, SPIC, MISC, CALC, ARCH, ASYM, NORM
    circle_px: tuple[float, float, float] | tuple[()]  # x, y from the top left, radius; () where none is given

    @property
    def is_mass(self) -> bool:
        """Whether the class is one of the masses."""
        return self.kind in SHAPES


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
        """Return the film and its partner, which is looked at too."""
        return [source / item.name, source / _file_name(_partner(int(item.name[3:6])))]

    def read(self, source: Path, item: SourceItem, *, config: DicomConfig = DicomConfig()) -> SourceImage:  # noqa: ARG002 - no DICOM
        """Return one film; its partner is looked at too, to see that the two show different sides."""
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

    def mask(self, source: Path, item: SourceItem, image: SourceImage) -> np.ndarray:  # noqa: ARG002 - the list has circles
        """Return the discs of a film's masses."""
        rows, cols = np.ogrid[: image.pixels.shape[0], : image.pixels.shape[1]]
        mask = np.zeros(image.pixels.shape, bool)
        for x, y, radius in item.circles_px:
            mask |= (cols - x) ** 2 + (rows - y) ** 2 <= radius**2
        return mask

    def reports(self, source: Path, *, sides: dict[str, Side]) -> list[SourceReport]:
        """Return one report per woman, in Chinese or English, written from the classes of her films."""
        films = _films(source)
        women: dict[int, dict[Side, BreastFinding]] = {}
        for number in sorted(films):
            if side := sides.get(_file_name(number)):
                women.setdefault(_pair(number), {})[side] = _breast_finding(films[number])
        return [_report(pair, breasts) for pair, breasts in women.items()]


def _films(source: Path) -> dict[int, list[Finding]]:
    """Return the findings of Info.txt by film number. Raises ValueError for a row that cannot be understood."""
    films: dict[int, list[Finding]] = {}
    for line, text in enumerate((source / "Info.txt").read_text(encoding="latin-1").splitlines(), start=1):
        words = text.split()
        if words and len(words[0]) == 6 and words[0].startswith("mdb") and words[0][3:].isdigit():
            finding = _finding(words, where=f"Info.txt line {line}")
            films.setdefault(finding.number, []).append(finding)
    if not films:
        raise ValueError("Info.txt lists no film (mdbNNN): give the folder of the original mini-MIAS files")
    return films


def _finding(words: list[str], *, where: str) -> Finding:
    if len(words) < 3 or words[1] not in DENSITIES or words[2] not in (*SHAPES, *OTHER_CLASSES):
        raise ValueError(f"{where}: expected 'mdbNNN tissue class [severity x y radius]', found {' '.join(words)[:60]!r}")
    return Finding(number=int(words[0][3:]), tissue=words[1], kind=words[2], circle_px=_circle(words[4:]))


def _circle(words: list[str]) -> tuple[float, float, float] | tuple[()]:
    """Return x, y from the top left and the radius; () unless there are three numbers."""
    if len(words) != 3 or not all(word.isdigit() for word in words):
        return ()
    x, y_from_bottom, radius = (float(word) for word in words)
    return x, FILM_PX - 1 - y_from_bottom, radius


def _item(number: int, findings: list[Finding]) -> SourceItem:
    masses = [finding for finding in findings if finding.is_mass]
    circles = tuple(finding.circle_px for finding in masses if finding.circle_px)
    return SourceItem(
        name=_file_name(number),
        has_truth=len(circles) == len(masses),
        density=DENSITIES[findings[0].tissue],
        num_masses=len(masses),
        circles_px=circles,
    )


def _film(path: Path) -> tuple[np.ndarray, Side]:
    """Return a film's pixels [rows, cols] float32 and the breast it shows. Raises ImageRefused."""
    if not path.is_file():
        raise ImageRefused("not_found", "a film that Info.txt lists is not in the folder")
    pixels = read_plain(path).astype(np.float32)
    return pixels, find_breast(pixels).chest_wall


def _breast_finding(findings: list[Finding]) -> BreastFinding:
    kinds = {finding.kind for finding in findings}
    masses = (finding for finding in findings if finding.is_mass)
    return BreastFinding(
        masses=tuple(MassFinding(shape=SHAPES[mass.kind], diameter_mm=_diameter_mm(mass)) for mass in masses),
        has_calcifications="CALC" in kinds,
        has_asymmetry=bool(kinds & {"ASYM", "ARCH"}),  # a report writer has no word of its own for distortions
        density=DENSITIES[findings[0].tissue],
    )


def _diameter_mm(mass: Finding) -> float:
    """Return the circle's diameter; 0 when there is no circle."""
    return 2 * mass.circle_px[2] * SPACING_MM if mass.circle_px else 0.0


def _report(pair: int, breasts: dict[Side, BreastFinding]) -> SourceReport:
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
