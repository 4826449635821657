"""Patient IDs that several people lie under."""

import pyarrow as pa
import pytest

from system.archive import SplitConfig
from system.archive.one_person import NotOnePatient, Seen, collective_ids, seen_in
from system.archive.tables import SCHEMAS


def test_only_distinct_studies_and_dates_count() -> None:
    four_views = [Seen("p", "s", "b")] * 4
    assert collective_ids(four_views, config=SplitConfig(max_studies=1)) == {}


@pytest.mark.parametrize(("number", "expected"), [(30, {}), (31, {"p": NotOnePatient.STUDIES})])
def test_a_screening_a_year_from_45_to_74_is_one_person(number: int, expected: dict[str, NotOnePatient]) -> None:
    assert collective_ids([Seen("p", f"s{at}", "") for at in range(number)], config=SplitConfig()) == expected


def test_two_birth_dates_are_named_before_many_studies() -> None:
    seen = [Seen("p", f"s{at}", f"b{at % 2}") for at in range(99)] + [Seen("q", "s", "b0")]
    assert collective_ids(seen, config=SplitConfig()) == {"p": NotOnePatient.BIRTH_DATES}
    assert collective_ids(seen, config=SplitConfig(max_birth_dates=2)) == {"p": NotOnePatient.STUDIES}
    assert collective_ids(seen, config=SplitConfig(max_birth_dates=2, max_studies=99)) == {}


def test_files_that_cannot_be_used_show_nothing() -> None:
    rows = [
        {"source": "a", "code": "", "patient_id": "p", "study_id": "s", "birth": None},
        {"source": "b", "code": "view", "patient_id": "p", "study_id": "t", "birth": "b"},
    ]
    assert seen_in(pa.Table.from_pylist(rows, schema=SCHEMAS["files"])) == [Seen("p", "s", "")]
