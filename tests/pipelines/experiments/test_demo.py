"""The demo says what it is about to show, and what to try next with what it has made."""

import shlex
from pathlib import Path

from pipelines.experiments.demo import opening, what_next
from system.config import resolve
from system.presets import demo
from tests.pipelines.cli.test_documentation import parse


def test_the_opening_names_the_exams_the_outlines_the_rounds_and_the_control() -> None:
    text = opening(Path("out/demo"), demo())
    assert "640 synthetic exams with reports into out/demo, takes 25% of the outlined patients" in text
    assert "what 2 rounds of self-training on reports, each beside a control" in text
    assert "control" not in opening(Path("out"), resolve(demo(), settings=["rounds.control=false"]))


def test_each_command_to_try_next_exists_and_is_of_this_demo() -> None:
    lines = "\n".join(what_next(Path("somewhere"), demo())).replace("\\\n", " ").splitlines()
    commands = [line for line in lines if not line.startswith("  # ")]
    assert len(commands) == 5
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "mammoloop"
        parse(words)
        assert "somewhere/" in command


def test_what_to_try_next_fits_80_columns() -> None:
    assert max(map(len, what_next(Path("out/demo"), demo()))) <= 80


def test_a_demo_without_rounds_has_nothing_to_review() -> None:
    without = what_next(Path("out"), resolve(demo(), settings=["rounds.num_rounds=0"]))
    assert not any("review" in line for line in without)
