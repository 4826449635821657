"""The INbreast layout on a release made by the test: patients by file name, outlines to masks, dangerous XML."""

import plistlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from system.archive.layouts import LAYOUTS, SourceItem, inbreast
from system.errors import UserError
from system.imaging import ImageRefused

LAYOUT = LAYOUTS["inbreast"]
HEADER = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads\n"
NAME = "20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm"
ROW = "removed;removed;R;CC;200902;20586908;2;2\n"
BILLION_LAUGHS = b"""<?xml version="1.0"?>
<!DOCTYPE plist [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<plist version="1.0"><dict><key>Images</key><string>&b;</string></dict></plist>"""


@pytest.fixture
def release(tmp_path: Path, write_dicom: Callable[..., Path], gray: Callable[[int, int], np.ndarray]) -> Path:
    """Return a folder with one right CC image of 8 x 6 px that the table lists."""
    (tmp_path / "AllXML").mkdir()
    (tmp_path / "INbreast.csv").write_text(HEADER + ROW, encoding="utf8")
    write_dicom(tmp_path / "AllDICOMs" / NAME, gray(8, 6), PatientID="removed")
    return tmp_path


def write_rois(release: Path, *rois: tuple[str, Sequence[tuple[float, float]]], number: str = "20586908") -> None:
    """Write (name, points) as OsiriX exports them."""
    listed = [
        {
            "Name": name,
            "NumberOfPoints": len(points),
            "Point_px": [f"({x:.6f}, {y:.6f})" for x, y in points],
            "Type": 15,
        }
        for name, points in rois
    ]
    content = plistlib.dumps({"Images": [{"ImageIndex": 0, "NumberOfROIs": len(listed), "ROIs": listed}]})
    (release / "AllXML" / f"{number}.xml").write_bytes(content)


def only_item(release: Path) -> SourceItem:
    (item,) = LAYOUT.items(release)
    return item


def truth_of(release: Path) -> np.ndarray:
    item = only_item(release)
    return LAYOUT.mask(release, item, LAYOUT.read(release, item))


def code_of(
    release: Path, read: Callable[[Path], object] = lambda release: LAYOUT.read(release, only_item(release))
) -> str:
    with pytest.raises(ImageRefused) as refused:
        read(release)
    return refused.value.code


def test_the_patient_is_taken_from_the_files_name_and_the_month_of_the_study_from_the_table(
    release: Path, gray: Callable[[int, int], np.ndarray]
) -> None:
    image = LAYOUT.read(release, only_item(release))

    assert (image.side, image.view, image.spacing_mm) == ("R", "CC", 0.07)
    assert (image.patient, image.study) == ("INbreast 6c613a14b80a8591", "INbreast 6c613a14b80a8591 200902")
    np.testing.assert_array_equal(image.pixels, gray(8, 6))


def test_ml_in_a_files_name_is_mlo(
    release: Path, write_dicom: Callable[..., Path], gray: Callable[[int, int], np.ndarray]
) -> None:
    (release / "INbreast.csv").write_text(HEADER + ROW + "removed;removed;L;MLO;200902;20586986;2;5\n", encoding="utf8")
    write_dicom(release / "AllDICOMs" / "20586986_6c613a14b80a8591_MG_L_ML_ANON.dcm", gray(8, 6))

    second = LAYOUT.items(release)[1]

    assert (LAYOUT.read(release, second).side, LAYOUT.read(release, second).view) == ("L", "MLO")


def test_one_patient_at_two_times_has_two_studies(release: Path) -> None:
    later = "removed;removed;R;CC;201001;20586999;                    ;1\n"  # an empty density is padded in the release
    (release / "INbreast.csv").write_text(HEADER + ROW + later, encoding="utf8")
    (release / "AllDICOMs" / "20586999_6c613a14b80a8591_MG_R_CC_ANON.dcm").touch()

    first, second = LAYOUT.items(release)

    assert first.patient == second.patient
    assert first.study != second.study


def test_a_listed_image_without_xml_has_no_findings(release: Path) -> None:
    item = only_item(release)

    assert (item.has_truth, item.num_masses) == (True, 0)
    assert not truth_of(release).any()


def test_the_outlines_of_masses_are_filled_and_other_rois_are_not(release: Path) -> None:
    square, other = [(1, 2), (4, 2), (4, 5), (1, 5)], [(0, 0), (5, 0), (5, 7), (0, 7)]
    write_rois(release, ("Mass", square), ("Calcification", [(0, 0)]), ("Spiculated Region", other), ("Cluster", other))

    item = only_item(release)
    expected = np.zeros((8, 6), bool)
    expected[2:6, 1:5] = True  # rows 2 to 5, columns 1 to 4: points are pixels, the border is inside

    assert (item.has_truth, item.num_masses) == (True, 1)
    np.testing.assert_array_equal(truth_of(release), expected)


def test_several_outlines_are_one_mask_cut_at_the_edges(release: Path) -> None:
    write_rois(release, ("Mass", [(-3, -3), (1, -3), (1, 1), (-3, 1)]), ("mass ", [(4, 6), (9, 6), (9, 12), (4, 12)]))

    expected = np.zeros((8, 6), bool)
    expected[:2, :2] = expected[6:, 4:] = True

    assert only_item(release).num_masses == 2
    np.testing.assert_array_equal(truth_of(release), expected)


@pytest.mark.parametrize("points", [[(3, 3)], [(3, 3), (4, 4)]])
def test_a_mass_of_one_or_two_points_makes_its_image_positive_without_truth(
    release: Path, points: list[tuple[float, float]]
) -> None:
    write_rois(release, ("Mass", points), ("Mass", [(1, 2), (4, 2), (4, 5)]))

    assert (only_item(release).has_truth, only_item(release).num_masses) == (False, 2)


def test_an_outline_outside_the_image_is_refused(release: Path) -> None:
    write_rois(release, ("Mass", [(20, 20), (24, 20), (24, 24)]))

    assert code_of(release, truth_of) == "mask_empty"


@pytest.mark.parametrize(
    "content",
    [
        BILLION_LAUGHS,
        b"<plist>not really",
        b"",
        plistlib.dumps({"Images": [{"ROIs": []}]}, fmt=plistlib.FMT_BINARY),
        plistlib.dumps({"ROIs": []}),
        plistlib.dumps({"Images": [{"ROIs": [{"Name": "Mass", "Point_px": ["(1, nan)"]}]}]}),
        plistlib.dumps({"Images": [{"ROIs": [{"Name": "Mass", "Point_px": ["1 2"]}]}]}),
        plistlib.dumps({"Images": [{"ROIs": ["Mass"]}]}),
    ],
)
def test_xml_that_is_no_list_of_rois_keeps_its_image_out_and_no_other(release: Path, content: bytes) -> None:
    (release / "AllXML" / "20586908.xml").write_bytes(content)

    assert code_of(release) == "truth_unreadable"


def test_xml_over_the_limit_is_not_parsed(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rois(release)
    monkeypatch.setattr(inbreast, "MAX_XML_BYTES", 100)

    assert code_of(release) == "truth_unreadable"


def test_of_an_image_that_the_table_does_not_list_nothing_is_known(release: Path) -> None:
    (release / "INbreast.csv").write_text(HEADER, encoding="utf8")

    item = only_item(release)

    assert (item.has_truth, item.num_masses) == (False, 0)
    assert LAYOUT.read(release, item).side == "R"


def test_a_listed_image_that_is_not_there_is_refused(release: Path) -> None:
    (release / "AllDICOMs" / NAME).unlink()

    assert code_of(release) == "not_found"


def test_a_file_with_another_name_is_refused(release: Path) -> None:
    (release / "AllDICOMs" / NAME).rename(release / "AllDICOMs" / "20586908.dcm")

    assert code_of(release) == "missing_id"


def test_a_table_that_contradicts_the_files_name_keeps_the_image_out(release: Path) -> None:
    (release / "INbreast.csv").write_text(HEADER + ROW.replace(";R;", ";L;"), encoding="utf8")

    assert code_of(release) == "view"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROW.replace(";R;", ";X;"), r"INbreast.csv line 2, Laterality: expected one of \['L', 'R'\], found 'X'"),
        (ROW.replace("20586908", "../x"), "line 2, File Name: expected a number that no other row has"),
        (ROW + ROW, "line 3, File Name"),
        ("removed;removed;R\n", "line 2: 3 fields, the header has 8"),
    ],
)
def test_a_wrong_row_is_refused_with_its_line(release: Path, rows: str, message: str) -> None:
    (release / "INbreast.csv").write_text(HEADER + rows, encoding="utf8")

    with pytest.raises(UserError, match=message):
        LAYOUT.items(release)


def test_the_files_of_an_item_are_its_image_and_its_outlines(release: Path) -> None:
    assert LAYOUT.files(release, only_item(release)) == [
        release / "AllDICOMs" / NAME,
        release / "AllXML" / "20586908.xml",
    ]


def test_the_density_is_that_of_the_table_and_may_be_padded_or_absent(release: Path) -> None:
    assert only_item(release).density == "b"
    for text in (HEADER + ROW.replace(";2;2", ";   ;2"), HEADER.replace("ACR", "other") + ROW):
        (release / "INbreast.csv").write_text(text, encoding="utf8")
        assert only_item(release).density == ""


def test_there_are_no_reports(release: Path) -> None:
    assert (LAYOUT.report_source, LAYOUT.reports(release, sides={})) == ("none", [])


@pytest.mark.parametrize("view", ["FB", "", "JANE DOE"])
def test_another_view_in_the_table_is_refused_with_its_line(release: Path, view: str) -> None:
    (release / "INbreast.csv").write_text(HEADER + ROW.replace(";CC;", f";{view};"), encoding="utf8")

    with pytest.raises(UserError, match=r"INbreast\.csv line 2, View: expected one of \['CC', 'MLO', 'ML'\]"):
        LAYOUT.items(release)


def test_ml_in_the_table_is_mlo_too(release: Path) -> None:
    (release / "INbreast.csv").write_text(HEADER + ROW.replace(";CC;", ";ML;"), encoding="utf8")

    assert only_item(release).view == "MLO"
