"""Upserts into one table: repeated, changed, wrong, and from several writers at once."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from system.archive import delta
from system.archive.tables import KEYS, SCHEMAS


def labels(*rows):
    return pa.table({name: [row[place] for row in rows] for place, name in enumerate(("study_id", "side", "p_mass", "model"))})


def upsert(folder, *rows):
    return delta.upsert(str(folder), labels(*rows), schema=SCHEMAS["labels"], key=KEYS["labels"])


def read(folder, version=None):
    rows = delta.read(str(folder), schema=SCHEMAS["labels"], version=version, columns=None)
    return sorted(tuple(row.values()) for row in rows.to_pylist())


def test_new_rows_are_added_and_rows_of_the_same_key_replaced(tmp_path):
    upsert(tmp_path, ("a", "L", 0.25, "m1"), ("a", "R", 0.5, "m1"))

    upsert(tmp_path, ("a", "R", 0.75, "m2"), ("b", "L", 0.0, "m2"))

    assert read(tmp_path) == [("a", "L", 0.25, "m1"), ("a", "R", 0.75, "m2"), ("b", "L", 0.0, "m2")]


def test_equal_rows_make_no_new_version(tmp_path):
    version = upsert(tmp_path, ("a", "L", 0.1, None), ("b", "L", 0.2, "m"))

    assert upsert(tmp_path, ("b", "L", 0.2, "m"), ("a", "L", 0.1, None)) == version
    assert delta.current_version(str(tmp_path)) == version


def test_an_older_version_still_reads_as_it_was(tmp_path):
    version = upsert(tmp_path, ("a", "L", 0.25, "m"))
    upsert(tmp_path, ("a", "L", 0.5, "m"))

    assert read(tmp_path, version) == [("a", "L", 0.25, "m")]


def test_rows_of_one_key_given_twice_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"two rows have the same key \['study_id', 'side'\]"):
        upsert(tmp_path, ("a", "L", 0.25, "m"), ("a", "L", 0.5, "m"))


def test_a_missing_key_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no value in its key"):
        upsert(tmp_path, (None, "L", 0.25, "m"))


def test_wrong_columns_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"missing \['model'\], unknown \['modle'\]"):
        delta.upsert(str(tmp_path), labels(("a", "L", 0.5, "m")).rename_columns(["study_id", "side", "p_mass", "modle"]),
                     schema=SCHEMAS["labels"], key=KEYS["labels"])  # fmt: skip


def test_writers_at_the_same_time_lose_nothing_and_write_nothing_twice(tmp_path):
    def write(writer):
        for turn in range(3):
            upsert(tmp_path, (f"{writer}-{turn}", "L", 0.5, "m"), ("shared", "L", writer / 4, "m"))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))

    studies = [row[0] for row in read(tmp_path)]
    assert studies == [f"{writer}-{turn}" for writer in range(3) for turn in range(3)] + ["shared"]
