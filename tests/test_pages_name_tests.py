"""Every test that a page names is there, in the file that the page names."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = {name: (ROOT / name).read_text(encoding="utf8") for name in ("SECURITY.md", "docs/robustness.md")}
TESTS = [
    pytest.param(file, name.removesuffix(" (slow)"), name.endswith(" (slow)"), id=f"{page} {name}")
    for page, text in PAGES.items()
    for file, names in re.findall(r"`(tests/[\w/]+\.py)`: ((?:test_\w+(?: \(slow\))?(?:, )?)+)", text)
    for name in names.rstrip(", ").split(", ")
]


@pytest.mark.parametrize(("file", "name", "slow"), TESTS)
def test_a_test_that_a_page_names_is_there(file: str, name: str, slow: bool) -> None:
    before, defined, _ = (ROOT / file).read_text(encoding="utf8").partition(f"\ndef {name}(")
    assert defined, f"{file} has no {name}"
    decorators = before.rpartition("\n\n")[2].splitlines()
    of_module = re.search(r"^pytestmark = [^=]*pytest\.mark\.slow", before, re.MULTILINE)
    assert ("@pytest.mark.slow" in decorators or bool(of_module)) == slow


@pytest.mark.parametrize(("page", "at_least"), [("SECURITY.md", 40), ("docs/robustness.md", 60)])
def test_no_name_of_a_test_on_a_page_is_overlooked(page: str, at_least: int) -> None:
    named = re.findall(r"\btest_\w+(?!\w*\.py)(?!/)", re.sub(r"`[^`]*`", "", PAGES[page]))
    assert len([each for each in TESTS if str(each.id).startswith(page)]) == len(named) > at_least


def test_every_row_of_robustness_names_a_test() -> None:
    rows = [line for line in PAGES["docs/robustness.md"].splitlines() if re.match(r"\| (?!input|fault|-)", line)]
    assert len(rows) > 35
    assert not [row for row in rows if "test_" not in row]
