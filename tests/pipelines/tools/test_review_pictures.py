"""Pictures of a review in the source's resolution: what is drawn on them comes back to where it is in the source."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipelines.tools import review_import
from pipelines.tools.review_source import SourceFolder, draw_from_source
from system.archive import Archive
from system.errors import UserError
from system.imaging import DisplayConfig, Geometry, encode_png
from tests.pipelines.tools import native_tools
from tests.pipelines.tools.review_site import (
    COLS,
    MASS,
    ROWS,
    SECOND,
    Review,
    Site,
    film,
    from_wall,
    lines_of,
    make_site,
    picture_boxes,
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Read it, never write into it."""
    return make_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def exported(site: Site) -> dict[str, Path]:
    """One queue, three times: pictures in the source's size, in 200 px, and as the archive keeps the views."""
    sizes: dict[str, tuple[Path | None, int]] = {"source": (site.films, 2048), "small": (site.films, 200)}
    for name, (source, longest_px) in (sizes | {"stored": (None, 2048)}).items():
        site.export(site.folder / name / "review", source=source, longest_px=longest_px)
    return {name: site.folder / name / "review" for name in ("source", "small", "stored")}


@pytest.fixture
def reviewed(site: Site, exported: dict[str, Path], tmp_path: Path) -> Callable[[str], Review]:
    """Return a copy of an export and of the archive, to be filled in and written to."""

    def copy(kind: str) -> Review:
        shutil.copytree(exported[kind], tmp_path / "review")
        shutil.copytree(site.archive.uri, tmp_path / "archive")
        return Review(site, tmp_path / "review", Archive.open(str(tmp_path / "archive")))

    return copy


def assert_same_place(found: NDArray[np.bool_], expected: NDArray[np.bool_]) -> None:
    """Both masks end at the same canonical pixels, give or take one."""
    for axis in (0, 1):
        one, other = (np.flatnonzero(mask.any(axis=axis)) for mask in (found, expected))
        assert abs(int(one[0]) - int(other[0])) <= 1
        assert abs(int(one[-1]) - int(other[-1])) <= 1


@pytest.mark.parametrize(("kind", "rows"), [("source", ROWS), ("small", 200)])
def test_pictures_have_the_sources_resolution_or_the_stated_size_and_hang(
    exported: dict[str, Path], kind: str, rows: int
) -> None:
    out = exported[kind]
    lines = lines_of(out)
    assert len(lines) == 4
    for line in lines:
        shown = np.asarray(Image.open(out / line["picture"]))
        assert shown.shape == (rows, COLS * rows // ROWS)
        for x0, y0, x1, y1 in picture_boxes(out, line, MASS, SECOND):
            assert shown[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].min() > 200
    assert not (out / ".source").exists()


@pytest.mark.parametrize("kind", ["source", "small"])
def test_boxes_of_the_sheet_come_back_to_where_they_are_in_the_source(
    reviewed: Callable[[str], Review], kind: str
) -> None:
    """Two masses on each picture: a line each."""
    this = reviewed(kind)
    filled = []
    for line in this.lines:
        for box in picture_boxes(this.out, line, MASS, SECOND):
            edges = dict(zip(("x0", "y0", "x1", "y1"), map(str, box), strict=True))
            filled.append(line | {"verdict": "mass"} | edges)
    taken = this.take_in(filled)
    assert (taken.verdicts, taken.num_outlined) == ({"mass": 4}, 4)
    for name, found in this.outlines().items():
        assert_same_place(found, this.site.expected(name, MASS, SECOND))


def test_without_the_source_the_archives_views_are_shown_and_drawn_on(reviewed: Callable[[str], Review]) -> None:
    this = reviewed("stored")
    lines = this.lines
    for line in lines:
        assert np.asarray(Image.open(this.out / line["picture"])).shape == (96, 64)
        view = this.site.expected(this.site.name_of(line["image_id"]), MASS)
        x, y = np.flatnonzero(view.any(axis=0)), np.flatnonzero(view.any(axis=1))
        box = from_wall((x[0], y[0], x[-1] + 1, y[-1] + 1), right=line["side"] == "R", cols=64)
        line.update({"verdict": "mass"} | dict(zip(("x0", "y0", "x1", "y1"), map(str, box), strict=True)))
    this.take_in(lines)
    for name, found in this.outlines().items():
        assert_same_place(found, this.site.expected(name, MASS))


@pytest.mark.parametrize("kind", ["source", "small", "stored"])
def test_what_is_drawn_in_label_studio_and_answered_there_comes_back(
    reviewed: Callable[[str], Review], kind: str
) -> None:
    this = reviewed(kind)
    drawn, answers, sizes = _answers(this)
    tasks = json.loads((this.out / "label-studio.json").read_text())
    back = native_tools.label_studio(tasks, drawn, answers=answers, sizes=sizes)
    (this.out / "back.json").write_text(json.dumps(back))
    _check_back(this, this.take_in(drawn="back.json"))


@pytest.mark.parametrize("kind", ["source", "small", "stored"])
def test_what_is_drawn_in_cvat_and_answered_there_comes_back(reviewed: Callable[[str], Review], kind: str) -> None:
    this = reviewed(kind)
    drawn, answers, _ = _answers(this)
    back = native_tools.cvat((this.out / "cvat.xml").read_text(), drawn, answers=answers)
    (this.out / "back.xml").write_text(back)
    _check_back(this, this.take_in(drawn="back.xml"))


def test_what_is_drawn_into_the_coco_file_comes_back(reviewed: Callable[[str], Review]) -> None:
    this = reviewed("source")
    drawn, answers, _ = _answers(this)
    page = json.loads((this.out / "candidates.coco.json").read_text())
    boxes = [(image["id"], box) for image in page["images"] for box in drawn.get(image["file_name"][9:], [])]
    for number, (image_id, (x0, y0, x1, y1)) in enumerate(boxes, start=100):
        box = {"id": number, "image_id": image_id, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0]}
        page["annotations"].append(box)
    (this.out / "edited.json").write_text(json.dumps(page))
    lines = [line | {"verdict": answers[line["picture"][9:]]} for line in this.lines]
    _check_back(this, this.take_in(lines, drawn="edited.json"))


def _answers(
    this: Review,
) -> tuple[dict[str, list[list[float]]], dict[str, str], dict[str, tuple[int, int]]]:
    """Return what is drawn, the answers and the sizes, by picture's file: two masses on a, b and c; d has none."""
    drawn, answers, sizes = {}, {}, {}
    for line in this.lines:
        file, name = line["picture"].rpartition("/")[2], this.site.name_of(line["image_id"])
        rows, cols = np.asarray(Image.open(this.out / line["picture"])).shape
        sizes[file] = (rows, cols)
        answers[file] = "no mass" if name == "d" else "mass"
        if name != "d":
            geometry = Geometry.from_json(line["geometry"])
            drawn[file] = [_around(this.site.expected(name, box), geometry) for box in (MASS, SECOND)]
    return drawn, answers, sizes


def _around(view: NDArray[np.bool_], geometry: Geometry) -> list[float]:
    """Return the box on the picture around a mask of the view."""
    rows, cols = np.flatnonzero(view.any(axis=1)), np.flatnonzero(view.any(axis=0))
    corners = np.array([[cols[0], rows[0]], [cols[-1] + 1, rows[-1] + 1]]) - 0.5
    (x0, y0), (x1, y1) = geometry.to_source(corners) + 0.5
    return [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)]


def _check_back(this: Review, taken: review_import.VerdictImport) -> None:
    assert (taken.verdicts, taken.num_outlined) == ({"mass": 3, "no mass": 1}, 3)
    assert taken.left_out == {"candidate of the network": 4}
    outlines = this.outlines()
    assert outlines.keys() == {"a", "b", "c"}
    for name, found in outlines.items():
        assert_same_place(found, this.site.expected(name, MASS, SECOND))
        assert found.sum() == pytest.approx(np.pi / 4 * this.site.expected(name, MASS, SECOND).sum(), rel=0.12)


def test_the_candidates_of_every_form_lie_on_the_pictures_where_the_view_has_them(exported: dict[str, Path]) -> None:
    out = exported["source"]
    view = np.zeros((96, 64), bool)
    view[60:70, 2:10] = True
    coco = json.loads((out / "candidates.coco.json").read_text())
    tasks = json.loads((out / "label-studio.json").read_text())
    for line, annotation, task in zip(lines_of(out), coco["annotations"], tasks, strict=True):
        expected = _around(view, Geometry.from_json(line["geometry"]))
        x, y, width, height = annotation["bbox"]
        assert [x, y, x + width, y + height] == pytest.approx(expected, abs=0.02)
        value = task["predictions"][0]["result"][0]["value"]
        assert [value["x"] * COLS / 100, value["y"] * ROWS / 100] == pytest.approx(expected[:2], abs=0.02)
        assert task["data"]["image"] == f"/data/local-files/?d=review/{line['picture']}"
        assert f'xtl="{expected[0]:.2f}" ytl="{expected[1]:.2f}"' in (out / "cvat.xml").read_text()
    config = ET.fromstring((out / "label-studio.xml").read_text())  # noqa: S314 - our own
    fields = {tag.attrib["value"] for tag in config.iter() if tag.attrib.get("value", "").startswith("$")}
    assert fields == {f"${name}" for name in tasks[0]["data"]}
    assert [label["name"] for label in json.loads((out / "cvat-labels.json").read_text())] == [
        *("mass", "candidate", "no mass", "unsure")
    ]


def test_files_that_were_moved_are_known_by_the_image_in_them_and_another_file_in_a_known_place_is_not(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """d has another name now, so it is another image; c has another size; a and b have other times."""
    moved = tmp_path / "elsewhere"
    shutil.copytree(site.films, moved, copy_function=shutil.copyfile)
    (moved / "d.png").rename(moved / "e.png")
    (moved / "views.csv").write_text((moved / "views.csv").read_text().replace("d.png", "e.png"))
    (moved / "c.png").write_bytes(encode_png(film("c")[10:]))
    lines = site.export(tmp_path / "review", source=moved)
    rows = {site.name_of(line["image_id"]): Geometry.from_json(line["geometry"]).source_rows for line in lines}
    assert rows == {"a": ROWS, "b": ROWS, "c": 96, "d": 96}
    assert "2 images have no file in --source (files looked into: 2 read, 1 not_found, 1 pixel_size)" in caplog.text
    page = "".join(path.read_text() for path in (tmp_path / "review" / "studies").glob("*.html"))
    assert page.count("as the archive keeps it: the file was not at hand") == 2


def test_an_export_names_nothing_of_its_source_and_what_quotes_reports_is_for_its_owner(
    exported: dict[str, Path],
) -> None:
    out = exported["source"]
    for path in (path for path in out.rglob("*") if path.is_file()):
        for text in ("a.png", "/films", "STUDY-", "views.csv"):
            assert text.encode() not in path.read_bytes()
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert not picture.info
        if b"spiculated" in path.read_bytes():
            assert path.stat().st_mode & 0o777 == 0o600
    assert b"spiculated" in (out / "label-studio.json").read_bytes()


def test_a_page_shows_all_views_of_a_study_the_sentence_and_the_boxes_and_runs_no_script(
    site: Site, exported: dict[str, Path]
) -> None:
    out = exported["source"]
    lines = lines_of(out)
    line = next(line for line in lines if site.name_of(line["image_id"]) == "a")
    assert line["sentence"] == "There is a spiculated mass in the left breast"
    pages = {path: path.read_text() for path in (out / "studies").glob("*.html")}
    assert len(pages) == 2
    (page,) = (text for text in pages.values() if "spiculated" in text)
    assert page.index("R CC") < page.index("L CC")
    assert page.count('<img src="data:image/jpeg;base64,') == page.count("<svg ") == page.count("<rect x=") == 2
    assert f"To be judged: line {lines.index(line) + 2} of the sheet" in page
    assert "&lt;b&gt;quiet" in page
    assert "Research software, not a diagnosis" in page
    for text in (*pages.values(), (out / "index.html").read_text()):
        assert "<script" not in text
        assert "http://" not in text
        assert "default-src 'none'" in text


def test_a_sheet_whose_geometry_was_changed_is_refused_with_its_lines(reviewed: Callable[[str], Review]) -> None:
    this = reviewed("source")
    first, *others = this.lines
    for wrong in ("{}", "x", first["geometry"].replace('"scale": 0', '"scale": -0'), "[1]", "null"):
        with pytest.raises(UserError, match=r"queue\.csv line 2, geometry: it is not what was exported"):
            this.take_in([first | {"verdict": "mass", "geometry": wrong}, *others])
    for known, changed in ((' "rows": 96', ' "rows": 128'), ('"left_px": 0.0', '"left_px": 9.0')):
        assert known in first["geometry"]
        second = first | {"verdict": "mass", "geometry": first["geometry"].replace(known, changed)}
        box = {"x0": "60", "y0": "60", "x1": "90", "y1": "90"}
        with pytest.raises(UserError, match=r"queue\.csv line 3, geometry: it is of another picture"):
            this.take_in([first | {"verdict": "mass"} | box, second | box, *others])
    assert not this.outlines()


def test_a_box_beside_the_breast_is_refused(reviewed: Callable[[str], Review]) -> None:
    """The archive's view ends before the film does; a box beyond it would be lost."""
    this = reviewed("source")
    first, *others = this.lines
    cols = ("236", "239") if first["side"] == "L" else ("1", "4")
    beside = {"verdict": "mass", "x0": cols[0], "y0": "10", "x1": cols[1], "y1": "12"}
    with pytest.raises(UserError, match="line 2: the box: nothing of it is left in the archive's view of the breast"):
        this.take_in([first | beside, *others])


def test_answers_that_contradict_the_sheet_or_belong_to_no_picture_are_refused(
    reviewed: Callable[[str], Review],
) -> None:
    this = reviewed("stored")
    answers = {"0001.png": "mass", "0002.png": "perhaps", "0003.png": "mass"}
    back = native_tools.cvat((this.out / "cvat.xml").read_text(), {}, answers=answers).replace("0003.png", "9.png")
    (this.out / "back.xml").write_text(back)
    first, *others = this.lines
    with pytest.raises(UserError) as caught:
        this.take_in([first | {"verdict": "no mass"}, *others], drawn="back.xml")
    assert sorted(str(caught.value).splitlines())[:3] == [
        "back.xml: 'mass' is the answer for 'share/9.png', which is none of queue.csv",
        "back.xml: 'share/0002.png': expected one of ['mass', 'no mass', 'unsure'], found 'perhaps'",
        "queue.csv line 2: the verdict is 'no mass', in back.xml it is 'mass': keep one of them",
    ]
    assert not this.outlines()


def test_several_layouts_need_one_to_be_said(site: Site, tmp_path: Path) -> None:
    wanted = dict(zip("ab", ("dicom", "views"), strict=True))
    with pytest.raises(UserError, match=r"layouts \['dicom', 'views'\]: say with --layout"):
        draw_from_source(
            wanted, site.archive, source=SourceFolder(site.films, ""), folder=tmp_path, display=DisplayConfig()
        )
