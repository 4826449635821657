"""CSV files from elsewhere: what is no CSV is refused with its lines, all at once."""

import csv
from pathlib import Path

import pytest

from system.errors import UserError
from system.files.csv_in import read_records, read_rows
from system.files.row import Row, parse_number, to_count, to_number


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("text", "line", "begins"),
    [('"a,b\n1,2\n', 2, 1), ('a,b\n1,"2\n', 2, 2), ('a,b\n1,2\n3,"4\n5,6\n7,8\n', 5, 3), ('a,b\n1,"2"3\n', 2, 2)],
    ids=["header", "row", "row before others", "behind a quote"],
)
def test_a_quote_that_never_closes_is_refused_with_its_lines(tmp_path: Path, text: str, line: int, begins: int) -> None:
    message = rf"labels\.csv line {line}: .* in the row that begins in line {begins}; look at its quotes"
    with pytest.raises(UserError, match=message):
        read_rows(write(tmp_path, text), columns=("a", "b"))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a,b\n1,2\n3,\x81\n5,6\n", 3),
        ("a,b\n1,乳\n".encode("gb18030"), 2),
        (b"a,b\n" + 3000 * b"1,2\n" + b"3,\xff\xfe\xfd\xfc\n", 3002),
    ],
    ids=["a control byte", "one character", "far on"],
)
def test_an_encoding_that_is_not_sure_is_refused_with_its_line(tmp_path: Path, content: bytes, line: int) -> None:
    with pytest.raises(UserError, match=rf"labels\.csv line {line} is not UTF-8, .*: save it as UTF-8"):
        read_rows(write(tmp_path, content), columns=("a", "b"))


def test_ragged_rows_and_nul_characters_are_refused_together(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n1,2\n1\n1,2,3\n\n,\n1,\0\n7,8\n")
    with pytest.raises(UserError) as caught:
        read_rows(path, columns=("a", "b"))
    assert str(caught.value).splitlines() == [
        "labels.csv line 3: 1 fields, the header has 2: quote fields that contain the delimiter",
        "labels.csv line 4: 3 fields, the header has 2: quote fields that contain the delimiter",
        "labels.csv line 7: a field holds a NUL character: save the file as text, in UTF-8",
    ]


def test_utf_16_without_a_mark_is_read(tmp_path: Path) -> None:
    assert read_rows(write(tmp_path, "a,b\n1,2\n".encode("utf-16-le")), columns=("a", "b")) == [
        (2, {"a": "1", "b": "2"})
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a;Image ID;b\n1,5;x;2\n", "with semicolons between its fields; names of columns in other capitals"),
        ("\ufeffa\tIMAGE_ID\tb\n1,5\tx\t2\n", "with tabs between its fields; names of columns"),
        ("a|image_id|b\n1,5|x|2\n", "with bars between its fields"),
        ("sep=;\na;image_id;b\n1,5;x;2\n", "with semicolons between its fields"),
        ('a,b, image_id \n"1,5",2,x\n', ""),
    ],
    ids=["semicolons", "tabs", "bars", "as Excel names them", "commas"],
)
def test_separators_and_capitals_of_columns_are_recognised_and_said_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, said: str
) -> None:
    with caplog.at_level("INFO"):
        ((line, row),) = read_rows(write(tmp_path, text), columns=("image_id", "a", "b"))
    assert (line, row) == (text.count("\n"), {"a": "1,5", "image_id": "x", "b": "2"})
    assert len(caplog.messages) == bool(said)
    assert f"labels.csv: read {said}" in "".join(caplog.messages) if said else not caplog.messages


def test_a_decimal_comma_is_one_only_where_commas_separate_no_fields(tmp_path: Path) -> None:
    def record(row: Row) -> tuple[int, float]:
        return row.count("n"), row.number("x")

    for separator in ";\t|":
        path = write(tmp_path, "n,x\n1_0,0_951\n2.0,-2_5\n".replace(",", separator).replace("_", ","))
        assert read_records(path, of=record, columns=("n", "x")) == [(1, 0.951), (2, -2.5)]
    with pytest.raises(UserError) as caught:
        read_records(write(tmp_path, 'n,x\n"1,0","0,951"\n'), of=record, columns=("n", "x"))
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("text", ["1,234", "12,000", "-1,234"])
def test_what_may_be_a_thousand_is_no_decimal(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, f"x;y\n{text};1\n")
    with pytest.raises(UserError, match=r"line 2, x: expected a number, found"):
        read_records(path, of=lambda row: row.number("x"), columns=("x",))
    with pytest.raises(UserError, match=r"line 2, x: expected a whole number, found"):
        read_records(path, of=lambda row: row.count("x"), columns=("x",))


def test_a_first_line_that_is_no_header_is_not_quoted_and_a_header_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none of its 2 fields is a name that is known") as caught:
        read_rows(write(tmp_path, "DOE^JANE,1.2\n"), columns=("study", "version"))
    assert "DOE" not in str(caught.value)
    with pytest.raises(UserError, match="the columns are study, vers: rename or add those that are missing"):
        read_rows(write(tmp_path, "study,vers\n"), columns=("study", "version"))


def test_all_columns_that_are_missing_or_doubled_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_rows(write(tmp_path, "a, b ,a,d,d\n1,2,3,4,5\n"), columns=("a", "b", "c"), optional=("d", "e"))
    assert str(caught.value).splitlines() == [
        "labels.csv line 1: column 'a' occurs 2 times, expected once",
        "labels.csv line 1: column 'c' occurs 0 times, expected once",
        "labels.csv line 1: column 'd' occurs 2 times, expected once",
        "labels.csv line 1: the columns are a, b, a, d, d: rename or add those that are missing",
    ]


def test_an_empty_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 1: column 'a' occurs 0 times"):
        read_rows(write(tmp_path, ""), columns=("a",))
    with pytest.raises(UserError, match="the file is empty, or begins with an empty line"):
        read_rows(write(tmp_path, "\na\n1\n"), columns=("a",))
    with pytest.raises(UserError, match="is a folder: put a CSV file in its place"):
        read_rows(tmp_path, columns=("a",))


def test_a_field_may_be_long_and_the_limit_of_the_csv_module_stays(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    rows = read_rows(write(tmp_path, f"a,b\n1,{'x' * 1_000_000}\n3,4\n"), columns=("a", "b"))
    assert [(line, len(row["b"])) for line, row in rows] == [(2, 1_000_000), (3, 1)]
    assert csv.field_size_limit() == before


def test_the_mistakes_of_a_files_rows_and_of_their_values_are_refused_together(tmp_path: Path) -> None:
    text = f"file,n,x,kind\na,1,2.5,s\nb,-1,1e99,t\nc,２,inf,s\n\nd\n{'e' * 300},1,１,s\n"

    def record(row: Row) -> tuple[str, int, float, str]:
        return row.path("file"), row.count("n", high=9), row.number("x", high=10), row.one_of("kind", ("s",))

    with pytest.raises(UserError) as caught:
        read_records(write(tmp_path, text), of=record, columns=("file", "n", "x", "kind"))
    assert sorted(str(caught.value).splitlines()) == [
        "labels.csv line 3, kind: expected one of ['s'], found 't'",
        "labels.csv line 3, n: expected a whole number, found '-1'",
        "labels.csv line 3, x: expected a number from -1e+12 to 10, found '1e99'",
        "labels.csv line 4, n: expected a whole number, found '２'",
        "labels.csv line 4, x: expected a number, found 'inf'",
        "labels.csv line 6: 1 fields, the header has 4: quote fields that contain the delimiter",
        "labels.csv line 7, file: no file has a name of 300 bytes: give its path in the source folder",
        "labels.csv line 7, x: expected a number, found '１'",
    ]
    (found,) = read_records(
        write(tmp_path, "file,n,x,kind\na,1,2.5,s\n"), of=record, columns=("file", "n", "x", "kind")
    )
    assert found == ("a", 1, 2.5, "s")


@pytest.mark.parametrize("text", ["2147483648", "3000000000", "1" + 30 * "0", 5000 * "9"])
def test_a_count_that_no_table_can_keep_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="row 2: expected a whole number up to 2147483647"):
        to_count(text, where="row 2")


def test_counts_up_to_the_largest_are_taken() -> None:
    assert to_count("2147483647", where="row 2") == 2**31 - 1
    assert to_count(30 * "0" + "7", where="row 2") == 7


def test_a_count_has_the_range_of_its_column() -> None:
    assert to_count("3", where="row 2", low=3, high=3) == 3
    for text, message in (("2", "from 3 on, found '2'"), ("4", "up to 3, found '4'")):
        with pytest.raises(UserError, match=message):
            to_count(text, where="row 2", low=3, high=3)


@pytest.mark.parametrize(
    "text", ["", "nan", "inf", "-Infinity", "1_0", "１", "١", "0x1", "1,5", "1e999", " 1", "1" * 200]
)
def test_a_number_has_ascii_digits_and_is_finite(text: str) -> None:
    with pytest.raises(UserError, match="row 2: expected a number"):
        to_number(text, where="row 2")


def test_numbers_are_taken_as_programs_write_them() -> None:
    assert [parse_number(text) for text in ("1", "-1.5", "+2.", ".25", "1e-3", "2E+4")] == [
        1,
        -1.5,
        2,
        0.25,
        0.001,
        2e4,
    ]
