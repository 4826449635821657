"""When a run was started, and on which hardware."""

from pathlib import Path

import pytest

from system.errors import UserError
from system.run.starts import STARTS, Start, note_start, starts_of

FIRST = Start("2026-11-26T04:26:00+00:00", "a processor, 2 cores, 8 GiB; no GPU")
SECOND = Start("2026-11-27T04:26:00+00:00", "another, 16 cores, 128 GiB; 2 GPUs (H100)")


def test_starts_are_read_in_their_order(tmp_path: Path) -> None:
    assert starts_of(tmp_path) == []
    note_start(tmp_path, FIRST)
    note_start(tmp_path, SECOND)
    assert starts_of(tmp_path) == [FIRST, SECOND]


def test_a_start_that_is_just_being_written_is_not_read_yet(tmp_path: Path) -> None:
    note_start(tmp_path, FIRST)
    with (tmp_path / STARTS).open("a") as file:
        file.write('{"at": "2026')
    assert starts_of(tmp_path) == [FIRST]


@pytest.mark.parametrize("line", ["nothing\n", '{"at": "2026-11-26T04:26:00+00:00"}\n', "[]\n"])
def test_a_damaged_file_is_refused_with_what_to_do(tmp_path: Path, line: str) -> None:
    (tmp_path / STARTS).write_text(line)
    with pytest.raises(
        UserError, match=r"starts\.jsonl of run .* is not what was written \(.*\): restore it, or remove it"
    ):
        starts_of(tmp_path)
