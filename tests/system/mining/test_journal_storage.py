import threading
from pathlib import Path

import pytest

from system.mining.journal_storage import BucketEntries, FolderEntries


def test_an_entry_is_written_once_and_stays(tmp_path: Path) -> None:
    entries = FolderEntries(tmp_path / "journal")
    assert entries.put_new(0, b"first")
    assert not entries.put_new(0, b"second")
    assert entries.get(0) == b"first"
    assert entries.numbers() == [0]
    assert [path.name for path in (tmp_path / "journal").iterdir()] == ["00000000.arrow"]


def test_of_writers_at_once_one_is_first(tmp_path: Path) -> None:
    won: list[int] = []

    def write(writer: int) -> None:
        if FolderEntries(tmp_path).put_new(0, b"%d" % writer):
            won.append(writer)

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(16)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(won) == 1
    assert FolderEntries(tmp_path).get(0) == b"%d" % won[0]


def test_what_a_crash_left_half_written_is_no_entry(tmp_path: Path) -> None:
    (tmp_path / "0f3c.part").write_bytes(b"half")
    assert FolderEntries(tmp_path).numbers() == []


def test_an_entry_of_a_bucket_is_written_once_and_stays(bucket: str) -> None:
    entries = BucketEntries(f"{bucket}/journal")
    assert entries.numbers() == []
    assert entries.put_new(0, b"first")
    assert entries.put_new(1, b"next")
    assert not entries.put_new(0, b"second")
    assert (entries.get(0), entries.numbers()) == (b"first", [0, 1])
    assert BucketEntries(f"{bucket}/other").numbers() == []


def test_a_store_on_which_two_could_both_be_first_is_refused(
    bucket: str, deaf_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", deaf_server)
    with pytest.raises(ValueError, match="does not honour If-None-Match"):
        BucketEntries(f"{bucket}/journal")
