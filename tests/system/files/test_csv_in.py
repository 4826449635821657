"""CSV files from elsewhere: what is no CSV is refused with its line."""

from pathlib import Path

import pytest

from system.errors import UserError
from system.files.csv_in import read_rows, to_count


@pytest.mark.parametrize(("text", "line"), [('"a,b\n1,2\n', 2), ('a,b\n1,"2\n', 2)], ids=["header", "row"])
def test_a_quote_that_never_closes_is_refused_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "labels.csv").write_text(text, encoding="utf8")
    with pytest.raises(UserError, match=rf"labels\.csv line {line}: .*look at its quotes"):
        read_rows(tmp_path / "labels.csv", columns=("a", "b"))


@pytest.mark.parametrize("text", ["2147483648", "3000000000", "1" + 30 * "0", 5000 * "9"])
def test_a_count_that_no_table_can_keep_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="row 2: expected a whole number up to 2147483647"):
        to_count(text, where="row 2")


def test_counts_up_to_the_largest_are_taken() -> None:
    assert to_count("2147483647", where="row 2") == 2**31 - 1
    assert to_count(30 * "0" + "7", where="row 2") == 7
