"""The layout of DICOM folders: lists, masks, reports, and the mistakes in them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from system.archive.layouts import LAYOUTS
from system.archive.layouts.report_table import COLUMNS
from system.errors import UserError
from system.imaging import ImageRefused, SourceImage, encode_png
from system.records import Side, ViewPosition

LAYOUT = LAYOUTS["dicom"]
TRUTH = "file,mask,patient,study,side,view,num_masses,split\n"
REPORTS = "study,version,status,language,description,impression\n"


def image(rows: int = 4, cols: int = 5) -> SourceImage:
    return SourceImage(np.zeros((rows, cols), np.float32), Side.LEFT, ViewPosition.CC, 0.1, "p", "s", "i")


def write_truth(folder: Path, *rows: str) -> None:
    (folder / "truth.csv").write_text(TRUTH + "".join(row + "\n" for row in rows), encoding="utf8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dicom" / "a").mkdir(parents=True)
    (tmp_path / "masks").mkdir()
    for name in ("a/1.dcm", "a/2.dcm", "a/.hidden", "DICOMDIR"):
        (tmp_path / "dicom" / name).write_bytes(b"")
    return tmp_path


def test_without_a_truth_list_every_file_is_an_item_without_truth(folder: Path) -> None:
    assert [(item.name, item.has_truth, item.split) for item in LAYOUT.items(folder)] == [
        ("a/1.dcm", False, ""),
        ("a/2.dcm", False, ""),
    ]


def test_a_folder_without_dicom_inside_is_taken_itself(folder: Path) -> None:
    assert [item.name for item in LAYOUT.items(folder / "dicom")] == ["a/1.dcm", "a/2.dcm"]


def test_truth_is_known_with_a_mask_or_with_no_mass(folder: Path) -> None:
    write_truth(folder, "a/1.dcm,m.png,p,s,L,CC,1,test", "a/2.dcm,,p,s,R,CC,0,", "a/3.dcm,,p,s,R,CC,2,")

    items = LAYOUT.items(folder)

    assert [(item.name, item.has_truth, item.num_masses, item.masks, item.split) for item in items] == [
        ("a/1.dcm", True, 1, ("m.png",), "test"),
        ("a/2.dcm", True, 0, (), ""),
        ("a/3.dcm", False, 2, (), ""),
    ]


def test_a_listed_mask_is_read_and_none_is_empty(folder: Path) -> None:
    (folder / "masks" / "m.png").write_bytes(encode_png(np.eye(4, 5, dtype=np.uint8) * 255))
    write_truth(folder, "a/1.dcm,m.png,p,s,L,CC,1,", "a/2.dcm,,p,s,R,CC,0,")
    one, two = LAYOUT.items(folder)

    assert LAYOUT.mask(folder, one, image()).tolist() == np.eye(4, 5, dtype=bool).tolist()
    assert not LAYOUT.mask(folder, two, image()).any()


@pytest.mark.parametrize("mask", ["../truth.csv", "absent.png"])
def test_a_mask_outside_the_folder_or_absent_is_refused(folder: Path, mask: str) -> None:
    write_truth(folder, f"a/1.dcm,{mask},p,s,L,CC,1,")

    with pytest.raises(ImageRefused, match="not_found"):
        LAYOUT.mask(folder, LAYOUT.items(folder)[0], image())


def test_an_empty_mask_of_an_image_with_a_mass_is_refused(folder: Path) -> None:
    (folder / "masks" / "m.png").write_bytes(encode_png(np.zeros((4, 5), np.uint8)))
    write_truth(folder, "a/1.dcm,m.png,p,s,L,CC,1,")

    with pytest.raises(ImageRefused, match="mask_empty"):
        LAYOUT.mask(folder, LAYOUT.items(folder)[0], image())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a/1.dcm,m.png,p,s,L,CC,one,", r"truth.csv line 2, num_masses: expected a whole number, found 'one'"),
        ("a/1.dcm,m.png,p,s,L,CC,0,", "a mask is named but num_masses is 0"),
        ("a/1.dcm,,p,s,L,CC,0,train", r"expected one of \['', 'strong', 'weak', 'validation', 'test'\], found 'train'"),
        ("a/1.dcm,,p,s,L,CC", "line 2: 6 fields, the header has 8"),
    ],
)
def test_a_wrong_row_is_refused_with_its_line(folder: Path, row: str, message: str) -> None:
    write_truth(folder, row)

    with pytest.raises(UserError, match=message):
        LAYOUT.items(folder)


def test_all_wrong_rows_are_refused_at_once(folder: Path) -> None:
    long = "x" * 300
    write_truth(
        folder,
        "a/1.dcm,,p,s,L,CC,3000000000,",
        f"a/2.dcm,,p,s,L,CC,1{30 * '0'},train",
        "a/3.dcm,,p,s,L,CC,1001,",
        "a/4.dcm,,p,s,L,CC,１,",
        "a/\0.dcm,,p,s,L,CC,0,",
        f"{long}.dcm,,p,s,L,CC,0,",
        "a/1.dcm,,p,s,L,CC,0,",
        ",,p,s,L,CC,0,",
        f"a/5.dcm,{long},p,s,L,CC,1,",
    )
    with pytest.raises(UserError) as caught:
        LAYOUT.items(folder)
    found = sorted(line.partition(": ")[::2] for line in str(caught.value).splitlines())
    assert [(where.removeprefix("truth.csv line "), what[:40]) for where, what in found] == [
        ("10, mask", "no file has a name of 300 bytes: give it"),
        ("2, num_masses", "expected a whole number up to 1000, foun"),
        ("3, num_masses", "expected a whole number up to 1000, foun"),
        ("3, split", "expected one of ['', 'strong', 'weak', '"),
        ("4, num_masses", "expected a whole number up to 1000, foun"),
        ("5, num_masses", "expected a whole number, found '１'"),
        ("6", "a field holds a NUL character: save the "),
        ("7, file", "no file has a name of 304 bytes: give it"),
        ("8", "a file is listed twice: keep one row"),
        ("9", "file is empty: give the path of the imag"),
    ]


def test_a_file_listed_twice_is_refused(folder: Path) -> None:
    write_truth(folder, "a/1.dcm,,p,s,L,CC,0,", "a/1.dcm,,p,s,L,CC,0,")

    with pytest.raises(UserError, match="line 3: a file is listed twice"):
        LAYOUT.items(folder)


def test_reports_are_read_with_a_byte_order_mark_commas_and_line_breaks(folder: Path) -> None:
    (folder / "reports.csv").write_text(
        "\ufeff" + REPORTS + '1.2,2,corrected,zh,"左乳,肿块\n下一行",BI-RADS 4\n', encoding="utf8"
    )

    (report,) = LAYOUT.reports(folder, sides={})

    assert (report.study, report.version, report.status, report.language) == ("1.2", 2, "corrected", "zh")
    assert (report.description, report.impression) == ("左乳,肿块\n下一行", "BI-RADS 4")


def test_no_list_of_reports_is_no_reports(folder: Path) -> None:
    assert LAYOUT.reports(folder, sides={}) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"study,version,status,language,description\n", r"column 'impression' occurs 0 times"),
        (
            REPORTS.encode() + b"1.2,1,draft,en,a,b\n",
            r"status: expected one of \['final', 'corrected', 'withdrawn'\], found 'draft'",
        ),
        (REPORTS.encode() + b",1,final,en,a,b\n", "study is empty"),
        (REPORTS.encode() + b"1.2,1,final,zh,\x81\xf3\xff\xe9,b\n", "not UTF-8"),
    ],
)
def test_a_wrong_list_of_reports_is_refused(folder: Path, content: bytes, message: str) -> None:
    (folder / "reports.csv").write_bytes(content)

    with pytest.raises(UserError, match=message):
        LAYOUT.reports(folder, sides={})


def test_a_mask_in_colour_is_refused_by_its_name_and_a_palette_mask_is_read(folder: Path) -> None:
    Image.new("RGB", (5, 4), (0, 200, 0)).save(folder / "masks" / "m.png")
    palette = Image.fromarray(np.eye(4, 5, dtype=np.uint8)).convert("P")
    palette.putpalette([0, 0, 0, 128, 0, 0] + [0] * 762)
    palette.save(folder / "masks" / "n.png")
    write_truth(folder, "a/1.dcm,m.png,p,s,L,CC,1,", "a/2.dcm,n.png,p,s,R,CC,1,")
    colour, indexed = LAYOUT.items(folder)

    with pytest.raises(ImageRefused, match=r"not_gray: its mask: the picture is in colour"):
        LAYOUT.mask(folder, colour, image())
    np.testing.assert_array_equal(LAYOUT.mask(folder, indexed, image()), np.eye(4, 5, dtype=bool))


@pytest.mark.parametrize(
    ("side", "view", "found"), [("left", "cc", ("L", "CC")), ("左", "Mlo ", ("L", "MLO")), ("r", "XCCL", ("R", "XCCL"))]
)
def test_side_and_view_are_read_as_hospitals_write_them(
    folder: Path, caplog: pytest.LogCaptureFixture, side: str, view: str, found: tuple[str, str]
) -> None:
    write_truth(folder, f"a/1.dcm,,p,s,{side},{view},0,TEST")
    with caplog.at_level("INFO"):
        (item, _) = LAYOUT.items(folder)
    assert (item.side, item.view, item.split) == (*found, "test")
    assert any(message.startswith("truth.csv: read side: in other words") for message in caplog.messages)
    odd = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert (view != "XCCL" and not odd) or "the view is not one of CC, MLO: the image will be quarantined" in odd[0]


def test_two_tables_of_reports_must_agree(folder: Path) -> None:
    (folder / "reports.csv").write_text(REPORTS + "1.2,1,final,en,mass,\n1.3,1,final,en,,none\n")
    pq.write_table(report("1.2", "mass"), folder / "reports.parquet")
    assert len(LAYOUT.reports(folder, sides={})) == 3
    pq.write_table(report("1.2", "no mass"), folder / "reports.parquet")
    with pytest.raises(UserError, match=r"reports\.csv and reports\.parquet have different reports .*, 1 times"):
        LAYOUT.reports(folder, sides={})


def report(study: str, text: str) -> pa.Table:
    values = (study, "1", "final", "en", text, "")
    return pa.table({name: [value] for name, value in zip(COLUMNS, values, strict=True)})
