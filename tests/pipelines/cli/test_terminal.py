"""What people see of the commands at 80 and 160 columns: recordings, replayed; and a demo in a terminal of its own."""

import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.pipelines.cli.screens import SCREENS, WIDTHS, printed, recording
from tests.terminal import faults, on_terminal

ROOT = Path(__file__).resolve().parents[3]
# Of Ray's core, straight to the terminal, for each pool of actors that Ray Data starts (ray-project/ray#53727, #57733):
# nothing hides this line alone, and what hides all of its level would hide errors.
RAY_53727 = re.compile(r"\n[^\n]*core_worker\.cc:\d+: Actor with class name: 'MapWorker[^\n]*issues/53727[^\n]*")
NUMBER = re.compile(r"(?<![\w.])[+−]?\d[\d.]*(?![\w.])")


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("command", SCREENS)
def test_a_command_prints_what_was_recorded(command: str, columns: int) -> None:
    """After a change that is meant: python -m tests.pipelines.cli.screens."""
    assert printed(command, columns=columns) == recording(command, columns).read_text(encoding="utf8")


@pytest.mark.parametrize("columns", [60, 100, *WIDTHS])
@pytest.mark.parametrize("command", SCREENS)
def test_nothing_is_cut_and_no_line_is_too_long(command: str, columns: int) -> None:
    assert faults(printed(command, columns=columns), columns=columns) == []


@pytest.mark.parametrize("command", SCREENS)
def test_every_number_of_the_widest_terminal_is_on_the_narrow_one(command: str) -> None:
    wide, narrow = (Counter(NUMBER.findall(printed(command, columns=columns))) for columns in (400, 80))
    assert not wide - narrow


@pytest.mark.parametrize("command", SCREENS)
def test_piped_it_is_plain_text_with_a_line_a_row(command: str) -> None:
    text = printed(command, columns=80, terminal=False)
    assert not re.search("[\x1b─━│┃]", text)
    assert Counter(NUMBER.findall(text)) == Counter(NUMBER.findall(printed(command, columns=400)))


@pytest.mark.ray
@pytest.mark.slow
def test_a_demo_at_80_columns_shows_nothing_cut_and_nothing_stray(tiny_settings: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "pipelines", "demo", "--out", "demo", "--config", str(tiny_settings)]
    seen = on_terminal(words, columns=80, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)})
    assert seen.code == 0, seen.text
    assert "vs supervised" in seen.text
    assert faults(RAY_53727.sub("", seen.text), columns=80) == []
