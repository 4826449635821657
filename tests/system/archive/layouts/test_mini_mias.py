"""The mini-MIAS layout on drawn films, and on the real ones where they are present."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from system.archive.layouts import LAYOUTS, SourceItem
from system.archive.layouts.mini_mias import MiniMias
from system.errors import UserError
from system.imaging import ImageRefused
from system.records import Side

INFO = """              MAMMOGRAPHIC IMAGE ANALYSIS SOCIETY
1st column: MIAS database reference number.

mdb005 F CIRC B 477 133 30
mdb005 F SPIC B 500 168 26
mdb006 F NORM
mdb009 G CALC M *NOTE 3*
mdb010 G MISC B
mdb011 D ASYM M 423 662 43
"""


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Return a folder with Info.txt and films 5 (chest wall right) and 6 (left)."""
    (tmp_path / "Info.txt").write_text(INFO)
    write_film(tmp_path, 5, chest_wall="right")
    write_film(tmp_path, 6, chest_wall="left")
    return tmp_path


def write_film(folder: Path, number: int, *, chest_wall: str) -> None:
    y, x = np.mgrid[:1024, :1024]
    tissue = (((x - 200) / 500) ** 2 + ((y - 512) / 450) ** 2 < 1) & (x >= 200)
    pixels = np.where(tissue, 150, 5).astype(np.uint8)
    pixels = pixels if chest_wall == "left" else pixels[:, ::-1]
    (folder / f"mdb{number:03d}.pgm").write_bytes(b"P5\n1024 1024\n255\n" + pixels.tobytes())


def item(folder: Path, number: int) -> SourceItem:
    return next(item for item in MiniMias().items(folder) if item.name == f"mdb{number:03d}.pgm")


def test_two_rows_of_a_film_are_one_item_with_two_circles_counted_from_the_top(films: Path) -> None:
    found = item(films, 5)

    assert found.circles_px == ((477, 1023 - 133, 30), (500, 1023 - 168, 26))
    assert (found.num_masses, found.has_truth) == (2, True)


@pytest.mark.parametrize("number", [6, 9, 11])
def test_normal_calcified_and_asymmetric_films_are_known_to_have_no_mass(films: Path, number: int) -> None:
    found = item(films, number)

    assert (found.num_masses, found.has_truth, found.circles_px) == (0, True, ())


def test_a_mass_without_a_circle_is_positive_without_truth(films: Path) -> None:
    found = item(films, 10)

    assert (found.num_masses, found.has_truth) == (1, False)


def test_the_mask_is_the_disc_of_every_circle(films: Path) -> None:
    found = item(films, 5)

    mask = MiniMias().mask(films, found, MiniMias().read(films, found))

    rows, cols = np.nonzero(mask)
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (1023 - 168 - 26, 1023 - 133 + 30, 447, 526)
    assert mask[890, 477]
    assert not mask[133, 477]


def test_a_chest_wall_on_the_right_is_a_right_breast(films: Path) -> None:
    layout = MiniMias()

    assert [layout.read(films, item(films, number)).side for number in (5, 6)] == ["R", "L"]


def test_the_picture_beats_the_number(films: Path) -> None:
    write_film(films, 5, chest_wall="left")
    write_film(films, 6, chest_wall="right")

    assert MiniMias().read(films, item(films, 5)).side == "L"


def test_two_films_of_one_patient_that_show_the_same_side_are_both_refused(films: Path) -> None:
    write_film(films, 5, chest_wall="left")

    for number in (5, 6):
        with pytest.raises(ImageRefused, match="side_conflict"):
            MiniMias().read(films, item(films, number))


def test_both_films_of_a_pair_are_one_patient_and_one_study(films: Path) -> None:
    first, second = (MiniMias().read(films, item(films, number)) for number in (5, 6))

    assert (first.patient, first.study) == (second.patient, second.study)
    assert first.image != second.image


def test_a_listed_film_that_is_not_there_is_refused(films: Path) -> None:
    with pytest.raises(ImageRefused, match="not_found"):
        MiniMias().read(films, item(films, 9))


def test_reports_describe_the_masses_of_the_side_that_the_picture_shows(films: Path) -> None:
    (report,) = MiniMias().reports(films, sides={"mdb005.pgm": Side.RIGHT, "mdb006.pgm": Side.LEFT})

    text = report.description + report.impression
    assert "right" in text.lower() or "右" in text
    assert report == MiniMias().reports(films, sides={"mdb005.pgm": Side.RIGHT, "mdb006.pgm": Side.LEFT})[0]


def test_a_row_of_another_form_is_named_by_its_line(films: Path) -> None:
    (films / "Info.txt").write_text(INFO + "mdb012 X CIRC B 1 2 3\n")

    with pytest.raises(UserError, match=r"Info\.txt line 10"):
        MiniMias().items(films)


def test_all_wrong_rows_of_the_list_are_refused_at_once(films: Path) -> None:
    rows = "mdb012 X CIRC B 1 2 3\nmdb013 G CIRC B 1024 2 3\nmdb014 G CIRC B 1 2 99999999999999999999999\n"
    (films / "Info.txt").write_text(INFO + rows)

    with pytest.raises(UserError) as caught:
        MiniMias().items(films)

    assert [line[:42] for line in str(caught.value).splitlines()] == [
        "Info.txt line 10: expected 'mdbNNN tissue ",
        "Info.txt line 11, x: expected a whole numb",
        "Info.txt line 12, radius: expected a whole",
    ]


def test_what_only_looks_like_a_digit_is_text_where_a_circle_should_be(films: Path) -> None:
    (films / "Info.txt").write_text(INFO + "mdb012 G CIRC B 1 2 ³\n", encoding="latin-1")

    assert item(films, 12).has_truth is False


def test_a_folder_without_the_list_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Info\.txt is not in the source folder: give the folder of the original"):
        MiniMias().items(tmp_path)


def test_the_real_list_has_sixty_patients_and_thirty_masses(shared_data: Path) -> None:
    items = LAYOUTS["mini-mias"].items(shared_data / "data" / "mini-mias")

    assert len(items) == 120
    assert sum(item.num_masses for item in items) == 30
    assert Counter(item.num_masses for item in items) == {0: 92, 1: 26, 2: 2}
    assert all(item.has_truth for item in items)


@pytest.mark.parametrize("pair", [76, 8, 159])
def test_real_films_show_the_side_that_their_number_gives(shared_data: Path, pair: int) -> None:
    # 151 and 152 are filled by the breast: the muscle decides there
    folder = shared_data / "data" / "mini-mias"

    sides = [MiniMias().read(folder, item(folder, number)).side for number in (2 * pair - 1, 2 * pair)]

    assert sides == ["R", "L"]
