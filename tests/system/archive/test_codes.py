"""The vocabulary of the quarantine holds every code that the sources give to a file."""

import ast
from pathlib import Path

from system.archive.codes import CODES
from system.archive.rivals import CONFLICT, SUPERSEDED

ROOT = Path(__file__).parents[3]


def given(call: ast.Call) -> set[str]:
    """Return the code that a call gives, where it is one and written there."""
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    place = {"ImageRefused": 0, "_Ended": 0, "_refused": 1}.get(name)
    values = [call.args[place]] if place is not None and len(call.args) > place else []
    values += [keyword.value for keyword in call.keywords if keyword.arg == "code" and name in {"replace", "Intake"}]
    return {value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)}


def test_every_code_that_is_given_is_of_the_vocabulary_and_every_word_of_it_is_given() -> None:
    trees = [ast.parse(path.read_text(encoding="utf8")) for path in (ROOT / "system").rglob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert set().union(*map(given, calls)) | {CONFLICT, SUPERSEDED} == CODES
