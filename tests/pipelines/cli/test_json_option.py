"""`--json`: the results for a script, in a file or on standard output, and nothing else there."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
import typer
from typer.core import TyperGroup

from pipelines.cli.main import app
from pipelines.cli.words import json_alone_completed
from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.imaging import ImagingConfig
from tests.pipelines.cli.calling import Mammoloop


@pytest.fixture
def archive(tmp_path: Path) -> str:
    archive = Archive.create(str(tmp_path / "archive"), imaging=ImagingConfig(height_px=64, width_px=64))
    rows = [{"source": str(number), "code": "view", "detail": "XCCL"} for number in range(2)]
    archive.upsert("quarantine", pa.Table.from_pylist(rows, schema=SCHEMAS["quarantine"]))
    return archive.uri


@pytest.fixture
def boxes(tmp_path: Path) -> list[str]:
    tables = {
        "images": "image_id,patient_id\na,p\nb,q\n",
        "lesions": "image_id,x0,y0,x1,y1\na,1,1,5,5\n",
        "candidates": "image_id,score,x0,y0,x1,y1\na,0.5,1,1,5,5\n",
    }
    words = ["froc"]
    for name, text in tables.items():
        (tmp_path / f"{name}.csv").write_text(text)
        words += [f"--{name}", str(tmp_path / f"{name}.csv")]
    return words


@pytest.mark.parametrize("option", [["--json"], ["--json", "-"]])
def test_without_a_file_the_results_alone_are_on_standard_output(
    mammoloop: Mammoloop, archive: str, option: list[str]
) -> None:
    code, out, _ = mammoloop("quarantine", "list", "--archive", archive, *option)
    assert code == 0
    assert json.loads(out) == {"num_files": 2, "reasons": [{"code": "view", "detail": "", "num_files": 2}]}


def test_in_a_file_they_stand_beside_what_is_printed(mammoloop: Mammoloop, boxes: list[str], tmp_path: Path) -> None:
    code, out, _ = mammoloop(*boxes, "--json", str(tmp_path / "froc.json"))
    assert code == 0
    assert out.startswith("FROC\n")
    assert json.loads((tmp_path / "froc.json").read_text())["mean"] == 1.0


def test_the_same_is_on_standard_output_as_in_the_file(mammoloop: Mammoloop, boxes: list[str], tmp_path: Path) -> None:
    mammoloop(*boxes, "--json", str(tmp_path / "froc.json"))
    _, out, _ = mammoloop(*boxes, "--json")
    assert json.loads(out) == json.loads((tmp_path / "froc.json").read_text())


@pytest.mark.parametrize("option", ["--json", "--table"])
def test_a_file_in_a_folder_that_is_not_there_is_refused_before_anything_is_done(
    mammoloop: Mammoloop, boxes: list[str], tmp_path: Path, option: str
) -> None:
    file = tmp_path / "none" / "froc.out"
    code, out, err = mammoloop(*boxes, option, str(file))
    assert (code, out) == (2, "")
    assert err == f"mammoloop: {file}: there is no folder {file.parent}; make it first, or name another place\n"


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("froc --json", "froc --json -"),
        ("froc --json --images a", "froc --json - --images a"),
        ("froc --json x.json --images a", "froc --json x.json --images a"),
        ("quarantine list --json", "quarantine list --json -"),
        ("evaluate --run r --json --quiet", "evaluate --run r --json - --quiet"),
        ("config --json", "config --json"),  # has none: refused as it stands
        ("", ""),
    ],
)
def test_json_without_a_file_is_standard_output(words: str, completed: str) -> None:
    assert json_alone_completed(typer.main.get_command(app), words.split()) == completed.split()


def test_every_command_has_it_but_those_whose_results_are_files_or_a_word() -> None:
    without = set()
    program = typer.main.get_command(app)
    assert isinstance(program, TyperGroup)
    for name, command in program.commands.items():
        inner = command.commands if isinstance(command, TyperGroup) else {"": command}
        without |= {
            f"{name} {part}".strip()
            for part, each in inner.items()
            if not any(option.opts == ["--json"] for option in each.params)
        }
    files = {"config", "demo", "phantom", "reproduce", "selftrain", "watch", "weights convert"}
    assert without == files | {"models approve", "models promote", "models rollback"}


def test_without_lesions_there_is_no_table_and_a_sentence(
    mammoloop: Mammoloop, boxes: list[str], tmp_path: Path
) -> None:
    (tmp_path / "lesions.csv").write_text("image_id,x0,y0,x1,y1\n")
    code, out, _ = mammoloop(*boxes)
    assert code == 0
    assert "nan" not in out
    assert out.startswith("the table of lesions has no row, so there is no sensitivity; false positives were counted\n")
    assert json.loads(mammoloop(*boxes, "--json").out)["mean"] is None
