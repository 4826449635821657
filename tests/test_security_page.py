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
    before, defined, _ = (ROOT / file).read_text(encoding="utf8").partition(f"\ndef {name}(")
    assert defined, f"{file} has no {name}"
    decorators = before.rpartition("\n\n")[2].splitlines()
    of_module = re.search(r"^pytestmark = [^=]*pytest\.mark\.slow", before, re.MULTILINE)
    assert ("@pytest.mark.slow" in decorators or bool(of_module)) == slow


def test_no_name_of_a_test_on_the_page_is_overlooked() -> None:
    assert len(TESTS) == len(re.findall(r"\btest_\w+(?!\w*\.py)(?!/)", re.sub(r"`[^`]*`", "", PAGE))) > 40
