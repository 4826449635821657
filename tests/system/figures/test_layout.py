"""Columns of a given width: nothing of a table is ever cut."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from system.figures.console import console
from system.figures.layout import Column, fitted, unwrapped, wrapped
from system.figures.table import Table

SYSTEMS = [
    Column("system", ("supervised", "control 1", "round 1")),
    Column("0.1 FPPI", ("0.250", "0.260", "0.375"), right=True),
    Column("95 % interval", ("0.200 to 0.300", "0.210 to 0.310", "0.300 to 0.450"), right=True),
]


def test_a_table_that_fits_is_printed_as_it_is() -> None:
    assert fitted(SYSTEMS, 80) == [
        "system      0.1 FPPI   95 % interval",
        "────────────────────────────────────",
        "supervised     0.250  0.200 to 0.300",
        "control 1      0.260  0.210 to 0.310",
        "round 1        0.375  0.300 to 0.450",
    ]


def test_headings_are_wrapped_before_the_table_is_turned() -> None:
    assert fitted(SYSTEMS, 34)[:3] == [
        "               0.1",
        "system        FPPI   95 % interval",
        "──────────────────────────────────",
    ]


def test_a_table_that_is_too_wide_comes_in_parts_each_with_the_names_of_the_rows() -> None:
    compared = Column("vs supervised", ("", "+0.010", "+0.125"), right=True)
    mean = Column("mean", ("0.560", "0.570", "0.580"), right=True)
    assert fitted([*SYSTEMS, compared, mean], 46) == [
        *fitted(SYSTEMS, 46),
        "",
        "system      vs supervised   mean",
        "────────────────────────────────",
        "supervised                 0.560",
        "control 1          +0.010  0.570",
        "round 1            +0.125  0.580",
    ]


def test_where_it_takes_fewer_lines_the_table_is_turned() -> None:
    numbers = (Column(f"measure number {place}", (f"0.{place}5",), right=True) for place in range(3))
    assert fitted([Column("system", ("supervised",)), *numbers], 36) == [
        "system          supervised",
        "──────────────────────────",
        "measure number        0.05",
        "0",
        "measure number        0.15",
        "1",
        "measure number        0.25",
        "2",
    ]


@pytest.mark.parametrize("width", range(30, 181, 7))
@pytest.mark.parametrize("num_rows", [1, 3, 9])
def test_at_every_width_each_cell_is_there_once_and_no_line_is_too_long(width: int, num_rows: int) -> None:
    columns = [
        Column("trial", tuple(f"t{row}" for row in range(num_rows))),
        *(
            Column(f"loss.weight_{place}", tuple(f"0.{row}{place}17" for row in range(num_rows)), right=True)
            for place in range(7)
        ),
    ]
    lines = fitted(columns, width)
    words = " ".join(lines).split()
    assert max(map(cell_len, lines)) <= width
    for column in columns[1:]:
        for cell in column.cells:
            assert words.count(cell) == 1
    assert set(columns[0].cells) <= set(words)


def test_long_texts_are_wrapped_between_words_and_numbers_are_not() -> None:
    text = "Breast Implant Present (0028,1300) is YES, expected a breast without an implant"
    lines = fitted([Column("code", ("view",)), Column("detail", (text,)), Column("files", ("1 200",), right=True)], 60)
    assert max(map(len, lines)) <= 60
    assert "1 200" in lines[2]
    assert " ".join(" ".join(lines[2:]).replace("1 200", "").split()) == f"view {text}"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two three", ["one two", "three"]),
        ("  two words", ["  two", "words"]),
        ("/a/very/long/path", ["/a/very", "/long/p", "ath"]),
        ("左乳见肿块影", ["左乳见", "肿块影"]),
        ("", [""]),
    ],
)
def test_text_is_broken_between_words_and_a_long_word_where_the_line_ends(text: str, lines: list[str]) -> None:
    assert wrapped(text, 7) == lines


def test_later_lines_are_indented() -> None:
    assert wrapped("10:00 read 5 of 9 files", 12, indent="      ") == ["10:00 read 5", "      of 9", "      files"]


def test_unwrapped_rows_are_a_line_each_and_have_no_empty_cell() -> None:
    assert unwrapped([Column("system", ("supervised", "round 1")), Column("gain", ("", "+0.1"), right=True)]) == [
        "system      gain",
        "supervised     –",
        "round 1     +0.1",
    ]


def printed(table: Table, *, width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, force_terminal=True, color_system=None).print(table)
    return file.getvalue().splitlines()


def table() -> Table:
    made = Table("Sensitivity of all systems", note="Resampled by patient, a thousand times over.")
    for column in SYSTEMS:
        made.add_column(column.heading, right=column.right)
    for row in range(3):
        made.add_row(*(column.cells[row] for column in SYSTEMS))
    return made


def test_where_there_is_no_terminal_a_row_is_a_plain_line_whatever_the_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    console().print(table())
    assert capsys.readouterr().out.splitlines() == [
        "Sensitivity of all systems",
        "system      0.1 FPPI   95 % interval",
        "supervised     0.250  0.200 to 0.300",
        "control 1      0.260  0.210 to 0.310",
        "round 1        0.375  0.300 to 0.450",
        "Resampled by patient, a thousand times over.",
    ]


def test_on_a_terminal_title_and_note_are_wrapped_as_well() -> None:
    lines = printed(table(), width=24)
    assert lines[:2] == ["Sensitivity of all", "systems"]
    assert lines[-2:] == ["Resampled by patient, a", "thousand times over."]


def test_a_row_has_a_cell_for_each_column() -> None:
    made = Table()
    made.add_column("one")
    with pytest.raises(ValueError, match="a row of 2 cells in a table of 1 columns"):
        made.add_row("a", "b")
