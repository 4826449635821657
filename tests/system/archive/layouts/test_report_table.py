"""Tables of reports as hospitals export them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from system.archive.layouts import SourceReport
from system.archive.layouts.report_table import read_report_file
from system.errors import UserError

HEADER = "study,version,status,language,description,impression\n"


def test_csv_and_parquet_give_the_same_reports(tmp_path: Path) -> None:
    (tmp_path / "reports.csv").write_text(
        HEADER + '1.2.3,2,corrected,zh,"左乳肿块,边缘毛刺",BI-RADS 5\n', encoding="utf8"
    )
    columns = {"study": ["1.2.3"], "version": [2], "status": ["corrected"], "language": ["zh"]}
    pq.write_table(
        pa.table(columns | {"description": ["左乳肿块,边缘毛刺"], "impression": ["BI-RADS 5"]}),
        tmp_path / "reports.parquet",
    )

    found = read_report_file(tmp_path / "reports.csv")

    assert found == [SourceReport("1.2.3", 2, "corrected", "zh", "左乳肿块,边缘毛刺", "BI-RADS 5")]
    assert read_report_file(tmp_path / "reports.parquet") == found


def test_a_wrong_row_of_a_parquet_file_is_named(tmp_path: Path) -> None:
    columns = {"study": ["1", "2"], "version": [1, 1], "status": ["final", "done"], "language": ["", ""]}
    pq.write_table(
        pa.table(columns | {"description": ["", ""], "impression": ["", None]}), tmp_path / "reports.parquet"
    )

    with pytest.raises(
        UserError,
        match=r"reports\.parquet row 2, status: expected one of \['final', 'corrected', 'withdrawn'\], found 'done'",
    ):
        read_report_file(tmp_path / "reports.parquet")


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_all_wrong_reports_are_refused_at_once(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"reports.{form}"
    rows = [
        ("1", "3000000000", "final"),
        ("2", "1", "done"),
        ("", "1.5", "final"),
        ("4", "9" * 30, "final"),
        ("5", "1", "final"),
    ]
    if form == "csv":
        path.write_text(HEADER + "".join(f"{study},{version},{status},en,,\n" for study, version, status in rows))
    else:
        columns = dict(zip(("study", "version", "status"), map(list, zip(*rows, strict=True)), strict=True))
        empty = [""] * len(rows)
        pq.write_table(pa.table(columns | {"language": empty, "description": empty, "impression": empty}), path)
    unit, first = ("line", 2) if form == "csv" else ("row", 1)
    with pytest.raises(UserError) as caught:
        read_report_file(path)
    assert [line[:60] for line in sorted(str(caught.value).splitlines())] == [
        f"{path.name} {unit} {first + place}{text}"[:60]
        for place, text in [
            (0, ", version: expected a whole number up to 2147483647, found"),
            (1, ", status: expected one of ['final', 'corrected', 'withdrawn']"),
            (2, ", version: expected a whole number, found '1.5'"),
            (2, ": study is empty: give the StudyInstanceUID"),
            (3, ", version: expected a whole number up to 2147483647, found"),
        ]
    ]


def test_a_long_report_costs_no_other_report(tmp_path: Path) -> None:
    long = "left breast: no mass. " * 20_000
    (tmp_path / "reports.csv").write_text(HEADER + f'1,1,final,en,"{long}",\n2,1,final,en,mass,\n')
    assert [len(report.description) for report in read_report_file(tmp_path / "reports.csv")] == [len(long.strip()), 4]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("reports.txt", b"", r"reports are read from \.csv or \.parquet"),
        ("reports.parquet", b"PAR1", r"is no Parquet file that can be read"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(UserError, match=message):
        read_report_file(tmp_path / name)


def reports_in(tmp_path: Path, *rows: str, codec: str = "utf8", separator: str = ",") -> list[SourceReport]:
    text = (HEADER + "".join(f"{row}\n" for row in rows)).replace(",", separator)
    (tmp_path / "reports.csv").write_bytes(text.encode(codec))
    return read_report_file(tmp_path / "reports.csv")


@pytest.mark.parametrize("codec", ["gbk", "gb18030", "utf-16", "utf-8-sig"])
def test_a_hospitals_export_is_read_in_the_form_it_has_and_that_is_said_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, codec: str
) -> None:
    with caplog.at_level("INFO"):
        found = reports_in(tmp_path, "1.2,1.0, FINAL ,zh-CN,左乳外上象限肿块,左侧BI-RADS 5", codec=codec, separator=";")
    assert found == [SourceReport("1.2", 1, "final", "zh", "左乳外上象限肿块", "左侧BI-RADS 5")]
    (said,) = caplog.messages
    for part in ("with semicolons", "version: whole numbers written with .0", "status: in other words", "language: in"):
        assert part in said


@pytest.mark.parametrize(
    ("text", "code"),
    [("English", "en"), ("en-GB", "en"), ("中文", "zh"), ("zh_Hans_CN", "zh"), ("chinese", "zh"), ("pt_BR", "pt")],
)
def test_a_language_is_known_by_its_names(tmp_path: Path, text: str, code: str) -> None:
    assert reports_in(tmp_path, f"1.2,1,final,{text},a,b")[0].language == code


@pytest.mark.parametrize("text", ["klingon", "e", "12", "en/zh"])
def test_what_is_no_language_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"line 2, language: expected the code of a language \(en, pt, zh, mixed\)"):
        reports_in(tmp_path, f"1.2,1,final,{text},a,b")


@pytest.mark.parametrize("study", ["1.2826E+60", "1,2826E+60", "12E60"])
def test_a_uid_that_a_spreadsheet_rounded_is_refused_and_not_quoted(tmp_path: Path, study: str) -> None:
    with pytest.raises(UserError, match="line 2, study: a spreadsheet has rounded the UID") as caught:
        reports_in(tmp_path, f'"{study}",1,final,en,a,b')
    assert study not in str(caught.value)


@pytest.mark.parametrize("second", ["1.2,1,final,en,mass,", "1.2,1,corrected,en,none,", "1.2,1.0,final,zh,none,"])
def test_two_reports_for_one_study_and_version_are_refused(tmp_path: Path, second: str) -> None:
    with pytest.raises(UserError, match=r"line 4: another report than in line 2 for the same study and version"):
        reports_in(tmp_path, "1.2,1,final,en,none,", "1.2,2,final,en,mass,", second)


def test_what_is_odd_is_taken_and_warned_of_with_its_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = reports_in(
        tmp_path,
        "1.2,1,final,de,a,",
        "1.2,1,final,de,a,",
        "DOE^JANE,1,final,en,a,",
        "1.4,1,final,en,,",
        "1.5,1,corrected,en,,",
        "1.6,1,withdrawn,en,,",
    )
    assert len(found) == 6
    assert sorted(message.removeprefix("reports.csv: ") for message in caplog.messages) == [
        "the language is 'de': scrubbing and keyword rules are made for en, pt, zh (2 times: line 2, line 3)",
        "the report has no text (2 times: line 5, line 6)",
        "the row is there twice, word for word (line 3)",
        "the study is no DICOM UID (digits and points): it will match no DICOM image (line 4)",
    ]
