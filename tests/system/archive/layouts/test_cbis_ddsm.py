"""The CBIS-DDSM layout on a download made by the test: films, swapped masks, patients in several tables."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from system.archive.layouts import LAYOUTS, SourceItem
from system.errors import UserError
from system.imaging import ImageRefused

LAYOUT = LAYOUTS["cbis-ddsm"]
HEADERS = {
    "mass": "patient_id,breast_density,left or right breast,image view,abnormality id,abnormality type,mass shape,"
    "mass margins,assessment,pathology,subtlety,image file path,cropped image file path,ROI mask file path\n",
    "calc": "patient_id,breast density,left or right breast,image view,abnormality id,abnormality type,calc type,"
    "calc distribution,assessment,pathology,subtlety,image file path,cropped image file path,ROI mask file path\n",
}
TYPES = {"mass": "mass", "calc": "calcification"}
SHAPE = (6, 4)
FULL, ROI, CROP = (
    "1.000000-full mammogram images-24515",
    "1.000000-ROI mask images-74994",
    "1.000000-cropped images-74994",
)


def row(
    group: str,
    part: str,
    *,
    patient: str = "P_00001",
    side: str = "LEFT",
    view: str = "CC",
    number: int = 1,
    **instead: str,
) -> str:
    """Return a row as it is published: the last path ends in a line break inside its quotes."""
    folder = instead.get("folder", f"{group.title()}-{part}_{patient}_{side}_{view}")
    paths = f"{folder}/1.3/1.4/000000.dcm,{folder}_{number}/1.3/1.4/000000.dcm"
    mask = instead.get("mask", f"{folder}_{number}")
    abnormality = instead.get("type", TYPES[group])
    return (
        f"{patient},3,{side},{view},{number},{abnormality},OVAL,CIRCUMSCRIBED,4,BENIGN,5,{paths},"
        f'"{mask}/1.3/1.4/000001.dcm\n"\n'
    )


@pytest.fixture
def tables(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the four tables, each with the rows given for it, and returns their folder."""

    def write(**rows: list[str]) -> Path:
        for group, header in HEADERS.items():
            for part in ("train", "test"):
                text = header + "".join(rows.get(f"{group}_{part}", []))
                (tmp_path / f"{group}_case_description_{part}_set.csv").write_text(text, encoding="utf8", newline="")
        return tmp_path

    return write


@pytest.fixture
def download(
    tmp_path: Path, write_dicom: Callable[..., Path], gray: Callable[[int, int], np.ndarray]
) -> Callable[..., None]:
    """Return a function that writes a film and, as TCIA's downloader names them, the pictures of its abnormalities."""

    def write(
        folder: str,
        *pictures: np.ndarray,
        root: str = "manifest-1/CBIS-DDSM",
        series: str = ROI,
        shape: tuple[int, int] = SHAPE,
    ) -> None:
        base = tmp_path / root
        write_dicom(base / folder / "07-20-2016-DDSM-NA-1" / FULL / "1-1.dcm", gray(*shape), PatientID=folder)
        for number, picture in enumerate(pictures, start=1):
            write_dicom(base / f"{folder}_1" / "07-21-2016-DDSM-NA-2" / series / f"1-{number}.dcm", picture)

    return write


def masked(*places: tuple[int | slice, int | slice], shape: tuple[int, int] = SHAPE) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    for place in places:
        mask[place] = 255
    return mask


def only_item(source: Path) -> SourceItem:
    (item,) = LAYOUT.items(source)
    return item


def truth_of(source: Path, item: SourceItem) -> np.ndarray:
    return LAYOUT.mask(source, item, LAYOUT.read(source, item))


def code_of(source: Path) -> str:
    item = only_item(source)
    with pytest.raises(ImageRefused) as refused:
        truth_of(source, item)
    return refused.value.code


def test_a_film_is_read_with_the_facts_of_its_table(
    tables: Callable[..., Path], download: Callable[..., None], gray: Callable[[int, int], np.ndarray]
) -> None:
    source = tables(mass_train=[row("mass", "Training")])
    download("Mass-Training_P_00001_LEFT_CC")

    item = only_item(source)
    image = LAYOUT.read(source, item)

    assert (item.num_masses, item.has_truth, item.split) == (1, True, "")
    assert (image.side, image.view, image.spacing_mm, image.patient) == ("L", "CC", 0.0, "CBIS-DDSM P_00001")
    np.testing.assert_array_equal(image.pixels, gray(*SHAPE))


@pytest.mark.parametrize("root", ["", "CBIS-DDSM", "manifest-1/CBIS-DDSM"])
def test_films_are_found_wherever_the_downloader_put_them(
    tables: Callable[..., Path], download: Callable[..., None], root: str
) -> None:
    source = tables(mass_train=[row("mass", "Training")])
    download("Mass-Training_P_00001_LEFT_CC", root=root)

    assert LAYOUT.read(source, only_item(source)).pixels.shape == SHAPE


@pytest.mark.parametrize("series", [ROI, CROP])
@pytest.mark.parametrize("mask_first", [True, False])
def test_of_crop_and_mask_the_one_of_the_films_size_is_the_mask(
    tables: Callable[..., Path],
    download: Callable[..., None],
    gray: Callable[[int, int], np.ndarray],
    series: str,
    mask_first: bool,
) -> None:
    source = tables(mass_train=[row("mass", "Training")])
    mask, crop = masked((2, 1), (3, 1)), gray(2, 2)
    download("Mass-Training_P_00001_LEFT_CC", *((mask, crop) if mask_first else (crop, mask)), series=series)

    np.testing.assert_array_equal(truth_of(source, only_item(source)), mask > 0)


def test_a_mask_of_the_films_size_beats_a_black_and_white_crop_of_its_aspect(
    tables: Callable[..., Path], download: Callable[..., None]
) -> None:
    source = tables(mass_train=[row("mass", "Training")])
    mask = masked((2, 1), (3, 1))
    download("Mass-Training_P_00001_LEFT_CC", masked((0, 0), shape=(3, 2)), mask)

    np.testing.assert_array_equal(truth_of(source, only_item(source)), mask > 0)


def test_several_masses_of_a_film_are_one_mask(
    tables: Callable[..., Path], download: Callable[..., None], write_dicom: Callable[..., Path], tmp_path: Path
) -> None:
    source = tables(mass_train=[row("mass", "Training"), row("mass", "Training", number=2)])
    download("Mass-Training_P_00001_LEFT_CC", masked((0, 0)))
    write_dicom(tmp_path / "CBIS-DDSM" / "Mass-Training_P_00001_LEFT_CC_2" / "1-1.dcm", masked((5, 3)))

    item = only_item(source)

    assert item.num_masses == 2
    np.testing.assert_array_equal(truth_of(source, item), masked((0, 0), (5, 3)) > 0)


def test_a_mask_of_another_size_but_the_films_aspect_is_spread_over_it(
    tables: Callable[..., Path], download: Callable[..., None]
) -> None:
    source = tables(mass_train=[row("mass", "Training")])
    download("Mass-Training_P_00001_LEFT_CC", masked((1, 0), shape=(3, 2)))

    expected = masked((slice(2, 4), slice(0, 2)))
    np.testing.assert_array_equal(truth_of(source, only_item(source)), expected > 0)


@pytest.mark.parametrize(
    ("pictures", "code"),
    [
        ([masked((1, 0), shape=(3, 3))], "mask_size"),  # another aspect
        ([np.arange(6, dtype=np.uint16).reshape(3, 2)], "mask_size"),  # the film's aspect, but a crop
        ([masked()], "mask_empty"),
        ([masked((0, 0)), masked((1, 1))], "ambiguous"),
        ([], "not_found"),
    ],
)
def test_a_film_whose_mask_does_not_fit_is_refused(
    tables: Callable[..., Path], download: Callable[..., None], pictures: list[np.ndarray], code: str
) -> None:
    source = tables(mass_train=[row("mass", "Training")])
    download("Mass-Training_P_00001_LEFT_CC", *pictures)

    assert code_of(source) == code


def test_the_same_mask_twice_is_no_conflict(tables: Callable[..., Path], download: Callable[..., None]) -> None:
    source = tables(mass_train=[row("mass", "Training")])
    download("Mass-Training_P_00001_LEFT_CC", masked((1, 1)), masked((1, 1)))

    np.testing.assert_array_equal(truth_of(source, only_item(source)), masked((1, 1)) > 0)


def test_a_film_with_calcifications_only_is_known_to_have_no_mass(
    tables: Callable[..., Path], download: Callable[..., None]
) -> None:
    source = tables(calc_test=[row("calc", "Test", view="MLO")])
    download("Calc-Test_P_00001_LEFT_MLO", masked((1, 1)))

    item = only_item(source)

    assert (item.has_truth, item.num_masses, item.masks) == (True, 0, ())
    assert not truth_of(source, item).any()


def test_a_film_among_masses_and_calcifications_is_one_item_with_its_masses(tables: Callable[..., Path]) -> None:
    source = tables(calc_train=[row("calc", "Training")], mass_test=[row("mass", "Test")])

    item = only_item(source)

    assert (item.name, item.masks) == ("Mass-Test_P_00001_LEFT_CC", ("Mass-Test_P_00001_LEFT_CC_1",))


def test_a_patient_on_both_sides_of_the_official_split_is_one_patient_and_one_study(
    tables: Callable[..., Path],
) -> None:
    source = tables(
        calc_train=[row("calc", "Training", side="RIGHT")],
        mass_test=[row("mass", "Test")],
        mass_train=[row("mass", "Training", view="MLO")],
    )

    items = LAYOUT.items(source)

    assert [item.side for item in items] == ["L", "L", "R"]
    assert {(item.patient, item.study, item.split) for item in items} == {
        ("CBIS-DDSM P_00001", "CBIS-DDSM P_00001", "")
    }


def test_a_listed_film_that_is_not_there_is_refused_and_has_a_file_to_stamp(
    tables: Callable[..., Path], tmp_path: Path
) -> None:
    source = tables(mass_train=[row("mass", "Training")])
    name = "Mass-Training_P_00001_LEFT_CC"

    assert code_of(source) == "not_found"
    assert LAYOUT.files(source, only_item(source)) == [tmp_path / name, tmp_path / f"{name}_1"]


def test_the_files_of_an_item_are_its_film_and_all_that_lies_with_its_masses(
    tables: Callable[..., Path], download: Callable[..., None], gray: Callable[[int, int], np.ndarray]
) -> None:
    source = tables(mass_train=[row("mass", "Training")])
    download("Mass-Training_P_00001_LEFT_CC", masked((1, 1)), gray(2, 2))

    files = LAYOUT.files(source, only_item(source))

    assert [(path.parent.name, path.name) for path in files] == [(FULL, "1-1.dcm"), (ROI, "1-1.dcm"), (ROI, "1-2.dcm")]


def test_two_films_in_one_folder_are_refused(
    tables: Callable[..., Path],
    download: Callable[..., None],
    write_dicom: Callable[..., Path],
    gray: Callable[[int, int], np.ndarray],
    tmp_path: Path,
) -> None:
    source = tables(calc_train=[row("calc", "Training")])
    download("Calc-Training_P_00001_LEFT_CC")
    write_dicom(
        tmp_path / "manifest-1" / "CBIS-DDSM" / "Calc-Training_P_00001_LEFT_CC" / "other" / "1-1.dcm", gray(3, 3)
    )

    assert code_of(source) == "ambiguous"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            row("mass", "Training", type="asymmetry"),
            r"mass_case_description_train_set.csv line 3, abnormality type: expected one of",
        ),
        (
            row("mass", "Training", folder="Mass-Training_P_00002_LEFT_CC"),
            "line 3: image file path does not begin with the folder of",
        ),
        (row("mass", "Training", folder="../../etc"), "line 3: image file path does not begin"),
        (row("mass", "Training", mask="Mass-Training_P_00002_LEFT_CC_1"), "line 3: ROI mask file path does not begin"),
        ("P_00001,3,LEFT\n", "line 2: 3 fields, the header has 14"),
    ],
)
def test_a_wrong_row_is_refused_with_its_table_and_line(tables: Callable[..., Path], wrong: str, message: str) -> None:
    source = tables(mass_train=[wrong])

    with pytest.raises(UserError, match=message):
        LAYOUT.items(source)


def test_the_wrong_rows_of_all_tables_are_refused_at_once(tables: Callable[..., Path]) -> None:
    source = tables(
        mass_train=[row("mass", "Training", type="asymmetry")], calc_train=[row("calc", "Training", folder="../../etc")]
    )

    with pytest.raises(UserError) as caught:
        LAYOUT.items(source)

    assert [line.split()[0] for line in str(caught.value).splitlines()] == [
        "mass_case_description_train_set.csv",
        "calc_case_description_train_set.csv",
    ]


def test_without_one_of_the_four_tables_nothing_is_listed(tables: Callable[..., Path]) -> None:
    source = tables(calc_train=[row("calc", "Training")])
    (source / "mass_case_description_test_set.csv").unlink()

    with pytest.raises(UserError, match=r"mass_case_description_test_set\.csv is not in the source folder"):
        LAYOUT.items(source)


@pytest.mark.parametrize("group", ["mass", "calc"])
def test_the_density_is_that_of_either_tables_column(tables: Callable[..., Path], group: str) -> None:
    (item,) = LAYOUT.items(tables(**{f"{group}_train": [row(group, "Training")]}))
    assert item.density == "c"


def test_there_are_no_reports(tables: Callable[..., Path]) -> None:
    assert (LAYOUT.report_source, LAYOUT.reports(tables(), sides={})) == ("none", [])
