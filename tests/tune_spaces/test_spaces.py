"""The tables of what may vary: complete, inside the configuration's bounds, and those of the paper."""

import optuna
import pytest
from optuna.samplers import RandomSampler

from system.errors import UserError
from system.methods import METHODS
from system.presets import PRESETS
from tune_spaces import KINDS, SPACES, Choice, Range, Setting, Space, applied, ask, find, fitted, own_setting, trials_of
from tune_spaces.btv import PAPER_CHOICE

EVERY_SPACE = [
    pytest.param(space, id=f"{method}-{name}") for method, spaces in SPACES.items() for name, space in spaces.items()
]
PAPER = PRESETS["paper"]()


def drawn(space: Space, *, num: int, seed: int = 0) -> list[dict[str, object]]:
    """Return settings as a trial of Optuna suggests them, at random."""
    study = optuna.create_study(sampler=RandomSampler(seed=seed))
    return [dict(ask(space, study.ask())) for _ in range(num)]


def test_paper_grid_is_the_nine_settings_of_the_paper() -> None:
    points = list(SPACES["btv"]["paper_grid"].points())
    pairs = {(point["loss.alpha"], point["loss.gamma"]) for point in points}
    assert pairs == {(0.25, 1), (0.25, 2), (0.25, 5), (0.5, 1), (0.5, 2), (0.5, 5), (0.75, 1), (0.75, 2), (0.75, 5)}
    assert len(points) == 9


@pytest.mark.parametrize("space", EVERY_SPACE)
def test_every_space_fits_the_papers_configuration_whole_and_each_setting_is_taken(space: Space) -> None:
    fit = fitted(space, kind=space.kind, config=PAPER, own=True)
    assert list(fit.space.domains) == list(space.domains)
    for setting in [*drawn(fit.space, num=20), *fit.space.first]:
        assert fit.space.holds(setting)
        assert own_setting(fit.space, applied(PAPER, setting)) == setting


@pytest.mark.parametrize("space", EVERY_SPACE)
def test_a_search_starts_from_what_the_paper_trains_with(space: Space) -> None:
    if not space.grid and space.kind != "refine":
        assert space.first[0] == own_setting(space, PAPER) or "infer.refine.mask_threshold" in space.domains


def test_paper_choice_is_what_the_paper_preset_trains_with() -> None:
    loss = PAPER.loss.model_dump()
    assert {key: loss[key.removeprefix("loss.")] for key in PAPER_CHOICE} == PAPER_CHOICE


def test_every_method_with_spaces_exists_and_every_kind_has_a_space() -> None:
    assert set(SPACES) <= set(METHODS)
    assert {space.kind for space in SPACES["btv"].values()} == set(KINDS)


def test_unknown_space_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match="no tune space 'papergrid'; choose one of paper_grid, labels, loss, wide,"):
        find("btv", "papergrid")


def test_unknown_method_is_refused() -> None:
    with pytest.raises(UserError, match="method 'lem' has no tune spaces"):
        find("lem", "paper_grid")


def test_a_search_has_as_many_trials_as_asked_for_or_its_own_number() -> None:
    space = Space({"loss.alpha": Range(0.0, 1.0)}, num_trials=7)
    assert (trials_of(space), trials_of(space, asked=3)) == (7, 3)


def test_a_grid_has_a_trial_for_each_setting_and_takes_no_number() -> None:
    grid = Space({"loss.alpha": Choice((0.1, 0.2))}, grid=True)
    assert trials_of(grid) == 2
    with pytest.raises(UserError, match="--trials 3: the space is a grid of 2 settings, and all of them are tried"):
        trials_of(grid, asked=3)


CONDITIONAL = {
    "loss.mask_labels": Choice(("soft", "hard")),
    "loss.report_weights": Choice((True, False)),
    "loss.alpha": Range(0.1, 0.9),
}
ONLY_SOFT = {"loss.report_weights": {"loss.mask_labels": ("soft",)}}


def test_a_key_is_varied_only_beside_the_values_it_depends_on() -> None:
    space = Space(CONDITIONAL, only_if=ONLY_SOFT)
    settings = drawn(space, num=40)
    assert all(("loss.report_weights" in each) == (each["loss.mask_labels"] == "soft") for each in settings)
    assert {each["loss.mask_labels"] for each in settings} == {"soft", "hard"}
    assert space.holds({"loss.mask_labels": "hard", "loss.alpha": 0.5})
    assert not space.holds({"loss.mask_labels": "hard", "loss.alpha": 0.5, "loss.report_weights": True})
    assert not space.holds({"loss.mask_labels": "soft", "loss.alpha": 0.5})


def test_a_grid_has_each_point_once_without_keys_that_are_not_varied() -> None:
    domains = {key: domain for key, domain in CONDITIONAL.items() if key != "loss.alpha"}
    points = list(Space(domains, only_if=ONLY_SOFT, grid=True).points())
    assert points == [
        {"loss.mask_labels": "soft", "loss.report_weights": True},
        {"loss.mask_labels": "soft", "loss.report_weights": False},
        {"loss.mask_labels": "hard"},
    ]


def test_a_space_without_a_key_loses_those_that_depend_on_it_and_its_starts_lose_them_too() -> None:
    start: Setting = {"loss.mask_labels": "soft", "loss.report_weights": True, "loss.alpha": 0.25}
    space = Space(CONDITIONAL, only_if=ONLY_SOFT, first=(start,), num_trials=4).without(["loss.mask_labels"])
    assert (list(space.domains), space.only_if, space.first) == (["loss.alpha"], {}, ({"loss.alpha": 0.25},))
    assert space.num_trials == 4


@pytest.mark.parametrize(
    ("values", "inside", "outside"),
    [
        (Range(1, 8, whole=True), [1, 8, 3.0], [0, 9, 2.5, True, "3", None]),
        (Range(0.1, 0.9), [0.1, 0.9], [0.0, 1, "0.5"]),
        (Choice((True, "soft", None, 0.5)), [True, "soft", None, 0.5], [1, "hard", False, 0.4]),
    ],
)
def test_what_a_key_may_be(values: Range | Choice, inside: list[object], outside: list[object]) -> None:
    assert all(values.holds(value) for value in inside)  # type: ignore[arg-type]
    assert not any(values.holds(value) for value in outside)  # type: ignore[arg-type]


def test_whole_numbers_steps_and_words_are_drawn_as_such() -> None:
    space = Space({"a": Range(2, 8, step=2, whole=True), "b": Range(0.0, 1.0, step=0.25), "c": Choice(("x", True))})
    settings = drawn(space, num=60)
    assert {each["a"] for each in settings} == {2, 4, 6, 8}
    assert {each["b"] for each in settings} == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert {each["c"] for each in settings} == {"x", True}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Range(0.5, 0.5), "low must be below high"),
        (lambda: Range(0.0, 1.0, log=True), "low must be above 0"),
        (lambda: Range(0.1, 1.0, log=True, step=0.1), "no step"),
        (lambda: Range(0.0, 1.0, step=2.0), "the first leaves the range"),
        (lambda: Range(1.5, 4, whole=True), "whole numbers are wanted"),
        (lambda: Choice(()), "at least one value"),
        (lambda: Choice(("a", "a")), "each once"),
        (lambda: Space({}), "nothing to try"),
        (lambda: Space({"a": Range(0, 1)}, grid=True), "a has a range"),
        (lambda: Space({"a": Range(0, 1)}, only_if={"a": {"b": (1,)}}), "a depends on b, which must be varied too"),
        (
            lambda: Space({"a": Range(0, 1), "b": Choice((1,))}, only_if={"a": {"b": (1,)}}),
            "stand before it",
        ),
        (
            lambda: Space({"b": Choice((1,)), "a": Range(0, 1)}, only_if={"a": {"b": (2,)}}),
            "which b never takes",
        ),
    ],
)
def test_an_impossible_space_is_refused(make: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make()  # type: ignore[operator]
