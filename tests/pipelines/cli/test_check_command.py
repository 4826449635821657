"""`mammoloop check`, `reports` and `review import` as a user calls them, and what they load."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.imaging import ImagingConfig
from tests.pipelines.cli.calling import Mammoloop

ROOT = Path(__file__).resolve().parents[3]
REPORTS = "study,version,status,language,description,impression\n"
SHEET = "image_id,picture,study_id,side,view,why,p_mass,score,verdict,x0,y0,x1,y1\n"
HEAVY = ("torch", "ray", "timm", "transformers", "matplotlib")


def file(tmp_path: Path, text: str, *, name: str = "table.csv") -> Path:
    (tmp_path / name).write_text(text, encoding="utf8")
    return tmp_path / name


@pytest.fixture
def archive(tmp_path: Path) -> str:
    """An archive of one image, i of study 1.2, and one quarantined file."""
    archive = Archive.create(tmp_path / "archive", imaging=ImagingConfig(height_px=64, width_px=32))
    row = dict.fromkeys(SCHEMAS["images"].names) | {"image_id": "i", "rows": 64, "cols": 32, "pixel_sha": "s"}
    row["study_id"] = archive.identifier("study", "1.2")
    archive.upsert("images", pa.Table.from_pylist([row], schema=SCHEMAS["images"]))
    held = {"source": "s", "code": "view", "detail": ""}
    archive.upsert("quarantine", pa.Table.from_pylist([held], schema=SCHEMAS["quarantine"]))
    return archive.uri


def test_the_command_ends_with_2_where_there_are_faults_and_prints_json(mammoloop: Mammoloop, tmp_path: Path) -> None:
    good, bad = (
        file(tmp_path, REPORTS + "1.2,1,final,en,mass,\n"),
        file(tmp_path, REPORTS + ",1,final,en,mass,\n", name="b.csv"),
    )
    done = mammoloop("check", str(good))
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[:2] == ["table.csv: reports", "         1  rows without a fault"]
    assert done.out.endswith("no fault found\n")
    done = mammoloop("check", str(bad), "--as", "reports", "--json")
    assert done.code == 2
    assert json.loads(done.out)["faults"] == ["b.csv line 2: study is empty: give the StudyInstanceUID"]
    done = mammoloop("check", str(bad))
    assert done.code == 2
    assert "refused: b.csv line 2: study is empty" in done.out
    done = mammoloop("check", str(tmp_path / "none.csv"))
    assert (done.code, done.out) == (2, "")
    assert "there is no file" in done.err


def test_reports_are_counted_by_what_they_bring(mammoloop: Mammoloop, tmp_path: Path, archive: str) -> None:
    def take(*rows: str) -> str:
        done = mammoloop("reports", "--archive", archive, "--file", str(file(tmp_path, REPORTS + "".join(rows))))
        assert done.code == 0, done.err
        return done.out

    first = "1.2,1,final,en,none,\n"
    assert take(first, "1.3,1,final,en,none,\n") == "2 reports taken in, 2 new final\n"
    assert take(first, "1.2,2,corrected,en,mass,\n", "1.3,2,withdrawn,en,,\n") == (
        "3 reports taken in, 1 new corrected, 1 new withdrawn, 1 known already\n"
    )
    assert take("1.2,1,final,en,mass,\n") == "1 reports taken in, 1 with another text than before\n"


def test_studies_without_an_image_are_warned_of(
    mammoloop: Mammoloop, tmp_path: Path, archive: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = file(tmp_path, REPORTS + "1.2,1,final,en,none,\n1.3,1,final,en,none,\n1.4,1,final,en,none,\n")
    assert mammoloop("reports", "--archive", archive, "--file", str(path)).code == 0
    assert (
        "2 studies are in no image of this archive: their reports wait until their images are taken in" in caplog.text
    )


@pytest.mark.parametrize("reader", ["", "  "])
def test_verdicts_of_nobody_are_refused_and_the_same_sheet_again_is_said(
    mammoloop: Mammoloop, tmp_path: Path, archive: str, reader: str
) -> None:
    words = (
        "review",
        "import",
        "--archive",
        archive,
        "--file",
        str(file(tmp_path, SHEET + "i,p,,,,random,,,Mass,1,2,9,9\n")),
    )
    done = mammoloop(*words, "--reader", reader)
    assert done.code == 2
    assert "--reader is empty: name the radiologist who judged the images" in done.err
    assert Archive.open(archive).table("verdicts").num_rows == 0
    assert mammoloop(*words, "--reader", "R1").out == "verdicts: 1 mass; 1 outlined\n"
    assert mammoloop(*words, "--reader", "R1").out.endswith("; 1 of them were in the archive before\n")
    (row,) = Archive.open(archive).table("verdicts").to_pylist()
    assert (row["reader"], row["pixel_sha"]) == ("R1", "s")


@pytest.mark.parametrize(
    "words",
    [
        ["check", "reports.csv", "--archive", "ARCHIVE"],
        ["check", "queue.csv", "--archive", "ARCHIVE"],
        ["reports", "--file", "reports.csv", "--archive", "ARCHIVE"],
        ["review", "import", "--file", "queue.csv", "--archive", "ARCHIVE", "--reader", "R1"],
        ["quarantine", "list", "--archive", "ARCHIVE"],
        ["quarantine", "retry", "--archive", "ARCHIVE", "--source", ".", "--code", "wiew"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_small_command_loads_no_network_and_no_ray(tmp_path: Path, archive: str, words: list[str]) -> None:
    file(tmp_path, REPORTS + "1.2,1,final,en,none,\n", name="reports.csv")
    file(tmp_path, SHEET + "i,p,,,,random,,,Mass,1,2,9,9\n", name="queue.csv")
    call = [archive if word == "ARCHIVE" else word for word in words]
    code = (
        f"import sys; sys.argv = {['mammoloop', *call]}\n"
        "from pipelines.cli.main import app\n"
        "try:\n    app()\nexcept (SystemExit, ValueError):\n    pass\n"
        f"print('heavy:', [name for name in {HEAVY} if name in sys.modules], flush=True)\n"
        "import os; os._exit(0)  # threads of Arrow and Delta may be at work"
    )
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.splitlines()[-1] == "heavy: []", done.stdout
