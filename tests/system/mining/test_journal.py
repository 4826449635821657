import json
import logging
from pathlib import Path

import numpy as np
import pytest

from system.mining.journal import Journal
from system.mining.pools import Columns, Shard


def shard(number: int, *, num_rows: int = 3, attempt: int = 1) -> Shard:
    keys = np.arange(num_rows, dtype=np.int64) + 10 * number
    y = np.full(num_rows, 0.9, np.float32)
    y[:1] = np.nan
    return Shard(1, number, attempt, f"part_{number}.parquet", Columns(keys, y, y * np.float32(0.5), keys % 2 == 0))


def test_what_was_appended_comes_back_in_order(tmp_path: Path) -> None:
    written = [shard(1), shard(0), shard(1, attempt=2), shard(2, num_rows=0)]
    for one in written:
        Journal(tmp_path).append(one)
    found = list(Journal(tmp_path).replay())
    assert [(one.round, one.shard, one.attempt, one.source) for one in found] == [
        (1, 1, 1, "part_1.parquet"),
        (1, 0, 1, "part_0.parquet"),
        (1, 1, 2, "part_1.parquet"),
        (1, 2, 1, "part_2.parquet"),
    ]
    for one, other in zip(found, written, strict=True):
        for array, expected in zip(one.columns.arrays(), other.columns.arrays(), strict=True):
            assert array.dtype == expected.dtype
            np.testing.assert_array_equal(array, expected)


def test_a_new_journal_is_empty(tmp_path: Path) -> None:
    assert list(Journal(tmp_path / "miner").replay()) == []


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_a_torn_last_line_is_cut_off_and_the_journal_goes_on(tmp_path: Path, kept: int, caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(tmp_path)
    journal.append(shard(0))
    whole = (tmp_path / "journal.jsonl").read_bytes()
    journal.append(shard(1))
    second = (tmp_path / "journal.jsonl").read_bytes()[len(whole) :]
    (tmp_path / "journal.jsonl").write_bytes(whole + second[:kept])
    with caplog.at_level(logging.WARNING):
        assert [one.shard for one in Journal(tmp_path).replay()] == [0]
    assert "cut off a torn last line" in caplog.text
    Journal(tmp_path).append(shard(1))
    assert [one.shard for one in Journal(tmp_path).replay()] == [0, 1]


def test_a_last_line_of_noughts_is_torn_too(tmp_path: Path) -> None:
    Journal(tmp_path).append(shard(0))
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b"\0" * 30 + b"\n")
    assert [one.shard for one in Journal(tmp_path).replay()] == [0]


def test_a_broken_line_in_the_middle_is_no_accident_of_a_crash(tmp_path: Path) -> None:
    Journal(tmp_path).append(shard(0))
    whole = (tmp_path / "journal.jsonl").read_bytes()
    (tmp_path / "journal.jsonl").write_bytes(b"{ half\n" + whole)
    with pytest.raises(ValueError, match="journal line 1 of 2 cannot be read"):
        list(Journal(tmp_path).replay())


def test_a_shard_file_without_its_line_does_not_count(tmp_path: Path) -> None:
    Journal(tmp_path).append(shard(0))
    (tmp_path / "journal.jsonl").unlink()
    assert list(Journal(tmp_path).replay()) == []


def test_a_shard_file_that_was_exchanged_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path).append(shard(0))
    Journal(tmp_path).append(shard(1))
    first, second = sorted((tmp_path / "shards").iterdir())
    first.write_bytes(second.read_bytes())
    with pytest.raises(ValueError, match="is not what journal line 1 recorded"):
        list(Journal(tmp_path).replay())


def test_a_journal_of_another_schema_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path).append(shard(0))
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 9}) + "\n")
    with pytest.raises(ValueError, match="journal line 1 is 'shard' of schema 9, this is schema 1"):
        list(Journal(tmp_path).replay())


def test_nothing_half_written_keeps_its_name(tmp_path: Path) -> None:
    Journal(tmp_path).append(shard(0))
    assert [path.name for path in (tmp_path / "shards").iterdir()] == ["round_01_shard_00000_attempt_001.arrow"]
