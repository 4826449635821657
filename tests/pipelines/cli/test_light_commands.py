"""Small commands load neither torch nor Ray, so that they answer in a second."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.imaging import ImagingConfig
from system.review import SHEET

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("torch", "ray", "timm", "transformers", "matplotlib")
CALL = """
import sys
from pipelines.cli.main import main
try:
    main()
except SystemExit as end:
    code = end.code or 0
print([name for name in {heavy} if name in sys.modules], code, file=sys.stderr)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the tables of the commands below, and an archive."""
    (tmp_path / "images.csv").write_text("image_id,patient_id\na,p\nb,q\n")
    (tmp_path / "lesions.csv").write_text("image_id,x0,y0,x1,y1\na,1,1,5,5\n")
    (tmp_path / "candidates.csv").write_text("image_id,score,x0,y0,x1,y1\na,0.5,1,1,5,5\n")
    (tmp_path / "reports.csv").write_text(
        "study,version,status,language,description,impression\n1.2.3,1,final,en,a mass in the left breast,mass\n"
    )
    (tmp_path / "queue.csv").write_text(",".join(SHEET) + "\n")
    archive = Archive.create(str(tmp_path / "archive"), imaging=ImagingConfig(height_px=64, width_px=64))
    row = {"source": "s", "code": "view", "detail": "XCCL"}
    archive.upsert("quarantine", pa.Table.from_pylist([row], schema=SCHEMAS["quarantine"]))
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        "--help",
        "--version",
        "config --preset paper --set stage1.batch_size=12",
        "froc --images images.csv --lesions lesions.csv --candidates candidates.csv",
        "quarantine list --archive archive",
        "sweep --help",
    ],
)
def test_a_small_command_loads_nothing_heavy(words: str, place: Path) -> None:
    assert called(words, place) == "[] 0"


@pytest.mark.parametrize(
    "words",
    ["reports --file reports.csv --archive archive", "review import --file queue.csv --archive archive --reader R1"],
)
def test_what_takes_in_tables_loads_neither_torch_nor_ray(words: str, place: Path) -> None:
    assert called(words, place) == "[] 0"


def called(words: str, place: Path) -> str:
    """Call the command in a process of its own; return which heavy packages it loaded, and its exit code."""
    done = subprocess.run(
        [sys.executable, "-c", CALL.format(heavy=HEAVY), *words.split()],
        cwd=place,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(place)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.splitlines()[-1]
