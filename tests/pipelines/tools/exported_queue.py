"""A review's queue of four images as it was exported, filled in and taken back in."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.tools import review, review_import
from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.config import RunConfig
from system.imaging import ImagingConfig
from system.records import Split, image_key
from system.review import QueueConfig
from system.run.folder import RunFolder
from tests.pipelines.tools.annotation_tools import Content
from tests.pipelines.tools.by_hand import infer_by_hand

ROWS, COLS = 64, 96
IMAGES = ("a", "b", "c", "d")
BOX = [10, 20, 22, 40]  # x0, y0, x1, y1 of the network's candidate, in a, b and c
SQUARE = [30.0, 30.0, 40.0, 30.0, 40.0, 40.0, 30.0, 40.0]
TRIANGLE = [50.0, 10.0, 70.0, 12.0, 60.0, 33.0]


class Exported:
    """A queue of four images as it was exported, with three candidates, and the archive that takes verdicts."""

    def __init__(self, folder: Path) -> None:
        self.archive = Archive.create(str(folder / "archive"), imaging=ImagingConfig(height_px=ROWS, width_px=COLS))
        pixels = np.arange(ROWS * COLS, dtype=np.uint16).reshape(ROWS, COLS)
        rows = [_image(name, self.archive.put_pixels(pixels + place)) for place, name in enumerate(IMAGES)]
        self.archive.upsert("images", pa.Table.from_pylist(rows, schema=SCHEMAS["images"]))
        run = RunFolder(folder / "run")
        with run.claimed(RunConfig()):
            run.pin(self.archive.uri)
        infer_by_hand(run.round(1).predictions, [_prediction(name) for name in IMAGES])
        self.out = folder / "review"
        review.export(run.path, 1, self.out, config=QueueConfig(random_share=0))
        with (self.out / "queue.csv").open(encoding="utf8", newline="") as file:
            self.lines = list(csv.DictReader(file))
        self.picture = {line["image_id"]: line["picture"] for line in self.lines}
        self.page: Content = json.loads((self.out / "candidates.coco.json").read_text())
        self.ids = {name: self._id_of(picture) for name, picture in self.picture.items()}

    def _id_of(self, picture: str) -> int:
        return next(image["id"] for image in self.page["images"] if image["file_name"] == picture)

    def fill_in(self, **verdicts: str | tuple[str | int, ...]) -> Path:
        """Write the verdicts: alone, or with the box of a mass."""
        for line in self.lines:
            found = verdicts.get(line["image_id"], "")
            values = found if isinstance(found, tuple) else (found, "", "", "", "")
            line.update(zip(("verdict", "x0", "y0", "x1", "y1"), map(str, values), strict=True))
        with (self.out / "queue.csv").open("w", encoding="utf8", newline="") as file:
            writer = csv.DictWriter(file, self.lines[0].keys())
            writer.writeheader()
            writer.writerows(self.lines)
        return self.out / "queue.csv"

    def take_in(self, content: Content, **verdicts: str | tuple[str | int, ...]) -> review_import.VerdictImport:
        """Import the verdicts with this COCO file."""
        (self.out / "edited.json").write_text(json.dumps(content))
        sheet = self.fill_in(**verdicts)
        return review_import.take_in(sheet, self.archive.uri, reader="R1", coco=self.out / "edited.json")

    def outlines(self) -> dict[str, NDArray[np.bool_]]:
        """Return the outlines in the archive, by image."""
        rows = self.archive.table("verdicts").to_pylist()
        return {row["image_id"]: self.archive.pixels(row["mask_sha"]) > 0 for row in rows if row["mask_sha"]}

    def with_drawn(self, *annotations: Content) -> Content:
        """Return the page with further annotations, as a tool that keeps everything writes it."""
        return self.page | {"annotations": [*self.page["annotations"], *annotations]}

    def mass(self, image: str, number: int = 100, **changes: Any) -> Content:
        """Return an annotation of a mass as tools write it."""
        annotation = {"id": number, "image_id": self.ids[image], "category_id": 1, "segmentation": [SQUARE]}
        return annotation | {"bbox": [30, 30, 10, 10], "area": 100, "iscrowd": 0} | changes


def _image(name: str, sha: str) -> dict[str, Any]:
    row = {"image_id": name, "image_key": image_key(name), "patient_id": name, "study_id": f"study-{name}", "side": "L"}
    row |= {"view": "CC", "density": "", "rows": ROWS, "cols": COLS, "spacing_mm": 0.0, "geometry": "", "source": "t"}
    return row | {"pixel_sha": sha, "split": str(Split.WEAK)}


def _prediction(name: str) -> dict[str, Any]:
    candidate = {"box_px": BOX, "score": 0.8, "area_px": 100, "centroid_px": [16.0, 30.0]}
    row = {"image_key": image_key(name), "image_id": name, "study_id": f"study-{name}", "side": "L", "view": "CC"}
    row |= {"score": 0.8, "entropy": 0.5, "mask_area_px": 0}
    return row | {"candidates": json.dumps([candidate] if name != "d" else [])}
