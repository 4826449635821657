"""A researcher's own space, as YAML: what it says, and what is said of its mistakes."""

import re
from pathlib import Path

import pytest

from system.errors import UserError
from system.presets import paper
from tune_spaces import Choice, Range, fitted, read_space

GOOD = """
kind: loop
trials: 40
vary:
  loss.gamma: [1, 2, 5]
  loss.alpha: {low: 0.1, high: 0.9}
  loss.mask_weak: {low: 6e-2, high: 6, log: true}
  rounds.train.num_epochs: {low: 2, high: 8, step: 2}
  loss.mask_labels: [soft, hard]
  loss.report_weights: {values: [true, false], only_if: {loss.mask_labels: soft}}
  rounds.fn_in_batch: {values: [null, 0.1], only_if: {loss.gamma: [1, 2]}}
first:
  - {loss.gamma: 5, loss.alpha: 0.25, loss.mask_weak: 0.6, rounds.train.num_epochs: 4, loss.mask_labels: hard}
"""


def test_all_that_a_file_may_say() -> None:
    space = read_space(GOOD, name="my_space.yaml")
    assert space.domains == {
        "loss.gamma": Choice((1, 2, 5)),
        "loss.alpha": Range(0.1, 0.9),
        "loss.mask_weak": Range(0.06, 6.0, log=True),
        "rounds.train.num_epochs": Range(2, 8, step=2),
        "loss.mask_labels": Choice(("soft", "hard")),
        "loss.report_weights": Choice((True, False)),
        "rounds.fn_in_batch": Choice((None, 0.1)),
    }
    assert (space.kind, space.num_trials, space.grid) == ("loop", 40, False)
    assert space.only_if == {
        "loss.report_weights": {"loss.mask_labels": ("soft",)},
        "rounds.fn_in_batch": {"loss.gamma": (1, 2)},
    }
    assert space.holds(space.first[0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "s.yaml: vary is missing; known: vary, kind, trials"),
        ("fary: {}", "s.yaml: fary: no such key; known: vary"),
        ("- 1", "s.yaml: the space holds a list, expected keys such as `vary:`"),
        ("vary: [", "s.yaml: the space is no plain YAML"),
        ("vary: {a: [1]}\nvary: {b: [1]}", "'vary' stands there twice"),
        ("vary: {}", "s.yaml: a space without a key has nothing to try"),
        ("vary: [1]", "s.yaml: vary: input should be a valid dictionary, found \\[1\\]"),
        ("vary: {a: 3}", "s.yaml: a: expected a list of values, or low and high, found 3"),
        ("vary: {a: {low: 1}}", "s.yaml: a: expected low and high, perhaps with log or step, or else values"),
        ("vary: {a: {low: 1, high: 2, values: [1]}}", "s.yaml: a: expected low and high"),
        ("vary: {a: {values: [1], log: true}}", "s.yaml: a: expected low and high"),
        ("vary: {a: {low: 1, hihg: 2}}", "s.yaml: a.hihg: no such key"),
        ("vary: {a: {low: x, high: 2}}", "s.yaml: a.low: input should be a valid number.*found 'x'"),
        ("vary: {a: {low: .inf, high: 2}}", "s.yaml: a.low: input should be a finite number"),
        ("vary: {a: {low: 2, high: 1}}", "s.yaml: a: a range from 2 to 1: low must be below high"),
        ("vary: {a: []}", "s.yaml: a.values: list should have at least 1 item"),
        ("vary: {a: [[1, 2]]}", "s.yaml: a.values.0"),
        ("vary: {a: [1]}\ntrials: 0", "s.yaml: trials: input should be greater than or equal to 1"),
        ("vary: {a: [1]}\ntrials: yes", "s.yaml: trials: .*where a number"),
        ("vary: {a: {low: 0, high: 1}}\ngrid: true", "s.yaml: a grid tries every combination, and a has a range"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_space(text, name="s.yaml")


def test_the_example_of_the_documentation_is_a_space_that_the_papers_configuration_takes_whole() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text(encoding="utf8")
    [example] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    space = read_space(example, name="my_space.yaml")
    fit = fitted(space, kind=space.kind, config=paper(), own=True)
    assert list(fit.space.domains) == list(space.domains)
    assert (space.num_trials, len(space.only_if)) == (40, 1)
