"""A source of drawn breasts, in place of files."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from system.archive.layouts import SourceItem, SourceReport
from system.imaging import DicomConfig, SourceImage
from system.records import Side, ViewPosition

DICOM = DicomConfig()


@dataclass
class DrawnLayout:
    """A layout of drawn breasts; `images` has the image of each item, `masks` its masses."""

    images: dict[str, SourceImage | Exception]
    masks: dict[str, np.ndarray] = field(default_factory=dict)
    name: str = "drawn"
    report_source: str = "none"

    def items(self, source: Path) -> list[SourceItem]:
        return [SourceItem(name) for name in self.images]

    def files(self, source: Path, item: SourceItem) -> list[Path]:
        return [source / item.name]

    def read(self, source: Path, item: SourceItem, *, config: DicomConfig = DICOM) -> SourceImage:
        if isinstance(found := self.images[item.name], Exception):
            raise found
        return found

    def mask(self, source: Path, item: SourceItem, image: SourceImage) -> np.ndarray:
        return self.masks.get(item.name, np.zeros(image.pixels.shape, bool))

    def reports(self, source: Path, *, sides: dict[str, Side]) -> list[SourceReport]:
        return []


def breast(image: str = "i", *, patient: str = "P1", study: str = "s", seed: int = 0, birth: str = "") -> SourceImage:
    y, x = np.mgrid[:128, :64]
    tissue = (x / 52) ** 2 + ((y - 64) / 58) ** 2 < 1
    noise = np.random.default_rng(seed).normal(0, 5, (128, 64))
    pixels = (np.where(tissue, 500 - 3 * x, 10) + noise).astype(np.float32)
    return SourceImage(pixels, Side.LEFT, ViewPosition.CC, 0.2, patient, study, image, birth_date=birth)


def square() -> np.ndarray:
    mask = np.zeros((128, 64), bool)
    mask[40:50, 20:30] = True
    return mask
