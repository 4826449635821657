"""What the checker of a terminal's text finds, and a command in a terminal of its own."""

import sys
from pathlib import Path

import pytest

from tests.terminal import faults, on_terminal


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("supervised  0.5… 0.6…", "a cut number"),
        ("supervised  −0.0…", "a cut number"),
        ("beyond p0 {'0.75': 0.9622}", "a dictionary"),
        ('ingested: {"files": 3}', "a dictionary"),
        ("IngestSummary(num_files=3)", "a record's repr"),
        ("<system.run.stage.Stage object at 0x7f>", "a record's repr"),
        ("2026 WARNING x.py:85 -- Token authentication is enabled", "a stray warning"),
        ("a.py:3: UserWarning: slow", "a stray warning"),
        ("[E 1 2] core_worker.cc:2170: Actor with class name", "a stray warning"),
        ("(MapWorker pid=12) loading", "a worker's process"),
        ("View detailed results here: /x/tune/trials", "a line of Ray's own"),
    ],
)
def test_what_must_not_be_seen_is_found(line: str, what: str) -> None:
    assert [fault.partition(":")[0] for fault in faults(f"good\n{line}\n", columns=80)] == [what]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "round 1  0.622  +0.061",
        "x" * 80,
        "左" * 40,
        "\x1b[1mbold\x1b[0m " + "x" * 75,
        "a\r" + "b" * 80,
        "pools, see …",
    ],
)
def test_what_is_good_is_not(line: str) -> None:
    assert faults(line, columns=80) == []


def test_a_line_is_as_wide_as_its_characters_are() -> None:
    assert faults("左" * 41, columns=80) == ["a line of 82 characters: " + "左" * 41]


def test_a_command_sees_the_terminal_that_it_is_given(tmp_path: Path) -> None:
    code = "import os, sys; print(os.get_terminal_size().columns, sys.stdout.isatty()); sys.exit(3)"
    assert on_terminal([sys.executable, "-c", code], columns=91, cwd=tmp_path) == ("91 True\n", 3)
