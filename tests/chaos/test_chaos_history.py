"""What a command acknowledged is read from its words and from what it left, and is written down once."""

import json
from pathlib import Path

from tests.chaos.checks import State
from tests.chaos.history import History, said

INGEST = """
12:00:01 read 8 of 144 files, 3.0 files/s
12:00:02 read 16 of 144 files, 3.5 files/s
"""


def test_the_last_word_of_a_command_counts() -> None:
    assert said(INGEST) == {"files": 16}
    assert said("12:00:01 8 reports taken in, reports are at version 3\n8 reports taken in\n") == {"reports": 8}
    assert said("20 of 36 new reports labelled") == {"labels": 40}
    assert said("verdicts: 4 mass, 4 no mass, 3 unsure; 2 outlined") == {"verdicts": 11}
    assert said("verdicts: none filled in; 0 outlined") == {"verdicts": 0}
    assert said("nothing of the kind") == {}


def test_the_words_of_all_starts_add_up(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl", strike=3)
    history.hear(INGEST, start=1)
    history.hear("read 128 of 128 files", start=2)
    assert history.said == {"files": 144}


def test_a_fact_is_written_once_and_a_changed_row_again(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl", strike=3)
    pixels = {"archive/pixels/ab/abcd.png": "x"}
    history.see(State(rows={"files": [("a", "1"), ("b", "2")]}, files=pixels | {"run/driver.lock": "d"}), start=0)
    history.see(State(rows={"files": [("a", "1"), ("b", "3")]}, files=pixels), start=1)
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert lines == [
        {"strike": 3, "start": 0, "row": "files", "key": "a", "digest": "1"},
        {"strike": 3, "start": 0, "row": "files", "key": "b", "digest": "2"},
        {"strike": 3, "start": 0, "file": "archive/pixels/ab/abcd.png", "digest": "x"},
        {"strike": 3, "start": 1, "row": "files", "key": "b", "digest": "3"},
    ]
    assert history.facts.rows == {"files": {"a": "1", "b": "3"}}
    assert history.facts.files == pixels


def test_the_first_digest_of_a_finished_file_is_what_it_is_held_to(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl", strike=1)
    for digest in ("first", "second"):
        history.see(State(files={"run/miner/journal/00000000.arrow": digest}), start=1)
    assert history.facts.files == {"run/miner/journal/00000000.arrow": "first"}
