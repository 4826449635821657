from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from system.errors import UserError
from system.mining.journal import Claim, Journal, Message, Superseded
from system.mining.journal_storage import FolderEntries
from system.mining.label_updates import LabelUpdate, UpdateSource
from system.mining.pools import Columns, Shard
from tests.damage import WAYS


def shard(number: int, *, num_rows: int = 3, attempt: int = 1) -> Shard:
    keys = np.arange(num_rows, dtype=np.int64) + 10 * number
    y = np.full(num_rows, 0.9, np.float32)
    y[:1] = np.nan
    return Shard(1, number, attempt, f"part_{number}.parquet", Columns(keys, y, y * np.float32(0.5), keys % 2 == 0))


def verdict() -> LabelUpdate:
    keys = np.array([4, 2], np.int64)
    return LabelUpdate(
        UpdateSource.VERDICT, 2, keys, np.array([1, np.nan], np.float32), keys * 100, np.array([True, False])
    )


def write(folder: Path, *messages: Message) -> None:
    journal = Journal(FolderEntries(folder))
    assert list(journal.replay()) == []
    for message in messages:
        journal.append(message)


def read(folder: Path) -> list[Message]:
    return list(Journal(FolderEntries(folder)).replay())


def test_what_was_appended_comes_back_in_order(tmp_path: Path) -> None:
    written = [Claim(1), shard(1), shard(0), verdict(), shard(1, attempt=2), Claim(2), shard(2, num_rows=0)]
    write(tmp_path, *written)
    found = read(tmp_path)
    assert [message.digest() for message in found] == [message.digest() for message in written]
    first, update = found[1], found[3]
    assert found[5] == Claim(2)
    assert isinstance(first, Shard)
    assert (first.round, first.shard, first.attempt, first.predictions_file) == (1, 1, 1, "part_1.parquet")
    for array, expected in zip(first.columns.arrays(), shard(1).columns.arrays(), strict=True):
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)
    assert isinstance(update, LabelUpdate)
    assert (update.source, update.round, update.keys.tolist(), update.masked.tolist()) == (
        UpdateSource.VERDICT,
        2,
        [4, 2],
        [True, False],
    )


def test_a_new_journal_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path / "miner") == []


def test_a_journal_goes_on_where_the_last_one_stood(tmp_path: Path) -> None:
    write(tmp_path, shard(0))
    second = Journal(FolderEntries(tmp_path))
    assert len(list(second.replay())) == 1
    second.append(shard(1))
    assert len(read(tmp_path)) == 2


def test_of_two_miners_on_one_journal_the_one_that_was_overtaken_stops(tmp_path: Path) -> None:
    old, new = Journal(FolderEntries(tmp_path)), Journal(FolderEntries(tmp_path))
    assert list(old.replay()) == list(new.replay()) == []
    old.append(shard(0))
    with pytest.raises(Superseded, match="journal entry 0 was written by another miner"):
        new.append(shard(1))
    takes_over = Journal(FolderEntries(tmp_path))
    assert len(list(takes_over.replay())) == 1
    takes_over.append(shard(1))
    with pytest.raises(Superseded, match="journal entry 1 was written by another miner"):
        old.append(shard(2))
    assert len(read(tmp_path)) == 2


def test_a_missing_entry_is_no_accident_of_a_crash(tmp_path: Path) -> None:
    write(tmp_path, shard(0), shard(1), shard(2))
    (tmp_path / "00000001.arrow").unlink()
    with pytest.raises(ValueError, match="journal entry 1 of 3 is missing: restore it"):
        read(tmp_path)


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data[:200], lambda data: b""])
def test_a_damaged_entry_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    write(tmp_path, shard(0))
    path = tmp_path / "00000000.arrow"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="journal entry 0 is not what was written: restore it"):
        read(tmp_path)


def test_an_entry_whose_numbers_were_changed_is_refused(tmp_path: Path) -> None:
    write(tmp_path, shard(0))
    path = tmp_path / "00000000.arrow"
    table = pa.ipc.open_file(pa.BufferReader(path.read_bytes())).read_all()
    table = table.set_column(1, "p_mass", pa.array([0.1, 0.2, 0.3], pa.float32())).replace_schema_metadata(
        table.schema.metadata
    )
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(ValueError, match="journal entry 0 is not what was written"):
        read(tmp_path)


def test_a_journal_of_another_schema_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as older:
        older.setattr("system.mining.journal.SCHEMA_VERSION", 9)
        write(tmp_path, shard(0))
    with pytest.raises(ValueError, match="journal entry 0 has schema 9, this is schema 3"):
        read(tmp_path)


@pytest.mark.parametrize("way", [way for name, way in WAYS.items() if name != "gone"])
def test_an_entry_that_was_overwritten_is_refused(tmp_path: Path, way: Callable[[Path], object]) -> None:
    write(tmp_path, shard(0), verdict(), Claim(1))
    way(tmp_path / "00000001.arrow")
    with pytest.raises(UserError, match="journal entry 1 is not what was written: restore it, or remove the run's"):
        read(tmp_path)


@pytest.mark.parametrize(
    "header",
    [
        "[]",
        "5",
        "{}",
        '{"schema": 3}',
        '{"schema": 3, "kind": "shard", "digest": "x"}',
        '{"schema": 3, "kind": [1]}',
        '{"schema": 3, "kind": "claim", "driver": null, "digest": "1"}',
        '{"schema": 3, "kind": "update", "round": 1e999}',
        "[" * 100000,
        "not JSON",
    ],
)
def test_an_entry_with_another_header_is_refused(tmp_path: Path, header: str) -> None:
    write(tmp_path, Claim(1))
    table = pa.table({"image_key": pa.array([], pa.int64())}).replace_schema_metadata({b"mammoloop": header})
    with pa.OSFile(str(tmp_path / "00000000.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(UserError, match="journal entry 0 is not what was written"):
        read(tmp_path)
