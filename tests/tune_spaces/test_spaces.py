"""The tables of what may vary: complete, inside the configuration's bounds, and those of the paper."""

from operator import attrgetter

import pytest

from system.config import resolve
from system.errors import UserError
from system.methods import METHODS
from system.presets import PRESETS
from tune_spaces import SPACES, Grid, Range, Search, Setting, Space, find, trials_of
from tune_spaces.btv import PAPER_CHOICE, PAPER_GRID

EVERY_SPACE = [
    pytest.param(space, id=f"{method}-{name}") for method, spaces in SPACES.items() for name, space in spaces.items()
]


def settings_of(space: Space) -> list[Setting]:
    """Every point of a grid; the corners and the known starts of a search."""
    if isinstance(space, Grid):
        return list(space.points)
    lows, highs = ({key: getattr(found, end) for key, found in space.ranges.items()} for end in ("low", "high"))
    return [lows, highs, *space.first]


def test_paper_grid_is_the_nine_settings_of_the_paper() -> None:
    pairs = {(point["loss.alpha"], point["loss.gamma"]) for point in PAPER_GRID}
    assert pairs == {(0.25, 1), (0.25, 2), (0.25, 5), (0.5, 1), (0.5, 2), (0.5, 5), (0.75, 1), (0.75, 2), (0.75, 5)}
    assert len(PAPER_GRID) == 9


@pytest.mark.parametrize("space", EVERY_SPACE)
def test_every_setting_is_one_the_configuration_accepts(space: Space) -> None:
    for setting in settings_of(space):
        config = resolve(PRESETS["paper"](), settings=[f"{key}={value}" for key, value in setting.items()])
        assert {key: attrgetter(key)(config) for key in setting} == setting


@pytest.mark.parametrize("space", [space for space in EVERY_SPACE if isinstance(space.values[0], Search)])
def test_known_starts_lie_inside_their_ranges_and_name_every_key(space: Search) -> None:
    for setting in space.first:
        assert set(setting) == set(space.ranges)
        assert all(space.ranges[key].low <= value <= space.ranges[key].high for key, value in setting.items())


def test_paper_choice_is_what_the_paper_preset_trains_with() -> None:
    loss = PRESETS["paper"]().loss.model_dump()
    assert {key: loss[key.removeprefix("loss.")] for key in PAPER_CHOICE} == PAPER_CHOICE


def test_every_method_with_spaces_exists() -> None:
    assert set(SPACES) <= set(METHODS)


def test_unknown_space_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no tune space 'papergrid'; choose one of paper_grid, loss, wide"):
        find("btv", "papergrid")


def test_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="method 'lem' has no tune spaces"):
        find("lem", "paper_grid")


def test_a_search_has_as_many_trials_as_asked_for_or_its_own_number() -> None:
    space = Search({"loss.alpha": Range(0.0, 1.0)}, num_trials=7)
    assert (trials_of(space), trials_of(space, asked=3)) == (7, 3)


def test_a_grid_has_a_trial_for_each_setting_and_takes_no_number() -> None:
    grid = Grid(({"loss.alpha": 0.1}, {"loss.alpha": 0.2}))
    assert trials_of(grid) == 2
    with pytest.raises(UserError, match="--trials 3: the space is a grid of 2 settings, and all of them are tried"):
        trials_of(grid, asked=3)
