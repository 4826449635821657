"""Films of two studies, an archive and a run on them, and what a reader does with an exported queue."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.tools import review, review_import
from pipelines.tools.review_source import SourceFolder
from system.archive import Archive, SplitConfig
from system.archive.intake import take
from system.archive.layouts import LAYOUTS
from system.archive.settle import write_settled
from system.config import RunConfig
from system.imaging import DicomConfig, DisplayConfig, Geometry, ImagingConfig, canonical_mask, encode_png
from system.records import image_key
from system.review import QueueConfig
from system.run.folder import RunFolder
from tests.pipelines.tools.by_hand import fill, infer_by_hand

ROWS, COLS = 320, 240
MASS = (80, 130, 110, 170)  # x0, y0, x1, y1 from the chest wall, in the source of a
SECOND = (20, 60, 44, 90)
FILMS = {"a": "L", "b": "R", "c": "L", "d": "R"}  # file -> breast; a and b are one study, c and d another
MIRRORED = "c"  # a left breast whose file has its chest wall on the right

Sheet = list[dict[str, str]]


def film(name: str) -> NDArray[np.uint16]:
    y, x = np.mgrid[:ROWS, :COLS]
    breast = ((y - 160) / 140) ** 2 + (x / 170) ** 2 < 1
    pixels = np.where(breast, 900 + 2 * x + y + ord(name), 20).astype(np.uint16)
    for x0, y0, x1, y1 in (MASS, SECOND):
        pixels[y0:y1, x0:x1] = 4000
    return pixels[:, ::-1] if is_right(name) else pixels


def is_right(name: str) -> bool:
    """Whether the file has its chest wall on the right."""
    return FILMS[name] == "R" or name == MIRRORED


def from_wall(box: Sequence[int], *, right: bool, cols: int) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = box
    return (cols - x1, y0, cols - x0, y1) if right else (x0, y0, x1, y1)


@dataclass(frozen=True)
class Site:
    """A folder of films, and an archive and a run on them."""

    folder: Path
    archive: Archive
    run: RunFolder
    ids: Mapping[str, str]  # film -> image id

    @property
    def films(self) -> Path:
        return self.folder / "films"

    def export(self, out: Path, *, source: Path | None, longest_px: int = 2048) -> Sheet:
        display = DisplayConfig(longest_px=longest_px)
        shown = review.Shown(SourceFolder(source, "") if source else None, display, ("label-studio", "cvat"))
        review.export(self.run.path, 1, out, config=QueueConfig(random_share=0), shown=shown)
        return lines_of(out)

    def name_of(self, image_id: str) -> str:
        return next(name for name, known in self.ids.items() if known == image_id)

    def expected(self, name: str, *boxes: Sequence[int]) -> NDArray[np.bool_]:
        """Return where boxes of the source, from the chest wall, lie in the archive's view, by its own geometry."""
        row = next(row for row in self.archive.table("images").to_pylist() if row["image_id"] == self.ids[name])
        mask = np.zeros((ROWS, COLS), bool)
        for box in boxes:
            x0, y0, x1, y1 = from_wall(box, right=is_right(name), cols=COLS)
            mask[y0:y1, x0:x1] = True
        return canonical_mask(mask, geometry=Geometry.from_json(row["geometry"]))


@dataclass(frozen=True)
class Review:
    """A queue as it was exported, and an archive that takes its verdicts."""

    site: Site
    out: Path
    archive: Archive

    @property
    def lines(self) -> Sheet:
        return lines_of(self.out)

    def take_in(self, lines: Sheet | None = None, drawn: str = "") -> review_import.VerdictImport:
        if lines:
            fill_in(self.out, lines)
        return review_import.take_in(
            self.out / "queue.csv", self.archive.uri, reader="R1", coco=self.out / drawn if drawn else None
        )

    def outlines(self) -> dict[str, NDArray[np.bool_]]:
        rows = [row for row in self.archive.table("verdicts").to_pylist() if row["mask_sha"]]
        return {self.site.name_of(row["image_id"]): self.archive.pixels(row["mask_sha"]) > 0 for row in rows}


def lines_of(out: Path) -> Sheet:
    with (out / "queue.csv").open(encoding="utf8", newline="") as file:
        return list(csv.DictReader(file))


def make_site(folder: Path) -> Site:
    """Return four films, an archive of them, and a run that has looked at them."""
    films = folder / "films"
    films.mkdir()
    lines = [f"{name}.png,{'STUDY-1' if name in 'ab' else 'STUDY-2'},{side},CC" for name, side in FILMS.items()]
    (films / "views.csv").write_text("\n".join(["file,study,side,view", *lines]))
    for name in FILMS:
        (films / f"{name}.png").write_bytes(encode_png(film(name)))
    archive = Archive.create(str(folder / "archive"), imaging=ImagingConfig(height_px=96, width_px=64))
    layout = LAYOUTS["views"]
    found = [take(archive, layout, source=films, item=item, dicom=DicomConfig()) for item in layout.items(films)]
    assert not [row.code for row in found if row.code]
    fill(archive, files=[vars(row) for row in found])
    write_settled(archive, found, config=SplitConfig(strong=0, weak=1, validation=0, test=0), overwrite=False)
    ids = {name: archive.identifier("image", f"{name}.png") for name in FILMS}
    studies = {row["image_id"]: row["study_id"] for row in archive.table("images").to_pylist()}
    report = {"version": 1, "status": "final", "language": "en", "source": "hospital", "impression": ""}
    text = "There is a spiculated mass in the left breast. The right breast is <b>quiet</b>."
    fill(archive, reports=[report | {"study_id": studies[ids["a"]], "description": text}])
    run = RunFolder(folder / "run")
    with run.claimed(RunConfig()):
        run.pin(archive.uri)
    infer_by_hand(run.round(1).predictions, [_prediction(ids[name], studies[ids[name]], name) for name in FILMS])
    return Site(folder, archive, run, ids)


def _prediction(image_id: str, study: str, name: str) -> dict[str, Any]:
    candidate = {"box_px": [2, 60, 10, 70], "score": 0.8, "area_px": 60, "centroid_px": [6.0, 65.0]}
    row = {"image_key": image_key(image_id), "image_id": image_id, "study_id": study, "side": FILMS[name], "view": "CC"}
    return row | {"score": 0.8, "entropy": 0.5, "mask_area_px": 0, "candidates": json.dumps([candidate])}


def picture_boxes(out: Path, line: Mapping[str, str], *boxes: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """Return where boxes of the source lie in an exported picture: pictures hang, whatever the file has."""
    rows, cols = np.asarray(Image.open(out / line["picture"])).shape
    scale = rows / ROWS
    scaled = [[round(at * scale) for at in box] for box in boxes]
    return [from_wall(box, right=line["side"] == "R", cols=cols) for box in scaled]


def fill_in(out: Path, lines: Sheet) -> Path:
    with (out / "queue.csv").open("w", encoding="utf8", newline="") as file:
        writer = csv.DictWriter(file, lines[0].keys())
        writer.writeheader()
        writer.writerows(lines)
    return out / "queue.csv"
