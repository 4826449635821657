import threading
from pathlib import Path

from system.mining.entries import Entries


def test_an_entry_is_written_once_and_stays(tmp_path: Path) -> None:
    entries = Entries(tmp_path / "journal")
    assert entries.put_new(0, b"first")
    assert not entries.put_new(0, b"second")
    assert entries.get(0) == b"first"
    assert entries.numbers() == [0]
    assert [path.name for path in (tmp_path / "journal").iterdir()] == ["00000000.arrow"]


def test_of_writers_at_once_one_is_first(tmp_path: Path) -> None:
    won: list[int] = []

    def write(writer: int) -> None:
        if Entries(tmp_path).put_new(0, b"%d" % writer):
            won.append(writer)

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(16)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(won) == 1
    assert Entries(tmp_path).get(0) == b"%d" % won[0]


def test_what_a_crash_left_half_written_is_no_entry(tmp_path: Path) -> None:
    (tmp_path / "0f3c.part").write_bytes(b"half")
    assert Entries(tmp_path).numbers() == []
