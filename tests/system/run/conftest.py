"""A run's folder without anything in it, and archives that a run may be pinned to."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.imaging import ImagingConfig
from system.run.folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run_7")


@pytest.fixture
def make_archive(tmp_path: Path) -> Callable[[str, bytes], Archive]:
    """Return a maker of archives with one image, from a folder's name and a site key."""

    def make(name: str, site_key: bytes) -> Archive:
        imaging = ImagingConfig(height_px=64, width_px=64)
        archive = Archive.create(tmp_path / name, imaging=imaging, site_key=site_key)
        add_image(archive, "first")
        return archive

    return make


def add_image(archive: Archive, image_id: str) -> None:
    row = {
        "image_id": image_id,
        "image_key": len(image_id),
        "patient_id": "p",
        "study_id": "s",
        "side": "L",
        "view": "CC",
        "split": "test",
    }
    schema = SCHEMAS["images"]
    archive.upsert("images", pa.Table.from_pylist([dict.fromkeys(schema.names) | row], schema=schema))
