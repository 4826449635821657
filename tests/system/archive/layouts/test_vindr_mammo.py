"""The VinDr-Mammo layout on a release made by the test: boxes, lists as text, studies as patients."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from system.archive.layouts import LAYOUTS, SourceItem
from system.errors import UserError
from system.imaging import ImageRefused

LAYOUT = LAYOUTS["vindr-mammo"]
IMAGES = "study_id,series_id,image_id,laterality,view_position,height,width,breast_birads,breast_density,split\n"
FINDINGS = (
    "study_id,series_id,image_id,laterality,view_position,height,width,breast_birads,breast_density,"
    "finding_categories,finding_birads,xmin,ymin,xmax,ymax,split\n"
)
ROW = "48575a27,26de4993,4e3a578f,L,CC,8,6,BI-RADS 4,DENSITY C,training\n"


def finding(categories: str = "['Mass']", box: str = "1.2,2.6,3.1,4.0", image: str = "4e3a578f") -> str:
    return f'48575a27,26de4993,{image},L,CC,8,6,BI-RADS 4,DENSITY C,"{categories}",BI-RADS 4,{box},training\n'


@pytest.fixture
def release(tmp_path: Path, write_dicom: Callable[..., Path], gray: Callable[[int, int], np.ndarray]) -> Path:
    """Return a folder with one left CC image of 8 x 6 px without findings."""
    write_tables(tmp_path, findings=finding("['No Finding']", ",,,"))
    write_dicom(
        tmp_path / "images" / "48575a27" / "4e3a578f.dicom",
        gray(8, 6),
        PatientID="0",
        StudyInstanceUID="48575a27",
        SOPInstanceUID="4e3a578f",
        ImageLaterality="L",
        ViewPosition="CC",
        ImagerPixelSpacing=[0.085, 0.085],
    )
    return tmp_path


def write_tables(folder: Path, *, images: str = ROW, findings: str = "") -> None:
    (folder / "breast-level_annotations.csv").write_text(IMAGES + images, encoding="utf8")
    (folder / "finding_annotations.csv").write_text(FINDINGS + findings, encoding="utf8")


def only_item(release: Path) -> SourceItem:
    (item,) = LAYOUT.items(release)
    return item


def truth_of(release: Path) -> np.ndarray:
    item = only_item(release)
    return LAYOUT.mask(release, item, LAYOUT.read(release, item))


def code_of(release: Path) -> str:
    with pytest.raises(ImageRefused) as refused:
        truth_of(release)
    return refused.value.code


def test_a_study_stands_for_the_patient_whatever_the_header_has(
    release: Path, gray: Callable[[int, int], np.ndarray]
) -> None:
    image = LAYOUT.read(release, only_item(release))

    assert (image.patient, image.study, image.image) == (
        "VinDr-Mammo 48575a27",
        "VinDr-Mammo 48575a27",
        "VinDr-Mammo 4e3a578f",
    )
    assert (image.side, image.view, image.spacing_mm) == ("L", "CC", 0.085)
    np.testing.assert_array_equal(image.pixels, gray(8, 6))


def test_an_image_without_findings_is_known_to_have_no_mass(release: Path) -> None:
    item = only_item(release)

    assert (item.has_truth, item.num_masses) == (True, 0)
    assert not truth_of(release).any()


def test_boxes_of_masses_are_filled_and_those_of_other_findings_are_not(release: Path) -> None:
    both = finding("['Suspicious Calcification', 'Mass']", "4,6,5,7")
    write_tables(release, findings=finding() + both + finding("['Focal Asymmetry']", "0,0,6,8"))

    expected = np.zeros((8, 6), bool)
    expected[2:4, 1:4] = True  # every pixel that x 1.2 to 3.1, y 2.6 to 4.0 touches
    expected[6, 4] = True

    assert (only_item(release).has_truth, only_item(release).num_masses) == (True, 2)
    np.testing.assert_array_equal(truth_of(release), expected)


def test_a_box_that_reaches_outside_is_cut_at_the_edges(release: Path) -> None:
    write_tables(release, findings=finding(box="-2.25,-1.0,2.0,3.0") + finding(box="5.0,7.0,9.5,11.0"))

    expected = np.zeros((8, 6), bool)
    expected[:3, :2] = expected[7:, 5:] = True

    np.testing.assert_array_equal(truth_of(release), expected)


@pytest.mark.parametrize("box", ["-9,1,-2,3", "6,1,9,3", "1,-9,3,-1", "1,8,3,9"])
def test_a_box_that_lies_outside_is_refused(release: Path, box: str) -> None:
    write_tables(release, findings=finding() + finding(box=box))

    assert code_of(release) == "mask_empty"


def test_boxes_of_a_picture_of_another_size_are_refused(release: Path) -> None:
    write_tables(release, images=ROW.replace(",8,6,", ",16,12,"), findings=finding())

    assert code_of(release) == "mask_size"


def test_an_item_that_travelled_as_json_has_the_same_mask(release: Path) -> None:
    write_tables(release, findings=finding())
    item = only_item(release)
    arrived = dataclasses.replace(item, boxes_px=[list(box) for box in item.boxes_px], size_px=list(item.size_px))

    np.testing.assert_array_equal(LAYOUT.mask(release, arrived, LAYOUT.read(release, item)), truth_of(release))


def test_the_official_test_set_stays_and_the_rest_is_ours_to_split(release: Path) -> None:
    write_tables(release, images=ROW + ROW.replace("4e3a578f", "dac39351").replace("training", "test"))

    assert [(item.name[-14:-6], item.split) for item in LAYOUT.items(release)] == [
        ("4e3a578f", ""),
        ("dac39351", "test"),
    ]


@pytest.mark.parametrize(("of", "to"), [(",L,", ",R,"), (",CC,", ",MLO,")])
def test_a_table_that_contradicts_the_header_keeps_the_image_out(release: Path, of: str, to: str) -> None:
    write_tables(release, images=ROW.replace(of, to))

    assert code_of(release) == "view"


def test_a_listed_image_that_is_not_there_is_refused(release: Path) -> None:
    (path,) = LAYOUT.files(release, only_item(release))
    path.unlink()

    assert path == release / "images" / "48575a27" / "4e3a578f.dicom"
    assert code_of(release) == "not_found"


@pytest.mark.parametrize(
    ("categories", "found"),
    [
        ("Mass", "'Mass'"),
        ("__import__('os').getcwd()", "__import__"),
        ("['Mass'", r"\['Mass'"),
        ("[1]", r"\[1\]"),
        ("[" * 5000, r"\[\["),
    ],
)
def test_categories_that_are_no_list_of_texts_are_refused_and_never_run(
    release: Path, categories: str, found: str
) -> None:
    write_tables(release, findings=finding() + finding(categories))

    with pytest.raises(
        UserError,
        match=rf"finding_annotations.csv line 3, finding_categories: expected a list like \['Mass'\], .*{found}",
    ):
        LAYOUT.items(release)


@pytest.mark.parametrize(
    ("images", "findings", "message"),
    [
        (ROW + ROW, "", "breast-level_annotations.csv line 3: an image is listed twice"),
        (ROW.replace("48575a27", "../.."), "", "line 2, study_id: expected letters and digits"),
        (ROW.replace(",L,", ",B,"), "", "line 2, laterality: expected one of"),
        (ROW.replace("training", "train"), "", r"line 2, split: expected one of \['training', 'test'\], found 'train'"),
        (ROW.replace(",8,", ",8.5,"), "", "line 2, height: expected a whole number"),
        (
            ROW,
            finding(image="ffff"),
            "finding_annotations.csv line 2: breast-level_annotations.csv does not list this image",
        ),
        (ROW, finding(box=",,,"), "finding_annotations.csv line 2, xmin: expected a number, found ''"),
        (ROW, finding(box="1,2,inf,4"), "line 2, xmax: expected a number, found 'inf'"),
        (ROW, finding(box="3,2,1,4"), "line 2: xmin and ymin must be below"),
    ],
)
def test_a_wrong_row_is_refused_with_its_table_and_line(
    release: Path, images: str, findings: str, message: str
) -> None:
    write_tables(release, images=images, findings=findings)

    with pytest.raises(UserError, match=message):
        LAYOUT.items(release)


def test_all_wrong_rows_are_refused_at_once(release: Path) -> None:
    write_tables(release, images=ROW.replace("training", "train") + ROW.replace(",8,", ",70000,"))
    with pytest.raises(UserError) as caught:
        LAYOUT.items(release)
    assert [line[:52] for line in sorted(str(caught.value).splitlines())] == [
        "breast-level_annotations.csv line 2, split: expected",
        "breast-level_annotations.csv line 3, height: expecte",
        "breast-level_annotations.csv line 3: an image is lis",
    ]

    write_tables(
        release, findings=finding(box="1,2,٣,4") + finding() + finding(image="ffff") + finding(box="1,2,1e9,4")
    )
    with pytest.raises(UserError) as caught:
        LAYOUT.items(release)
    assert [line.partition(": ")[0] for line in str(caught.value).splitlines()] == [
        "finding_annotations.csv line 2, xmax",
        "finding_annotations.csv line 4",
        "finding_annotations.csv line 5, xmax",
    ]


def test_the_density_is_that_of_the_table(release: Path) -> None:
    assert only_item(release).density == "c"


def test_there_are_no_reports(release: Path) -> None:
    assert (LAYOUT.report_source, LAYOUT.reports(release, sides={})) == ("none", [])
