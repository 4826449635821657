"""Pictures of a review in the source's resolution: what is drawn on them comes back to where it is in the source."""

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipelines.tools import review
from pipelines.tools.review_out import Tool
from pipelines.tools.review_source import SourceFolder
from system.archive import Archive, SplitConfig
from system.archive.intake import take
from system.archive.layouts import LAYOUTS
from system.archive.settle import write_settled
from system.config import RunConfig
from system.errors import UserError
from system.imaging import DicomConfig, DisplayConfig, Geometry, ImagingConfig, canonical_mask, encode_png
from system.records import image_key
from system.review import QueueConfig
from system.run.folder import RunFolder
from tests.pipelines.tools import native_tools
from tests.pipelines.tools.by_hand import fill, infer_by_hand

ROWS, COLS = 320, 240
MASS = (80, 130, 110, 170)  # x0, y0, x1, y1 from the chest wall, in the source of a
SECOND = (20, 60, 44, 90)
FILMS = {"a": "L", "b": "R", "c": "L", "d": "R"}  # file -> breast; a and b are one study, c and d another
MIRRORED = "c"  # a left breast whose file has its chest wall on the right

Sheet = list[dict[str, str]]


def film(name: str) -> NDArray[np.uint16]:
    y, x = np.mgrid[:ROWS, :COLS]
    breast = ((y - 160) / 140) ** 2 + (x / 170) ** 2 < 1
    pixels = np.where(breast, 900 + 2 * x + y + ord(name), 20).astype(np.uint16)
    for x0, y0, x1, y1 in (MASS, SECOND):
        pixels[y0:y1, x0:x1] = 4000
    return pixels[:, ::-1] if is_right(name) else pixels


def is_right(name: str) -> bool:
    """Whether the file has its chest wall on the right."""
    return FILMS[name] == "R" or name == MIRRORED


def from_wall(box: Sequence[int], *, right: bool, cols: int) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = box
    return (cols - x1, y0, cols - x0, y1) if right else (x0, y0, x1, y1)


@dataclass(frozen=True)
class Site:
    """A folder of films, and an archive and a run on them."""

    folder: Path
    archive: Archive
    run: RunFolder
    ids: Mapping[str, str]  # film -> image id

    @property
    def films(self) -> Path:
        return self.folder / "films"

    def export(self, out: Path, *, source: Path | None, longest_px: int = 2048, tools: tuple[Tool, ...] = ()) -> Sheet:
        shown = review.Shown(
            source=SourceFolder(source, "") if source else None,
            display=DisplayConfig(longest_px=longest_px),
            tools=tools,
        )
        review.export(self.run.path, 1, out, config=QueueConfig(random_share=0), shown=shown)
        with (out / "queue.csv").open(encoding="utf8", newline="") as file:
            return list(csv.DictReader(file))

    def name_of(self, image_id: str) -> str:
        return next(name for name, known in self.ids.items() if known == image_id)

    def outlines(self) -> dict[str, NDArray[np.bool_]]:
        rows = Archive.open(self.archive.uri).table("verdicts").to_pylist()
        return {
            self.name_of(row["image_id"]): self.archive.pixels(row["mask_sha"]) > 0 for row in rows if row["mask_sha"]
        }

    def expected(self, name: str, *boxes: Sequence[int]) -> NDArray[np.bool_]:
        """Return where boxes of the source, from the chest wall, lie in the archive's view, by its own geometry."""
        row = next(row for row in self.archive.table("images").to_pylist() if row["image_id"] == self.ids[name])
        mask = np.zeros((ROWS, COLS), bool)
        for box in boxes:
            x0, y0, x1, y1 = from_wall(box, right=is_right(name), cols=COLS)
            mask[y0:y1, x0:x1] = True
        return canonical_mask(mask, geometry=Geometry.from_json(row["geometry"]))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    films = tmp_path / "films"
    films.mkdir()
    lines = [f"{name}.png,{'STUDY-1' if name in 'ab' else 'STUDY-2'},{side},CC" for name, side in FILMS.items()]
    (films / "views.csv").write_text("\n".join(["file,study,side,view", *lines]))
    for name in FILMS:
        (films / f"{name}.png").write_bytes(encode_png(film(name)))
    archive = Archive.create(str(tmp_path / "archive"), imaging=ImagingConfig(height_px=96, width_px=64))
    layout = LAYOUTS["views"]
    found = [take(archive, layout, source=films, item=item, dicom=DicomConfig()) for item in layout.items(films)]
    assert not [row.code for row in found if row.code]
    fill(archive, files=[vars(row) for row in found])
    write_settled(archive, found, config=SplitConfig(strong=0, weak=1, validation=0, test=0), overwrite=False)
    ids = {name: archive.identifier("image", f"{name}.png") for name in FILMS}
    studies = {row["image_id"]: row["study_id"] for row in archive.table("images").to_pylist()}
    report = {"version": 1, "status": "final", "language": "en", "source": "hospital", "impression": ""}
    text = "There is a spiculated mass in the left breast. The right breast is <b>quiet</b>."
    fill(archive, reports=[report | {"study_id": studies[ids["a"]], "description": text}])
    run = RunFolder(tmp_path / "run")
    with run.claimed(RunConfig()):
        run.pin(archive.uri)
    infer_by_hand(run.round(1).predictions, [_prediction(ids[name], studies[ids[name]], name) for name in FILMS])
    return Site(tmp_path, archive, run, ids)


def _prediction(image_id: str, study: str, name: str) -> dict[str, Any]:
    candidate = {"box_px": [2, 60, 10, 70], "score": 0.8, "area_px": 60, "centroid_px": [6.0, 65.0]}
    row = {"image_key": image_key(image_id), "image_id": image_id, "study_id": study, "side": FILMS[name], "view": "CC"}
    return row | {"score": 0.8, "entropy": 0.5, "mask_area_px": 0, "candidates": json.dumps([candidate])}


def picture_boxes(out: Path, line: Mapping[str, str], *boxes: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """Return where boxes of the source lie in an exported picture: pictures hang, whatever the file has."""
    rows, cols = np.asarray(Image.open(out / line["picture"])).shape
    scale = rows / ROWS
    scaled = [[round(at * scale) for at in box] for box in boxes]
    return [from_wall(box, right=line["side"] == "R", cols=cols) for box in scaled]


def fill_in(out: Path, lines: Sheet) -> Path:
    with (out / "queue.csv").open("w", encoding="utf8", newline="") as file:
        writer = csv.DictWriter(file, lines[0].keys())
        writer.writeheader()
        writer.writerows(lines)
    return out / "queue.csv"


def assert_same_place(found: NDArray[np.bool_], expected: NDArray[np.bool_]) -> None:
    """Both masks end at the same canonical pixels, give or take one."""
    for axis in (0, 1):
        one, other = (np.flatnonzero(mask.any(axis=axis)) for mask in (found, expected))
        assert abs(int(one[0]) - int(other[0])) <= 1
        assert abs(int(one[-1]) - int(other[-1])) <= 1


@pytest.mark.parametrize("longest_px", [2048, 200])
def test_pictures_have_the_sources_resolution_or_the_stated_size_and_hang(site: Site, longest_px: int) -> None:
    out = site.folder / "review"
    lines = site.export(out, source=site.films, longest_px=longest_px)
    assert len(lines) == 4
    for line in lines:
        shown = np.asarray(Image.open(out / line["picture"]))
        rows = min(ROWS, longest_px)
        assert shown.shape == (rows, COLS * rows // ROWS)
        for x0, y0, x1, y1 in picture_boxes(out, line, MASS, SECOND):
            assert shown[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].min() > 200
    assert not (out / ".source").exists()


@pytest.mark.parametrize("longest_px", [2048, 200])
def test_boxes_of_the_sheet_come_back_to_where_they_are_in_the_source(site: Site, longest_px: int) -> None:
    """Two masses on each picture: a line each."""
    out = site.folder / "review"
    lines = site.export(out, source=site.films, longest_px=longest_px)
    filled = []
    for line in lines:
        for box in picture_boxes(out, line, MASS, SECOND):
            edges = dict(zip(("x0", "y0", "x1", "y1"), map(str, box), strict=True))
            filled.append(line | {"verdict": "mass"} | edges)
    taken = review.take_in(fill_in(out, filled), site.archive.uri, reader="R1")
    assert (taken.verdicts, taken.num_outlined) == ({"mass": 4}, 4)
    for name, found in site.outlines().items():
        assert_same_place(found, site.expected(name, MASS, SECOND))
        assert not found[:, : site.expected(name, SECOND).any(axis=0).argmax() - 1].any()


def test_without_the_source_the_archives_views_are_shown_and_drawn_on(site: Site) -> None:
    out = site.folder / "review"
    lines = site.export(out, source=None)
    for line in lines:
        assert np.asarray(Image.open(out / line["picture"])).shape == (96, 64)
        wall = np.flatnonzero(site.expected(site.name_of(line["image_id"]), MASS).any(axis=0))
        y = np.flatnonzero(site.expected(site.name_of(line["image_id"]), MASS).any(axis=1))
        box = from_wall((wall[0], y[0], wall[-1] + 1, y[-1] + 1), right=line["side"] == "R", cols=64)
        line.update({"verdict": "mass"} | dict(zip(("x0", "y0", "x1", "y1"), map(str, box), strict=True)))
    review.take_in(fill_in(out, lines), site.archive.uri, reader="R1")
    for name, found in site.outlines().items():
        assert_same_place(found, site.expected(name, MASS))


@pytest.mark.parametrize("with_source", [True, False])
def test_what_is_drawn_in_label_studio_and_answered_there_comes_back(site: Site, with_source: bool) -> None:
    out = site.folder / "review"
    lines = site.export(out, source=site.films if with_source else None, tools=("label-studio",))
    drawn, answers, sizes, names = _answers(site, out, lines)
    tasks = json.loads((out / "label-studio.json").read_text())
    (out / "back.json").write_text(json.dumps(native_tools.label_studio(tasks, drawn, answers=answers, sizes=sizes)))
    taken = review.take_in(out / "queue.csv", site.archive.uri, reader="R1", coco=out / "back.json")
    _check_back(site, taken, names)


@pytest.mark.parametrize("with_source", [True, False])
def test_what_is_drawn_in_cvat_and_answered_there_comes_back(site: Site, with_source: bool) -> None:
    out = site.folder / "review"
    lines = site.export(out, source=site.films if with_source else None, tools=("cvat",))
    drawn, answers, _, names = _answers(site, out, lines)
    (out / "back.xml").write_text(native_tools.cvat((out / "cvat.xml").read_text(), drawn, answers=answers))
    taken = review.take_in(out / "queue.csv", site.archive.uri, reader="R1", coco=out / "back.xml")
    _check_back(site, taken, names)


def _answers(
    site: Site, out: Path, lines: Sheet
) -> tuple[dict[str, list[Any]], dict[str, str], dict[str, tuple[int, int]], dict[str, str]]:
    """Return what is drawn, the answers and the sizes by picture's file: two masses on a, b, c; d has none."""
    files = {line["picture"].rpartition("/")[2]: line for line in lines}
    names = {file: site.name_of(line["image_id"]) for file, line in files.items()}
    drawn, sizes = {}, {}
    for file, line in files.items():
        rows, cols = np.asarray(Image.open(out / line["picture"])).shape
        sizes[file] = (rows, cols)
        geometry = Geometry.from_json(line["geometry"])
        views = [site.expected(names[file], box) for box in (MASS, SECOND)]
        if names[file] != "d":
            drawn[file] = [_around(view, geometry) for view in views]
    answers = {file: "no mass" if name == "d" else "mass" for file, name in names.items()}
    return drawn, answers, sizes, names


def _around(view: NDArray[np.bool_], geometry: Geometry) -> list[float]:
    """Return the box on the picture around a mask of the view, worked out corner by corner."""
    rows, cols = np.flatnonzero(view.any(axis=1)), np.flatnonzero(view.any(axis=0))
    corners = np.array([[cols[0], rows[0]], [cols[-1] + 1, rows[-1] + 1]]) - 0.5
    (x0, y0), (x1, y1) = geometry.to_source(corners) + 0.5
    return [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)]


def _check_back(site: Site, taken: review.VerdictImport, names: Mapping[str, str]) -> None:
    assert (taken.verdicts, taken.num_outlined) == ({"mass": 3, "no mass": 1}, 3)
    assert taken.left_out == {"candidate of the network": 4}
    outlines = site.outlines()
    assert outlines.keys() == {"a", "b", "c"}
    for name, found in outlines.items():
        assert_same_place(found, site.expected(name, MASS, SECOND))
        assert found.sum() == pytest.approx(np.pi / 4 * site.expected(name, MASS, SECOND).sum(), rel=0.12)


def test_the_candidates_of_every_form_lie_on_the_pictures_where_the_view_has_them(site: Site) -> None:
    out = site.folder / "review"
    lines = site.export(out, source=site.films, tools=("label-studio", "cvat"))
    view = np.zeros((96, 64), bool)
    view[60:70, 2:10] = True
    coco = json.loads((out / "candidates.coco.json").read_text())
    tasks = json.loads((out / "label-studio.json").read_text())
    for line, annotation, task in zip(lines, coco["annotations"], tasks, strict=True):
        expected = _around(view, Geometry.from_json(line["geometry"]))
        x, y, width, height = annotation["bbox"]
        assert [x, y, x + width, y + height] == pytest.approx(expected, abs=0.02)
        value = task["predictions"][0]["result"][0]["value"]
        assert [value["x"] * COLS / 100, value["y"] * ROWS / 100] == pytest.approx(expected[:2], abs=0.02)
        assert task["data"]["image"] == f"/data/local-files/?d=review/{line['picture']}"
        assert f'xtl="{expected[0]:.2f}" ytl="{expected[1]:.2f}"' in (out / "cvat.xml").read_text()


def test_files_that_were_moved_and_renamed_are_known_by_the_image_in_them(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    moved = site.folder / "elsewhere"
    shutil.copytree(site.films, moved)  # other times
    (moved / "d.png").unlink()
    (moved / "views.csv").write_text((moved / "views.csv").read_text().replace("d.png", "e.png"))
    (moved / "e.png").write_bytes(encode_png(film("d")))
    lines = site.export(site.folder / "review", source=moved)
    sizes = {
        site.name_of(line["image_id"]): np.asarray(Image.open(site.folder / "review" / line["picture"])).shape
        for line in lines
    }
    assert sizes == {"a": (ROWS, COLS), "b": (ROWS, COLS), "c": (ROWS, COLS), "d": (96, 64)}
    assert "1 images have no file in --source" in caplog.text
    page = "".join(path.read_text() for path in (site.folder / "review" / "studies").glob("*.html"))
    assert page.count("as the archive keeps it: the file was not at hand") == 1


def test_another_file_in_a_known_place_is_not_shown_as_the_image(site: Site) -> None:
    (site.films / "a.png").write_bytes(encode_png(film("a")[10:]))
    lines = site.export(site.folder / "review", source=site.films)
    shapes = {site.name_of(line["image_id"]): Geometry.from_json(line["geometry"]).source_rows for line in lines}
    assert shapes == {"a": 96, "b": ROWS, "c": ROWS, "d": ROWS}


def test_an_export_names_nothing_of_its_source(site: Site) -> None:
    out = site.folder / "review"
    site.export(out, source=site.films, tools=("coco", "label-studio", "cvat"))
    for path in (path for path in out.rglob("*") if path.is_file()):
        for text in ("a.png", "/films", "STUDY-", "views.csv"):
            assert text.encode() not in path.read_bytes()
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert not picture.info
    assert {oct((out / name).stat().st_mode & 0o777) for name in ("queue.csv", "index.html", "label-studio.json")} == {
        "0o600"
    }


def test_a_page_shows_all_views_of_a_study_the_sentence_and_the_boxes_and_runs_no_script(site: Site) -> None:
    out = site.folder / "review"
    lines = site.export(out, source=site.films)
    line = next(line for line in lines if site.name_of(line["image_id"]) == "a")
    assert line["sentence"] == "There is a spiculated mass in the left breast."
    pages = {path: path.read_text() for path in (out / "studies").glob("*.html")}
    (page,) = (text for text in pages.values() if "spiculated" in text)
    assert page.index("R CC") < page.index("L CC")
    assert page.count('<img src="data:image/jpeg;base64,') == page.count("<svg ") == page.count("<rect x=") == 2
    assert f"To be judged: line {lines.index(line) + 2} of the sheet" in page
    assert "&lt;b&gt;quiet" in page
    assert "Research software, not a diagnosis" in page
    for text in (*pages.values(), (out / "index.html").read_text()):
        assert "<script" not in text
        assert "http" not in text.replace('http-equiv="Content-Security-Policy"', "")
        assert "default-src 'none'" in text


def test_a_sheet_whose_geometry_was_changed_is_refused_with_its_lines(site: Site) -> None:
    out = site.folder / "review"
    lines = site.export(out, source=site.films)
    whole = dict(lines[0])
    for wrong in ("{}", "x", whole["geometry"].replace('"scale": 0.3', '"scale": -0.3'), "[1]", "null"):
        fill_in(out, [lines[0] | {"verdict": "mass", "geometry": wrong}, *lines[1:]])
        with pytest.raises(UserError, match=r"queue\.csv line 2, geometry: it is not what was exported"):
            review.take_in(out / "queue.csv", site.archive.uri, reader="R1")
    other = whole["geometry"].replace('"rows": 96', '"rows": 128')
    fill_in(out, [lines[0] | {"verdict": "mass", "geometry": other}, *lines[1:]])
    with pytest.raises(UserError, match=r"queue\.csv line 2, geometry: it is of another picture"):
        review.take_in(out / "queue.csv", site.archive.uri, reader="R1")
    assert not site.outlines()


def test_a_box_beside_the_breast_is_refused(site: Site) -> None:
    """The archive's view ends before the film does; a box beyond it would be lost."""
    out = site.folder / "review"
    lines = site.export(out, source=site.films)
    line = next(line for line in lines if site.name_of(line["image_id"]) == "a")
    line |= {"verdict": "mass", "x0": "236", "y0": "10", "x1": "239", "y1": "12"}
    with pytest.raises(UserError, match="the box: nothing of it is left in the archive's view of the breast"):
        review.take_in(fill_in(out, lines), site.archive.uri, reader="R1")


def test_answers_that_contradict_the_sheet_or_belong_to_no_picture_are_refused(site: Site) -> None:
    out = site.folder / "review"
    lines = site.export(out, source=None, tools=("cvat",))
    fill_in(out, [lines[0] | {"verdict": "no mass"}, *lines[1:]])
    answers = {"0001.png": "mass", "0002.png": "perhaps"}
    back = native_tools.cvat((out / "cvat.xml").read_text(), {}, answers=answers).replace("0003", "0103")
    (out / "back.xml").write_text(back.replace('0103.png" width', '0103.png" width'))
    with pytest.raises(UserError) as caught:
        review.take_in(out / "queue.csv", site.archive.uri, reader="R1", coco=out / "back.xml")
    assert "queue.csv line 2: the verdict is 'no mass', in back.xml it is 'mass'" in str(caught.value)
    assert "back.xml: 'share/0002.png': expected one of ['mass', 'no mass', 'unsure'], found 'perhaps'" in str(
        caught.value
    )


def test_several_layouts_need_one_to_be_said(site: Site) -> None:
    row = site.archive.table("images").to_pylist()[0]
    site.archive.upsert(
        "images", pa.Table.from_pylist([row | {"source": "dicom"}], schema=site.archive.table("images").schema)
    )
    run = RunFolder(site.folder / "other")
    with run.claimed(RunConfig()):
        run.pin(site.archive.uri)
    infer_by_hand(run.round(1).predictions, [_prediction(row["image_id"], row["study_id"], "a")])
    shown = review.Shown(source=SourceFolder(site.films, ""))
    with pytest.raises(UserError, match=r"layouts \['dicom', 'views'\]: say with --layout"):
        review.export(run.path, 1, site.folder / "review", config=QueueConfig(), shown=shown)
