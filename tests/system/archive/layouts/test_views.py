"""The layout of single views: files with and without a row in views.csv."""

from pathlib import Path

import numpy as np
import pytest

from system.archive.layouts import LAYOUTS
from system.archive.layouts.layout import SourceItem
from system.errors import UserError
from system.imaging import ImageRefused, encode_png
from system.phantom import PhantomConfig, make_exam
from system.phantom.archive import write_exam
from system.records import Side, ViewPosition

VIEWS = LAYOUTS["views"]
HEADER = "file,study,side,view\n"


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(np.arange(12, dtype=np.uint16).reshape(3, 4)))


def test_every_file_is_an_item_hidden_ones_and_the_list_itself_are_not(tmp_path: Path) -> None:
    picture(tmp_path / "b" / "left.png")
    picture(tmp_path / ".cache" / "x.png")
    (tmp_path / "a.dcm").write_bytes(b"")
    (tmp_path / "views.csv").write_text(HEADER + "b/left.png,7,L,MLO\ngone.png,7,R,MLO\n")
    items = VIEWS.items(tmp_path)
    assert [item.name for item in items] == ["a.dcm", "b/left.png", "gone.png"]
    assert items[1] == SourceItem("b/left.png", study="7", side="L", view="MLO")


def test_a_listed_picture_has_the_facts_of_the_list(tmp_path: Path) -> None:
    picture(tmp_path / "left.png")
    image = VIEWS.read(tmp_path, SourceItem("left.png", study="7", side="L", view="MLO"))
    assert (image.side, image.view, image.study, image.image) == (Side.LEFT, ViewPosition.MLO, "7", "left.png")
    assert image.pixels.tolist() == np.arange(12).reshape(3, 4).tolist()


def test_a_picture_that_is_not_listed_is_refused_with_what_to_do(tmp_path: Path) -> None:
    picture(tmp_path / "left.PNG")
    with pytest.raises(ImageRefused, match=r"list it in views\.csv with file, study, side and view") as refused:
        VIEWS.read(tmp_path, SourceItem("left.PNG"))
    assert refused.value.code == "view"


def test_a_header_that_contradicts_the_list_is_refused(tmp_path: Path) -> None:
    write_exam(tmp_path, make_exam(0, 1, PhantomConfig(height_px=96, width_px=96)))
    item = VIEWS.items(tmp_path / "dicom")[0]
    image = VIEWS.read(tmp_path / "dicom", item)
    with pytest.raises(
        ImageRefused, match=rf"the side is '{image.side.other}' in views\.csv, '{image.side}' in the header"
    ):
        VIEWS.read(
            tmp_path / "dicom", SourceItem(item.name, study="1", side=image.side.other.value, view=image.view.value)
        )


def test_a_file_outside_the_folder_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "secret.png")
    (tmp_path / "in").mkdir()
    with pytest.raises(ImageRefused, match="a listed file is not in the source folder"):
        VIEWS.read(tmp_path / "in", SourceItem("../secret.png", study="1", side="L", view="CC"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.png,1,X,CC\n", r"views\.csv line 2, side: expected one of \['L', 'R'\], found 'X'"),
        ("a.png,1,L,ML\n", r"views\.csv line 2, view: expected one of"),
        ("a.png,,L,CC\n", r"views\.csv line 2: study is empty"),
        ("a.png,1,L,CC\na.png,1,R,CC\n", r"views\.csv line 3: a file is listed twice"),
    ],
)
def test_a_wrong_list_is_refused_with_its_line(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "views.csv").write_text(HEADER + rows)
    with pytest.raises(UserError, match=message):
        VIEWS.items(tmp_path)
