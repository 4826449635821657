"""CSV files from elsewhere: what is no CSV is refused with its line."""

from pathlib import Path

import pytest

from system.errors import UserError
from system.files.csv_in import read_rows


@pytest.mark.parametrize(("text", "line"), [('"a,b\n1,2\n', 2), ('a,b\n1,"2\n', 2)], ids=["header", "row"])
def test_a_quote_that_never_closes_is_refused_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "labels.csv").write_text(text, encoding="utf8")
    with pytest.raises(UserError, match=rf"labels\.csv line {line}: .*look at its quotes"):
        read_rows(tmp_path / "labels.csv", columns=("a", "b"))
