"""What Label Studio and CVAT write in their own forms: each shape is used or named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from system.errors import Mistakes, UserError
from system.review import DrawnFile, Judgement, answered, read_drawn
from system.review.outlines import outline_of
from tests.pipelines.tools.native_tools import cvat_mask

SHAPE = (40, 60)
BOX = {"x": 10.0, "y": 25.0, "width": 20.0, "height": 50.0, "rotation": 0}  # of 60 x 40: x 6 to 18, y 10 to 30


def read(tmp_path: Path, content: str | bytes, *, name: str = "drawn") -> tuple[DrawnFile, Mistakes]:
    path, mistakes = tmp_path / name, Mistakes()
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_drawn(path, mistakes=mistakes), mistakes


def texts(mistakes: Mistakes) -> str:
    with pytest.raises(UserError) as caught:
        mistakes.refuse()
    return str(caught.value)


def region(kind: str = "rectanglelabels", value: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    labels = {kind: ["Mass "]} if kind.endswith("labels") else {}
    about = {"id": "r1", "type": kind, "from_name": "box", "original_width": 60, "original_height": 40}
    return about | {"value": (BOX if value is None else value) | labels} | changes


def task(*regions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    annotation = {"id": 1, "was_cancelled": False, "result": list(regions)}
    return {
        "id": 7,
        "data": {"image": "/data/local-files/?d=r/pictures/0001.png"},
        "annotations": [annotation],
    } | changes


def test_boxes_and_polygons_of_label_studio_are_read_in_pixels(tmp_path: Path) -> None:
    points = {"points": [[10, 25], [30, 25], [30, 75], [10, 75]], "closed": True}
    found, mistakes = read(tmp_path, json.dumps([task(region(), region("polygonlabels", points, score=0.5))]))
    mistakes.refuse()
    box, polygon = found.annotations
    assert box.content == {"bbox": [6, 10, 12, 20]}
    assert (box.category, box.image.shape, box.scored, polygon.scored) == ("mass", SHAPE, False, True)
    mask = outline_of(polygon.content, shape=SHAPE)
    assert mask.sum() == 12 * 20
    assert mask[10:30, 6:18].all()
    assert found.categories == {"mass", "candidate"}  # the exported interface has both


def test_an_answer_of_label_studio_is_a_verdict_and_comments_are_none(tmp_path: Path) -> None:
    choice = region("choices", {"choices": ["no mass"]}, from_name="verdict")
    other = region("choices", {"choices": ["dense"]}, from_name="density")
    comment = region("textarea", {"text": ["see the other view"]})
    found, mistakes = read(tmp_path, json.dumps([task(choice, other, comment)]))
    mistakes.refuse()
    assert found.answers == {"/data/local-files/?d=r/pictures/0001.png": "no mass"}
    assert not found.annotations


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (region("brushlabels", {"format": "rle", "rle": [0, 1]}), "task 7, region r1: brushlabels is not read"),
        (region("ellipselabels", {"x": 1, "y": 1, "radiusX": 2}), "ellipselabels is not read"),
        (region(value=BOX | {"rotation": 12.5}), "the box is turned"),
        (region(image_rotation=90), "its picture was turned"),
        (region(original_width=None), "it has no original_width"),
        (region(value=BOX | {"x": "10"}), "its places are no numbers"),
        (region("polygonlabels", {"points": [1, 2, 3]}), "its points are no list of x and y"),
        (region("rectangle"), "rectangle is not read"),
        (region() | {"value": BOX | {"rectanglelabels": []}}, "it has no label, or several"),
    ],
)
def test_a_region_that_cannot_be_read_is_named(tmp_path: Path, wrong: dict[str, Any], message: str) -> None:
    found, mistakes = read(tmp_path, json.dumps([task(wrong, region())]))
    assert message in texts(mistakes)
    assert len(found.annotations) == 1


def test_tasks_of_several_people_and_other_exports_of_label_studio_are_refused(tmp_path: Path) -> None:
    twice = task(region())
    twice["annotations"] *= 2
    found, mistakes = read(tmp_path, json.dumps([twice, {"image": "a.png", "label": []}, 7]))
    assert texts(mistakes).splitlines() == [
        "drawn: task 7 has 2 annotations, of several people or tries: keep one",
        "drawn: task number 2 has no data.image or no annotations: export the project as JSON",
        "drawn: task number 3 has no data.image or no annotations: export the project as JSON",
    ]
    cancelled = task(region())
    cancelled["annotations"][0]["was_cancelled"] = True
    found, mistakes = read(tmp_path, json.dumps([cancelled]))
    assert not found.annotations
    assert not len(mistakes)


def xml(*shapes: str, labels: str = "<label><name>mass</name></label>", size: str = 'width="60" height="40"') -> str:
    meta = f"<version>1.1</version><meta><task><labels>{labels}</labels></task></meta>"
    image = f'<image id="0" name="0001.png" {size}>{"".join(shapes)}</image>'
    return f'<?xml version="1.0" encoding="utf-8"?><annotations>{meta}{image}</annotations>'


def test_boxes_polygons_ellipses_masks_and_tags_of_cvat_are_read(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random(SHAPE) < 0.4
    attributes = " ".join(f'{name}="{value}"' for name, value in cvat_mask(mask).items())
    found, mistakes = read(
        tmp_path,
        xml(
            '<box label="Mass" xtl="6.0" ytl="10.0" xbr="18.0" ybr="30.0"><attribute name="score">1</attribute></box>',
            '<polygon label="mass" points="6,10;18,10;18,30;6,30"></polygon>',
            '<ellipse label="mass" cx="30" cy="20" rx="20" ry="5" rotation="90"></ellipse>',
            f"<mask {attributes}></mask>",
            '<tag label="unsure" source="manual"></tag>',
        ),
    )
    mistakes.refuse()
    box, polygon, ellipse, drawn = (outline_of(each.content, shape=SHAPE) for each in found.annotations)
    assert box[20, 12]
    assert polygon.sum() == 12 * 20
    assert ellipse.sum() == pytest.approx(np.pi * 100, rel=0.05)
    rows, cols = np.nonzero(ellipse)
    assert (rows.min(), rows.max()) == (0, 39)  # turned by 90 degrees
    assert (cols.min(), cols.max()) == (25, 34)
    np.testing.assert_array_equal(drawn, mask)
    assert found.answers == {"0001.png": "unsure"}
    assert found.categories == {"mass"}


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ('<polyline label="mass" points="1,1;2,2"/>', "shape 1 (polyline) on '0001.png': it is no outline"),
        ('<points label="mass" points="1,1"/>', "it is no outline"),
        ('<box label="mass" xtl="1" ytl="1" xbr="9" ybr="9" rotation="3.5"/>', "the box is turned"),
        ('<box label="mass" xtl="1" ytl="1" xbr="9" ybr="9" rotation="x"/>', "its rotation is no number"),
        ('<box label="mass" xtl="1" ytl="1" xbr="9"/>', "its ybr is no number"),
        ('<polygon label="mass" points="1,1;x"/>', "its points are no list of x and y"),
        ('<mask label="mass" rle="3,3" left="58" top="0" width="3" height="2"/>', "its rle is not of its box"),
        ('<mask label="mass" rle="3,4" left="0" top="0" width="3" height="2"/>', "its rle is not of its box"),
        ('<mask label="mass" rle="" left="0" top="0" width="3" height="2"/>', "its rle is no list"),
        ('<mask label="mass" rle="6" left="-1" top="0" width="3" height="2"/>', "its left is no whole number"),
    ],
)
def test_a_shape_that_cannot_be_read_is_named(tmp_path: Path, shape: str, message: str) -> None:
    found, mistakes = read(tmp_path, xml(shape))
    assert message in texts(mistakes)
    assert not found.annotations


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotations><track label='mass'></track></annotations>", "is of CVAT for video"),
        ("<annotations><image", "is no XML of CVAT"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><annotations>&a;</annotations>', "declares entities"),
        ('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotations>&a;</annotations>', "declares entities"),
        (xml().encode("utf-16"), "is no COCO file|is no XML"),
        (b"PK\x05\x06" + bytes(18), "is a ZIP: unpack it"),
        ("[]", "is no COCO file"),
        ("7", "is no COCO file"),
    ],
)
def test_what_no_tool_writes_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, content)


def test_answers_fill_empty_verdicts_and_leave_the_others() -> None:
    lines = [Judgement("a", "pictures/1.png", "", "", None), Judgement("b", "pictures/2.png", "", "mass", None)]
    drawn = DrawnFile(Path("x"), frozenset(), frozenset(), (), {"2.png": "mass", "r/pictures/1.png": "unsure"})
    mistakes = Mistakes()
    assert [line.verdict for line in answered(lines, drawn, sheet="q", mistakes=mistakes)] == ["unsure", "mass"]
    assert not len(mistakes)
