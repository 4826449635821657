"""Upserts into one table: repeated, changed, wrong, and from several writers at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from system.archive import delta
from system.archive.tables import KEYS, SCHEMAS
from system.errors import UserError


def labels(*rows: tuple[str | None, str, float, str | None]) -> pa.Table:
    given = {name: [row[place] for row in rows] for place, name in enumerate(("study_id", "side", "p_mass", "model"))}
    return pa.table(given | {"report_version": [1] * len(rows)})


def upsert(folder: Path, *rows: tuple[str | None, str, float, str | None]) -> int:
    return delta.upsert(str(folder), labels(*rows), schema=SCHEMAS["labels"], key=KEYS["labels"])


def read(folder: Path, version: int | None = None) -> list[tuple]:
    rows = delta.read(
        str(folder), schema=SCHEMAS["labels"], version=version, columns=["study_id", "side", "p_mass", "model"]
    )
    return sorted(tuple(row.values()) for row in rows.to_pylist())


def test_new_rows_are_added_and_rows_of_the_same_key_replaced(tmp_path: Path) -> None:
    upsert(tmp_path, ("a", "L", 0.25, "m1"), ("a", "R", 0.5, "m1"))

    upsert(tmp_path, ("a", "R", 0.75, "m2"), ("b", "L", 0.0, "m2"))

    assert read(tmp_path) == [("a", "L", 0.25, "m1"), ("a", "R", 0.75, "m2"), ("b", "L", 0.0, "m2")]


def test_equal_rows_make_no_new_version(tmp_path: Path) -> None:
    version = upsert(tmp_path, ("a", "L", 0.1, None), ("b", "L", 0.2, "m"))

    assert upsert(tmp_path, ("b", "L", 0.2, "m"), ("a", "L", 0.1, None)) == version
    assert delta.current_version(str(tmp_path)) == version


def test_an_older_version_still_reads_as_it_was(tmp_path: Path) -> None:
    version = upsert(tmp_path, ("a", "L", 0.25, "m"))
    upsert(tmp_path, ("a", "L", 0.5, "m"))

    assert read(tmp_path, version) == [("a", "L", 0.25, "m")]


def test_rows_of_one_key_given_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"two rows have the same key \['study_id', 'side'\]"):
        upsert(tmp_path, ("a", "L", 0.25, "m"), ("a", "L", 0.5, "m"))


def test_a_missing_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no value in its key"):
        upsert(tmp_path, (None, "L", 0.25, "m"))


def test_wrong_columns_are_named(tmp_path: Path) -> None:
    rows = labels(("a", "L", 0.5, "m")).rename_columns(["study_id", "side", "p_mass", "modle", "report_version"])
    with pytest.raises(ValueError, match=r"missing \['model'\], unknown \['modle'\]"):
        delta.upsert(str(tmp_path), rows, schema=SCHEMAS["labels"], key=KEYS["labels"])


def test_writers_at_the_same_time_lose_nothing_and_write_nothing_twice(tmp_path: Path) -> None:
    def write(writer: int) -> None:
        for turn in range(3):
            upsert(tmp_path, (f"{writer}-{turn}", "L", 0.5, "m"), ("shared", "L", writer / 4, "m"))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))

    studies = [row[0] for row in read(tmp_path)]
    assert studies == [f"{writer}-{turn}" for writer in range(3) for turn in range(3)] + ["shared"]


def test_rows_computed_from_an_older_version_are_refused(tmp_path: Path) -> None:
    upsert(tmp_path, ("a", "L", 0.1, "m"))
    seen = delta.current_version(str(tmp_path))
    upsert(tmp_path, ("b", "L", 0.1, "m"))

    with pytest.raises(delta.Outdated, match="compute them again"):
        delta.upsert(
            str(tmp_path), labels(("c", "L", 0.1, "m")), schema=SCHEMAS["labels"], key=KEYS["labels"], based_on=seen
        )
    assert len(read(tmp_path)) == 2


def test_of_four_writers_on_one_version_only_one_commits(tmp_path: Path) -> None:
    def write(name: str) -> int | str:
        try:
            return delta.upsert(
                str(tmp_path),
                labels((name, "L", 0.1, "m")),
                schema=SCHEMAS["labels"],
                key=KEYS["labels"],
                based_on=delta.NO_TABLE,
            )
        except delta.Outdated:
            return "refused"

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(write, "abcd"))

    assert outcomes.count("refused") == 3
    assert len(read(tmp_path)) == 1


def test_rows_are_removed_by_a_column(tmp_path: Path) -> None:
    upsert(tmp_path, ("a", "L", 0.1, "m"), ("it's", "L", 0.2, "m"), ("c", "R", 0.3, "m"))

    delta.remove(str(tmp_path), ["a", "it's", "absent"], column="study_id")

    assert read(tmp_path) == [("c", "R", pytest.approx(0.3), "m")]


def test_only_the_rows_asked_for_are_read(tmp_path: Path) -> None:
    upsert(tmp_path, ("a", "L", 0.5, "m"), ("b", "L", 0.5, "m"))

    found = delta.read(
        str(tmp_path),
        schema=SCHEMAS["labels"],
        version=None,
        columns=["side", "study_id"],
        where=delta.one_of("study_id", ["b", "z"]),
    )

    assert found.to_pylist() == [{"side": "L", "study_id": "b"}]


def test_compacting_keeps_the_rows_and_the_pinned_versions(tmp_path: Path) -> None:
    for name in "abcd":
        upsert(tmp_path, (name, "L", 0.5, "m"))
    pinned = delta.current_version(str(tmp_path))
    assert pinned is not None

    delta.compact(str(tmp_path), min_files=3)

    assert delta.current_version(str(tmp_path)) == pinned + 1
    assert (
        [row[0] for row in read(tmp_path)] == [row[0] for row in read(tmp_path, version=pinned)] == ["a", "b", "c", "d"]
    )


def test_a_table_written_before_a_column_was_added_is_read_with_nulls_and_grows_with_the_next_rows(
    tmp_path: Path,
) -> None:
    whole = SCHEMAS["labels"]
    before = pa.schema([field for field in whole if field.name != "model"])
    old = labels(("a", "L", 0.25, None)).drop_columns(["model"]).cast(before)
    delta.upsert(str(tmp_path), old, schema=before, key=KEYS["labels"])
    assert read(tmp_path) == [("a", "L", 0.25, None)]

    upsert(tmp_path, ("a", "L", 0.25, None), ("b", "L", 0.5, "m"))

    assert read(tmp_path) == [("a", "L", 0.25, None), ("b", "L", 0.5, "m")]


def damaged(folder: Path) -> dict[str, Path]:
    """Return a commit of a table, one of its files, and its folder of commits."""
    upsert(folder, ("a", "L", 0.5, "m"))
    upsert(folder, ("b", "L", 0.5, "m"))
    return {
        "commit": sorted((folder / "_delta_log").glob("*.json"))[-1],
        "first commit": sorted((folder / "_delta_log").glob("*.json"))[0],
        "file": sorted(folder.glob("*.parquet"))[0],
    }


@pytest.mark.parametrize(
    ("what", "damage"),
    [
        pytest.param("commit", lambda data: data[: len(data) // 2], id="cut commit"),
        pytest.param("commit", lambda _: b"", id="empty commit"),
        pytest.param("commit", lambda data: bytes(len(data)), id="commit of zeros"),
        pytest.param("file", lambda data: data[: len(data) // 2], id="cut file"),
        pytest.param("file", lambda _: b"", id="empty file"),
    ],
)
def test_a_damaged_table_is_named_with_the_way_out(tmp_path: Path, what: str, damage: Callable[[bytes], bytes]) -> None:
    path = damaged(tmp_path / "labels")[what]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"^table labels of the archive is damaged \(.+\): restore its folder") as error:
        read(tmp_path / "labels")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("what", ["first commit", "file"])
def test_a_table_that_lacks_a_file_is_named_with_the_way_out(tmp_path: Path, what: str) -> None:
    damaged(tmp_path / "labels")[what].unlink()
    with pytest.raises(UserError, match=r"^table labels of the archive is damaged \(.+\): restore its folder"):
        read(tmp_path / "labels")


def test_a_commit_and_its_files_are_brought_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(delta, "sync_file", synced.append)
    version = upsert(tmp_path, ("a", "L", 0.5, "m"))
    (file,) = tmp_path.glob("*.parquet")
    log = tmp_path / "_delta_log"
    assert synced == [file, tmp_path, log / f"{version:020d}.json", log]
