"""The log of decisions: lines in order, a crash in the middle of one, damage."""

from dataclasses import replace
from pathlib import Path

import pytest

from system.continuous.decisions import FILE, Line, append, failures_in_a_row, is_news, last, read
from system.continuous.situation import Arrived, Situation
from system.errors import UserError

FIRST = Line(1, 100.0, "p", "wait", "nothing is due", situation=Situation(100.0, Arrived(3), 7))


def test_lines_come_back_in_order_with_the_numbers_they_were_taken_on(tmp_path: Path) -> None:
    second = Line(2, 200.0, "p", "retrain", "200 new images", model="abcd", round=3)
    assert read(tmp_path / "watch") == []
    for line in (FIRST, second):
        append(tmp_path / "watch", line)
    found = read(tmp_path / "watch")
    assert found[1] == second
    situation = found[0].situation
    assert situation is not None
    assert (situation.arrived.num_files, situation.num_new_samples) == (3, 7)


def test_a_line_that_a_crash_cut_short_is_no_line_and_the_next_one_replaces_it(tmp_path: Path) -> None:
    append(tmp_path, FIRST)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole + whole[:20])
    assert len(read(tmp_path)) == 1
    append(tmp_path, replace(FIRST, number=2))
    assert [line.number for line in read(tmp_path)] == [1, 2]


@pytest.mark.parametrize("damage", [lambda text: b"{}\n" + text, lambda text: text + text, lambda _: b"\xff\n"])
def test_a_damaged_log_is_named_with_its_line(tmp_path: Path, damage) -> None:
    append(tmp_path, FIRST)
    (tmp_path / FILE).write_bytes(damage((tmp_path / FILE).read_bytes()))
    with pytest.raises(UserError, match=r"line \d of decisions.jsonl is not what was written"):
        read(tmp_path)


def test_a_line_is_news_unless_it_was_said_since_anything_was_done() -> None:
    waits, quiet = replace(FIRST, reason="nothing is due: 3 of 200"), replace(FIRST, kind="notice", reason="8.1 days")
    later = replace(waits, reason="nothing is due: 4 of 200")
    held = replace(waits, reason="abcd waits for approval")
    assert is_news(waits, [])
    assert not is_news(later, [waits])
    assert not is_news(later, [waits, quiet])
    assert not is_news(replace(quiet, reason="8.2 days"), [waits, quiet, held])
    assert is_news(held, [waits])
    for done in ("plan", "retrain", "failed"):
        assert is_news(later, [waits, replace(FIRST, kind=done)])
        assert is_news(replace(FIRST, kind=done), [replace(FIRST, kind=done)])
    judged = replace(FIRST, kind="judged", model="abcd")
    assert not is_news(judged, [judged, waits])
    assert is_news(replace(judged, model="efgh"), [judged])


def test_failures_are_counted_since_the_last_step_that_went_well() -> None:
    failed, waited = replace(FIRST, kind="failed"), FIRST
    assert failures_in_a_row([failed, waited, failed, failed]) == 2
    assert failures_in_a_row([failed, waited]) == failures_in_a_row([]) == 0
    assert last([failed, waited], "failed") == failed
    assert last([waited], "retrain", "failed") is None
