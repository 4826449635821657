"""Source files and folders of any name: read like others, and no name is kept."""

import os
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.tools.predict import _views
from system.archive import Archive, SplitConfig
from system.archive.fence import Fence, ReadJob
from system.archive.intake import Intake, source_of, take
from system.archive.layouts import LAYOUTS, SourceItem
from system.archive.layouts.report_table import COLUMNS, read_report_file
from system.archive.settle import write_settled
from system.archive.tables import SCHEMAS
from system.config import RunConfig
from system.errors import UserError
from system.imaging import DicomConfig, ImagingConfig
from system.phantom import PhantomConfig, write_phantom
from system.run.folder import RunFolder

NAMES = [
    b"\xd3\xf1\xce^JANE DOE",  # GBK
    b"J\xe9r\xf4me JANE DOE",  # Latin-1
    b"\x8e\x52\x93\x63 JANE DOE",  # Shift JIS
    b"JANE\nDOE",
    b"\x1b[31mJANE DOE\x07",
    b"JANE DOE " + b"x" * 230,
    "\u202eJANE DOE".encode(),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a source of a name in GBK, with a folder and an image of each name."""
    folder = tmp_path_factory.mktemp("phantom")
    write_phantom(folder, num_exams=1, seed=3, config=PhantomConfig(height_px=160, width_px=128, jpeg2000_share=0))
    picture = sorted((folder / "dicom").rglob("*.dcm"))[0].read_bytes()
    place = folder / os.fsdecode(NAMES[0])
    for name in map(os.fsdecode, NAMES):
        (place / "dicom" / name).mkdir(parents=True)
        (place / "dicom" / name / f"{name}.dcm").write_bytes(picture)
    return place


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive.create(tmp_path / "archive", imaging=ImagingConfig(height_px=96, width_px=64), site_key=bytes(32))


def ingested(source: Path, archive: Archive) -> list[Intake]:
    """Read the source in the reading process and settle its rows, as ingest does."""
    fence = Fence(ReadJob(archive.uri, "dicom", str(source), DicomConfig(), memory_mib=200, timeout_s=60))
    intakes = [fence.take(item) for item in LAYOUTS["dicom"].items(source)]
    fence.close()
    archive.upsert("files", pa.Table.from_pylist([asdict(intake) for intake in intakes], schema=SCHEMAS["files"]))
    write_settled(archive, intakes, config=SplitConfig(), overwrite=False)
    return intakes


def test_files_of_any_name_are_read_like_others_and_no_name_is_kept_but_predict_lists_them(
    source: Path, archive: Archive
) -> None:
    intakes = ingested(source, archive)
    assert [intake.code for intake in intakes] == [""] * len(NAMES)
    assert len({intake.source for intake in intakes}) == len(NAMES)
    assert archive.table("images")["image_id"].to_pylist() == [intakes[0].image_id]  # they are one picture
    stored = [path for path in Path(archive.uri).rglob("*") if path.is_file()]
    assert stored
    assert not any(b"DOE" in path.read_bytes() or "DOE" in path.name for path in stored)
    for view in _views(archive, source, layout="dicom"):
        assert view.key
        assert view.file.isprintable()
        assert "DOE" in view.file  # for whoever asked for the predictions of this folder


def test_files_whose_names_differ_in_one_byte_are_two_sources(archive: Archive, tmp_path: Path) -> None:
    names = [os.fsdecode(name) for name in (b"\xce.dcm", b"\xcf.dcm", "Î.dcm".encode())]
    assert len({source_of(archive, tmp_path, SourceItem(name)) for name in names}) == 3


def test_reports_are_read_from_a_folder_of_any_name(tmp_path: Path) -> None:
    source = tmp_path / os.fsdecode(NAMES[1])
    source.mkdir()
    row = dict.fromkeys(COLUMNS, "x") | {"version": "1", "status": "final", "language": "en"}
    with (source / "reports.parquet").open("wb") as file:
        pq.write_table(pa.Table.from_pylist([row]), file)
    (source / "reports.csv").write_text(",".join(COLUMNS) + "\nx,1,final,en,x,x\n")
    assert read_report_file(source / "reports.parquet") == read_report_file(source / "reports.csv")


def test_listed_names_that_no_file_can_have_are_refused_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "dicom").mkdir()
    header = "file,mask,side,view,num_masses,split\n"
    (tmp_path / "truth.csv").write_text(header + f"a\0b.dcm,,L,CC,0,\n{'x' * 5000}.dcm,,L,CC,0,\n")
    with pytest.raises(UserError, match=r"line 2: a field holds a NUL.*\n.*line 3, file: no file has a name"):
        LAYOUTS["dicom"].items(tmp_path)


def test_a_listed_name_outside_of_the_source_is_one_row(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "dicom").mkdir()
    (tmp_path / "truth.csv").write_text("file,mask,side,view,num_masses,split\n../../x,,L,CC,0,\n")
    (item,) = (layout := LAYOUTS["dicom"]).items(tmp_path)
    row = take(archive, layout, source=tmp_path, item=item, dicom=DicomConfig())
    assert row.code in {"not_found", "unreadable"}


def test_an_archive_or_a_run_under_a_name_that_arrow_cannot_open_is_refused(tmp_path: Path) -> None:
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xce"))
    with pytest.raises(UserError, match=r"the archive's path .*\\xce is not UTF-8: rename its folders"):
        Archive.create(place, imaging=ImagingConfig(height_px=96, width_px=64))
    with pytest.raises(UserError, match=r"--out .*\\xce is not UTF-8"), RunFolder(place).claimed(RunConfig()):
        pass
    assert not place.exists()
