"""What ingest says of the splits before anybody trains on them."""

from io import StringIO

from rich.console import Console

from pipelines.ingest import IngestSummary, summary_table, warnings

ALL = {"strong": 3412, "validation": 341, "test": 689, "weak": 28688}


def test_a_complete_archive_gives_no_warning() -> None:
    assert list(warnings(IngestSummary(patients=ALL, annotated={"strong": 3412, "validation": 341}))) == []


def test_annotated_patients_that_become_weak_are_counted() -> None:
    (found,) = warnings(IngestSummary(patients=ALL, annotated={"strong": 559, "weak": 2069}))
    assert found.startswith("2069 of 2628 annotated patients are weak: their masks are not used")


def test_a_split_without_patients_is_named_with_its_key() -> None:
    found = list(warnings(IngestSummary(patients={"strong": 9, "validation": 1})))
    assert len(found) == 2
    assert "no patient is weak, rounds have nothing to mine" in found[0]
    assert "set ingest.split.test" in found[1]


def test_the_table_says_what_the_annotated_patients_do() -> None:
    screen = Console(file=StringIO(), width=120)
    screen.print(summary_table(IngestSummary(patients=ALL, annotated={"strong": 3412, "weak": 7})))
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "annotated patients, that train" in shown
    assert "annotated patients, that become weak, masks unused" in shown
