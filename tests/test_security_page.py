"""Every test that SECURITY.md names is there, in the file that it names."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)`: ((?:test_\w+(?: \(slow\))?(?:, )?)+)", PAGE)
TESTS = [
    pytest.param(file, name.removesuffix(" (slow)"), name.endswith(" (slow)"), id=name)
    for file, names in NAMED
    for name in names.rstrip(", ").split(", ")
]


@pytest.mark.parametrize(("file", "name", "slow"), TESTS)
def test_a_test_that_the_page_names_is_there(file: str, name: str, slow: bool) -> None:
    text = (ROOT / file).read_text(encoding="utf8")
    found = re.search(rf"((?:^@.*\n(?:^[ )].*\n)*)*)^def {name}\(", text, re.MULTILINE)
    assert found, f"{file} has no {name}"
    marked = "pytest.mark.slow" in found[1] or bool(
        re.search(r"^pytestmark = [^=]*pytest\.mark\.slow", text, re.MULTILINE)
    )
    assert marked == slow


def test_no_name_of_a_test_on_the_page_is_overlooked() -> None:
    assert len(TESTS) == len(re.findall(r"\btest_\w+(?!\w*\.py)(?!/)", re.sub(r"`[^`]*`", "", PAGE))) > 40
