"""The table that a radiologist fills in."""

from pathlib import Path

import pytest

from system.errors import UserError
from system.review import Judgement, read_lines, read_sheet

HEADER = "image_id,picture,why,verdict,x0,y0,x1,y1\n"


def sheet(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "queue.csv"
    path.write_text(HEADER + "".join(f"{line}\n" for line in lines))
    return path


def test_lines_without_a_verdict_are_not_judged_yet(tmp_path: Path) -> None:
    path = sheet(
        tmp_path,
        "a,1.png,random,mass,1,2,5,9",
        "b,2.png,entropy,,,,,",
        "c,3.png,near p0,no mass,,,,",
        "d,4.png,random,unsure,,,,",
    )
    assert read_sheet(path) == [
        Judgement("a", "1.png", "random", "mass", (1, 2, 5, 9)),
        Judgement("c", "3.png", "near p0", "no mass", None),
        Judgement("d", "4.png", "random", "unsure", None),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "a,1.png,random,cancer,,,,",
            r"queue\.csv line 2, verdict: expected one of \['mass', 'no mass', 'unsure'\], found 'cancer'",
        ),
        ("a,1.png,random,no mass,1,2,3,4", "line 2: a box is drawn, but the verdict is 'no mass'"),
        ("a,1.png,random,mass,1,2,,", "line 2, x1: expected a whole number"),
        ("a,1.png,random,mass,5,2,5,9", "line 2: the box ends where it begins"),
    ],
)
def test_a_mistake_is_named_by_its_line(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_sheet(sheet(tmp_path, line))


def test_an_image_judged_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 3: the image was judged in a line before"):
        read_sheet(sheet(tmp_path, "a,1.png,random,mass,,,,", "a,1.png,random,no mass,,,,"))


def test_several_masses_of_an_image_are_several_lines_each_with_a_box(tmp_path: Path) -> None:
    lines = ("a,1.png,random,mass,1,2,5,9", "b,2.png,random,no mass,,,,", "a,1.png,random,mass,11,2,15,9")
    found = read_sheet(sheet(tmp_path, *lines))
    assert [(line.image_id, line.box_px) for line in found] == [
        ("a", (1, 2, 5, 9)),
        ("b", None),
        ("a", (11, 2, 15, 9)),
    ]


@pytest.mark.parametrize(
    "lines",
    [
        ("a,1.png,random,mass,1,2,5,9", "a,1.png,random,mass,,,,"),
        ("a,1.png,random,mass,,,,", "a,1.png,random,mass,1,2,5,9"),
        ("a,1.png,random,mass,1,2,5,9", "a,1.png,random,unsure,,,,"),
        ("a,1.png,random,no mass,,,,", "a,1.png,random,mass,1,2,5,9"),
    ],
)
def test_a_second_line_of_an_image_that_is_no_further_mass_is_refused(tmp_path: Path, lines: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=r"line 3: the image was judged in a line before: keep one .* each line a box"):
        read_sheet(sheet(tmp_path, *lines))


def test_all_wrong_lines_are_refused_at_once(tmp_path: Path) -> None:
    path = sheet(
        tmp_path,
        "a,1.png,random,cancer,,,,",
        "b,2.png,random,,1,2,3,4",
        "c,3.png,random,mass,1,2,99999999999,٣",
        "d,4.png,random,mass,,,,",
        "d,4.png,random,unsure,,,,",
        "e,4.png,random,mass,,,,",
        "f,5.png",
    )
    with pytest.raises(UserError) as caught:
        read_sheet(path)
    assert [line[:50] for line in sorted(str(caught.value).splitlines())] == [
        "queue.csv line 2, verdict: expected one of ['mass'",
        "queue.csv line 3: a box is drawn, but there is no ",
        "queue.csv line 4, x1: expected a whole number up t",
        "queue.csv line 4, y1: expected a whole number, fou",
        "queue.csv line 6: the image was judged in a line b",
        "queue.csv line 7: another image has the same pictu",
        "queue.csv line 8: 2 fields, the header has 8: quot",
    ]


def test_lines_are_known_also_where_nothing_is_judged(tmp_path: Path) -> None:
    path = sheet(tmp_path, "a,1.png,random,mass,1,2,5,9", "b,2.png,entropy,,,,,")
    assert [(line.image_id, line.verdict, line.line) for line in read_lines(path)] == [("a", "mass", 2), ("b", "", 3)]


def test_a_sheet_comes_back_from_a_spreadsheet_as_it_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = HEADER.title() + "a,1.png,random, MASS ,1.0,2|0,5,9\nb,2.png,entropy,No_Mass,,,,\n"
    (tmp_path / "queue.csv").write_bytes(text.replace(",", ";").replace("|", ",").encode("utf-16"))
    with caplog.at_level("INFO"):
        found = read_sheet(tmp_path / "queue.csv")
    assert found == [
        Judgement("a", "1.png", "random", "mass", (1, 2, 5, 9)),
        Judgement("b", "2.png", "entropy", "no mass", None),
    ]
    assert len(caplog.messages) == 1
