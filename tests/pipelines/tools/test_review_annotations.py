"""Outlines that come back from annotation tools: each one is used to the pixel or named, none is invented."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.tools import review_import
from system.errors import UserError
from tests.pipelines.tools import annotation_tools as tools
from tests.pipelines.tools.annotation_tools import Content, Shapes, Tool, pixels_in, runs_of
from tests.pipelines.tools.exported_queue import COLS, IMAGES, ROWS, SQUARE, TRIANGLE, Exported


@pytest.fixture
def exported(tmp_path: Path) -> Exported:
    return Exported(tmp_path)


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A queue whose archive never takes a verdict."""
    return Exported(tmp_path_factory.mktemp("refusing"))


TOOLS: tuple[Tool, ...] = (
    tools.cvat,
    tools.cvat_masks,
    tools.label_studio,
    tools.label_studio_local,
    tools.fiftyone,
    tools.labelme,
    tools.coco_annotator,
    tools.make_sense,
)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.__name__)
def test_a_tool_gives_back_what_was_drawn_and_nothing_else(exported: Exported, tool: Tool) -> None:
    """a and d are outlined, in b the candidate is the only thing, c has no mass and its candidate is left as it is."""
    drawn: Shapes = {exported.picture["a"]: [[TRIANGLE], [SQUARE]], exported.picture["d"]: [[SQUARE]]}
    taken = exported.take_in(tool(exported.page, drawn), a="mass", b="mass", c="no mass", d="mass")
    assert (taken.verdicts, taken.num_outlined) == ({"mass": 3, "no mass": 1}, 2)
    outlines = exported.outlines()
    assert outlines.keys() == {"a", "d"}
    np.testing.assert_array_equal(outlines["a"], pixels_in([TRIANGLE, SQUARE], shape=(ROWS, COLS)))
    np.testing.assert_array_equal(outlines["d"], pixels_in([SQUARE], shape=(ROWS, COLS)))


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.__name__)
def test_a_tool_that_gives_back_the_candidates_alone_brings_no_outline(exported: Exported, tool: Tool) -> None:
    taken = exported.take_in(tool(exported.page, {}), a="mass", b="no mass", c="unsure")
    assert taken.num_outlined == 0
    assert set(taken.left_out) <= {"candidate of the network"}


def test_several_polygons_and_places_between_pixels_come_back_from_cvat(exported: Exported) -> None:
    parts = [[30.25, 30.75, 41.5, 30.1, 36.37, 44.83], [60.0, 5.0, 70.0, 5.0, 70.0, 9.0]]
    exported.take_in(tools.cvat(exported.page, {exported.picture["b"]: [parts]}), b="mass")
    np.testing.assert_array_equal(exported.outlines()["b"], pixels_in(parts, shape=(ROWS, COLS)))


def test_a_candidate_whose_category_becomes_mass_is_taken_over(exported: Exported) -> None:
    content = tools.fiftyone(exported.page, {})
    content["annotations"][0] |= {"category_id": 1}  # in FiftyOne the score stays
    taken = exported.take_in(content, a="mass", b="mass", c="mass")
    assert (taken.num_outlined, taken.left_out) == (1, {"candidate of the network": 2})
    (mask,) = exported.outlines().values()
    assert mask[30, 16]
    assert not mask[:20].any()
    assert not mask[40:].any()


def test_a_candidate_that_was_corrected_is_an_outline_whatever_its_category_and_score(exported: Exported) -> None:
    moved, outlined, untouched = (dict(each) for each in exported.page["annotations"])
    moved["bbox"] = [50, 20, 12, 20]
    outlined["segmentation"] = [[10, 30, 16, 20, 22, 30, 16, 40]]  # in the candidate's box
    by_id = {exported.ids[name]: name for name in IMAGES}
    content = exported.page | {"annotations": [moved, outlined, untouched]}
    taken = exported.take_in(content, a="mass", b="mass", c="mass")
    assert (taken.num_outlined, taken.left_out) == (2, {"candidate of the network": 1})
    outlines = exported.outlines()
    assert outlines[by_id[moved["image_id"]]][30, 56]
    assert not outlines[by_id[moved["image_id"]]][:, :50].any()
    assert not outlines[by_id[outlined["image_id"]]][21, 11]


def test_the_boxes_of_an_export_that_called_them_masses_are_left_out_when_their_scores_are_gone(
    exported: Exported,
) -> None:
    old = exported.page | {"categories": [{"id": 1, "name": "mass"}]}
    old["annotations"] = [each | {"category_id": 1} for each in exported.page["annotations"]]
    (exported.out / "candidates.coco.json").write_text(json.dumps(old))
    without = [{key: value for key, value in each.items() if key != "score"} for each in old["annotations"]]
    taken = exported.take_in(old | {"annotations": [*without, exported.mass("a")]}, a="mass", b="mass", c="mass")
    assert (taken.num_outlined, taken.left_out) == (1, {"candidate of the network": 3})
    np.testing.assert_array_equal(exported.outlines()["a"], pixels_in([SQUARE], shape=(ROWS, COLS)))


def test_a_tool_with_one_label_for_all_is_refused_with_every_box_that_may_be_untouched(refusing: Exported) -> None:
    content = tools.cvat(refusing.page, {refusing.picture["a"]: [[SQUARE]]})
    content["categories"] = [{"id": 1, "name": "mass"}]
    content["annotations"] = [each | {"category_id": 1} for each in content["annotations"]]
    with pytest.raises(UserError, match="has no category 'candidate'") as caught:
        refusing.take_in(content, a="mass", b="mass", c="mass")
    lines = str(caught.value).splitlines()
    assert [line[:29] for line in lines] == [f"edited.json: annotation {number}: it" for number in (1, 2, 3)]
    assert not refusing.outlines()


def test_without_the_exported_file_a_box_that_nothing_marks_is_refused(exported: Exported) -> None:
    (exported.out / "candidates.coco.json").unlink()
    bare = {"images": exported.page["images"], "categories": [{"id": 1, "name": "mass"}]}
    box = exported.mass("a", 1, segmentation=[])
    with pytest.raises(
        UserError, match=r"edited\.json: annotation 1: it is a box, .* put the exported candidates\.coco"
    ):
        exported.take_in(bare | {"annotations": [box, exported.mass("a", 2)]}, a="mass")
    taken = exported.take_in(bare | {"annotations": [exported.mass("a", 2)]}, a="mass")
    assert taken.num_outlined == 1


def test_without_the_exported_file_the_category_still_tells_whose_a_box_is(exported: Exported) -> None:
    (exported.out / "candidates.coco.json").unlink()
    content = tools.cvat(exported.page, {})
    content["annotations"].append(exported.mass("d", 9, segmentation=[], bbox=[30, 30, 20, 10]))
    taken = exported.take_in(content, a="mass", d="mass")
    assert (taken.num_outlined, taken.left_out) == (1, {"candidate of the network": 3})
    assert exported.outlines()["d"].sum() == pytest.approx(np.pi / 4 * 200, rel=0.1)
    content["annotations"][0] |= {"segmentation": [[10, 30, 16, 20, 22, 30, 16, 40]]}
    with pytest.raises(UserError, match="annotation 1: it may be a candidate that was corrected"):
        exported.take_in(content, a="mass", b="mass", c="mass", d="mass")


def test_the_exported_file_edited_in_place_is_read_by_category(exported: Exported) -> None:
    path = exported.out / "candidates.coco.json"
    path.write_text(json.dumps(exported.with_drawn(exported.mass("a"))))
    sheet = exported.fill_in(a="mass", b="mass")
    taken = review_import.take_in(sheet, exported.archive.uri, reader="R1", coco=path)
    assert (taken.num_outlined, taken.left_out) == (1, {"candidate of the network": 3})


def test_other_categories_are_counted_and_never_mass(exported: Exported) -> None:
    content = exported.with_drawn(exported.mass("a"), exported.mass("a", 101, category_id="7", segmentation=[TRIANGLE]))
    content["categories"] = [*exported.page["categories"], {"id": "7", "name": "Calcification "}]
    taken = exported.take_in(content, a="mass")
    assert taken.left_out == {"candidate of the network": 3, "calcification": 1}
    assert exported.outlines()["a"].sum() == 100


def test_a_file_without_a_category_of_masses_is_refused(refusing: Exported) -> None:
    content = refusing.page | {"categories": [{"id": 1, "name": "Tumour"}], "annotations": [refusing.mass("a")]}
    with pytest.raises(
        UserError, match=r"has the categories \['tumour'\]: outline masses in one that is called 'mass'"
    ):
        refusing.take_in(content, a="mass")


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
def test_a_mask_comes_back_to_the_pixel(exported: Exported, compressed: bool) -> None:
    mask = np.random.default_rng(0).random((ROWS, COLS)) < 0.3
    runs = runs_of(mask)
    if compressed:
        runs["counts"] = _compressed(runs["counts"])
    exported.take_in(exported.with_drawn(exported.mass("a", segmentation=runs, iscrowd=1)), a="mass")
    np.testing.assert_array_equal(exported.outlines()["a"], mask)


def _compressed(counts: list[int]) -> str:
    """Return the runs as text: from the fourth on as difference to the run before the last; five bits a character."""
    text = ""
    for place, count in enumerate(counts):
        rest = count - counts[place - 2] if place > 2 else count
        while True:
            bits, rest = rest % 32, rest // 32
            more = rest != (-1 if bits & 16 else 0)
            text += chr(48 + bits + 32 * more)
            if not more:
                break
    return text


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "outside": ({"segmentation": [[100, 10, 120, 10, 120, 20]]}, "covers no pixel of the picture"),
    "far outside": ({"segmentation": [[1, 1, 1e9, 1, 9, 9]]}, "lies far outside"),
    "not a number": ({"segmentation": [[1, 1, float("nan"), 1, 9, 9]]}, "places are no list of numbers"),
    "text": ({"segmentation": [["a", "b", "c", "d", "e", "f"]]}, "places are no list of numbers"),
    "line": ({"segmentation": [[1, 1, 9, 9]]}, "of 4 numbers encloses nothing"),
    "odd": ({"segmentation": [[1, 1, 9, 1, 9, 9, 1]]}, "of 7 numbers encloses nothing"),
    "one part of two": ({"segmentation": [SQUARE, [1, 1, 9, 9]]}, "of 4 numbers encloses nothing"),
    "nothing": ({"segmentation": [], "bbox": []}, "neither an outline nor a box"),
    "no box": ({"segmentation": None, "bbox": None}, "neither an outline nor a box"),
    "flat box": ({"segmentation": [], "bbox": [5, 5, 0, 9]}, "box has no area"),
    "short box": ({"segmentation": [], "bbox": [5, 5, 9]}, "box has 3 numbers"),
    "words": ({"segmentation": "all of it"}, "neither a list of polygons nor a mask"),
    "turned mask": ({"segmentation": {"counts": [ROWS * COLS], "size": [COLS, ROWS]}}, r"has the size \[96, 64\]"),
    "short mask": ({"segmentation": {"counts": [5, 5], "size": [ROWS, COLS]}}, "runs of its mask have 10 pixels"),
    "cut mask": ({"segmentation": {"counts": "o", "size": [ROWS, COLS]}}, "counts of its mask are cut off"),
    "no mask": ({"segmentation": {"counts": [-1, 3], "size": [ROWS, COLS]}}, "are no runs of pixels"),
    "empty mask": ({"segmentation": {"counts": [ROWS * COLS], "size": [ROWS, COLS]}}, "covers no pixel"),
    "image": ({"image_id": 77}, "its image_id 77 is none of the file's images"),
    "category": ({"category_id": 9}, "its category_id 9 is none of the file's categories"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_outline_is_refused_with_its_id(refusing: Exported, changes: dict[str, Any], message: str) -> None:
    content = refusing.with_drawn(refusing.mass("a"), refusing.mass("b", 101, **changes))
    with pytest.raises(UserError, match=rf"^edited\.json: annotation 101: .*{message}") as caught:
        refusing.take_in(content, a="mass", b="mass")
    assert "\n" not in str(caught.value)
    assert not refusing.outlines()


def test_an_outline_on_a_picture_without_a_mass_is_refused_with_both_places(refusing: Exported) -> None:
    content = refusing.with_drawn(refusing.mass("a", 100), refusing.mass("d", 101), refusing.mass("d", 102))
    with pytest.raises(UserError) as caught:
        refusing.take_in(content, a="no mass")
    lines = str(caught.value).splitlines()
    place = {line["image_id"]: number for number, line in enumerate(refusing.lines, start=2)}
    assert [line.partition(": it outlines")[0] for line in lines] == [
        f"edited.json: annotation {number}" for number in (100, 101, 102)
    ]
    assert f"the verdict 'no mass' in queue.csv line {place['a']}" in lines[0]
    assert f"no verdict in queue.csv line {place['d']}" in lines[1]


def test_pictures_that_the_queue_does_not_have_are_named(refusing: Exported) -> None:
    content = refusing.with_drawn(
        refusing.mass("a"), refusing.mass("a", 101, image_id=50), refusing.mass("b", 102, image_id=51)
    )
    content["images"] = [
        *refusing.page["images"],
        {"id": 50, "file_name": "IMG_1.png"},
        {"id": 51, "file_name": "x/0009.png"},
    ]
    with pytest.raises(UserError) as caught:
        refusing.take_in(content, a="mass", b="mass")
    first, second = str(caught.value).splitlines()
    assert first.startswith("edited.json: annotation 101: its picture 'IMG_1.png' is none of queue.csv")
    assert second.startswith("edited.json: annotation 102: its picture 'x/0009.png' is none of queue.csv")


@pytest.mark.parametrize(
    ("size", "taken"),
    [
        ({}, True),
        ({"width": None, "height": None}, True),
        ({"width": 0, "height": 0}, True),
        ({"width": "96", "height": "64"}, True),
        ({"width": ROWS, "height": COLS}, False),
        ({"width": 2 * COLS, "height": 2 * ROWS}, False),
    ],
)
def test_a_size_may_be_absent_but_not_another(exported: Exported, size: dict[str, Any], taken: bool) -> None:
    content = exported.with_drawn(exported.mass("a"))
    names = {image["id"]: image["file_name"] for image in content["images"]}
    content["images"] = [{"id": number, "file_name": name} | size for number, name in names.items()]
    if taken:
        assert exported.take_in(content, a="mass").num_outlined == 1
        return
    with pytest.raises(UserError, match=r"annotation 100: its picture has \d+ x \d+ px .* was exported with 96 x 64"):
        exported.take_in(content, a="mass")


def test_a_box_of_the_sheet_away_from_the_outlines_is_a_second_mass_and_refused(exported: Exported) -> None:
    content = exported.with_drawn(exported.mass("a"))
    assert exported.take_in(content, a=("mass", 28, 28, 42, 42)).num_outlined == 1
    assert exported.outlines()["a"].sum() == 100  # what was drawn comes before the box
    with pytest.raises(
        UserError, match=r"queue\.csv line \d: edited\.json has outlines on this picture, but none where"
    ):
        exported.take_in(content, a=("mass", 60, 28, 70, 42))


@pytest.mark.parametrize("box", [(500, 500, 600, 600), (90, 10, 97, 20), (10, 60, 20, 65)])
def test_a_box_of_the_sheet_beyond_the_picture_is_refused_with_its_line(
    refusing: Exported, box: tuple[int, ...]
) -> None:
    sheet = refusing.fill_in(a=("mass", *box))
    with pytest.raises(UserError, match=r"queue\.csv line \d: the box ends at .* the picture has 96 x 64 px"):
        review_import.take_in(sheet, refusing.archive.uri, reader="R1")


def test_a_box_drawn_to_the_left_and_upwards_is_the_same_box(exported: Exported) -> None:
    """labelme2coco writes a rectangle's second corner minus its first one."""
    content = exported.with_drawn(exported.mass("d", segmentation=[], bbox=[50, 40, -20, -10]))
    exported.take_in(content, d="mass")
    rows, cols = np.nonzero(exported.outlines()["d"])
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (30, 39, 30, 49)


def _not_json(out: Path) -> None:
    (out / "edited.json").write_bytes(b"\xff\xfe\x00")


def _no_annotations(out: Path) -> None:
    (out / "edited.json").write_text('{"images": []}')


def _deep(out: Path) -> None:
    (out / "edited.json").write_text("[" * 100_000)


@pytest.mark.parametrize("write", [_not_json, _no_annotations, _deep])
def test_what_is_no_coco_file_is_refused(refusing: Exported, write: Callable[[Path], None]) -> None:
    write(refusing.out)
    sheet = refusing.fill_in(a="mass")
    with pytest.raises(UserError, match=r"^edited\.json is no COCO file"):
        review_import.take_in(sheet, refusing.archive.uri, reader="R1", coco=refusing.out / "edited.json")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"images": [{"id": 1}], "annotations": []}, "image number 1 has no id or no file_name"),
        (
            {"images": [{"id": 1, "file_name": "a"}, {"id": "1", "file_name": "b"}], "annotations": []},
            "image number 2 has",
        ),
        ({"images": [], "annotations": [7]}, "annotation number 1 is no object"),
        ({"images": [], "annotations": [{"image_id": 1}]}, "annotation number 1, which has no id: its image_id 1 is"),
        ({"images": [], "annotations": [], "categories": [{"name": 3}]}, "a category has no id or no name"),
    ],
)
def test_parts_that_belong_to_nothing_are_named(refusing: Exported, broken: Content, message: str) -> None:
    with pytest.raises(UserError, match=rf"^edited\.json: {message}"):
        refusing.take_in(broken, a="mass")
