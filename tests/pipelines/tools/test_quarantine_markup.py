"""What files bring along is shown as it is."""

from io import StringIO
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.tools import quarantine
from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.figures.console import console
from system.imaging import ImagingConfig


@pytest.mark.parametrize("text", ["[/red]", "[link=http://x]y[/link]", "[bold]", "\\[a]"])
def test_markup_in_a_header_is_no_markup(text: str, tmp_path: Path) -> None:
    archive = Archive.create(tmp_path / "a", imaging=ImagingConfig(height_px=64, width_px=64))
    row = {"source": "s", "code": "view", "detail": f"View Position (0018,5101) is '{text}'"}
    archive.upsert("quarantine", pa.Table.from_pylist([row], schema=SCHEMAS["quarantine"]))
    screen = console()
    screen.file = StringIO()
    screen.print(quarantine.table(quarantine.run(archive.uri, code="view")))
    assert text in screen.file.getvalue()
