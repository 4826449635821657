"""Which runs the ablations consist of; the trainings are those of reproduce."""

from pathlib import Path

import pytest

from pipelines.experiments.ablations import CONFIGURED, Ablation, ablations, cell_of
from system.config import RunConfig, differences
from system.presets import PRESETS


@pytest.mark.parametrize("name", ["demo", "paper", "recommended"])
def test_every_ablation_changes_something_and_the_configured_run_comes_first(name: str) -> None:
    config = PRESETS[name]().of_run()
    first, *others = ablations(config)
    assert (first.title, first.settings) == (CONFIGURED, ())
    for other in others:
        cell = cell_of(other, Path("out"), config=config, seed=0)
        assert differences(config, cell.config), other.name


def test_where_the_image_level_branch_is_left_out_it_is_tried_both_ways_and_else_left_out() -> None:
    without, with_it = (
        {each.name: each for each in ablations(PRESETS[name]().of_run()) if "class" in each.name}
        for name in ("demo", "recommended")
    )
    assert without.keys() == {"class_moves", "class_beside"}
    assert all("rounds.train.class_factor=1" in each.settings for each in without.values())
    assert with_it.keys() == {"no_class", "class_moves"}


def one(name: str, config: RunConfig) -> Ablation:
    (found,) = (ablation for ablation in ablations(config) if ablation.name == name)
    return found


def test_what_changes_the_rounds_alone_shares_stage_1_and_trains_no_control_of_its_own() -> None:
    config = PRESETS["recommended"]().of_run()
    whole = cell_of(one("configured", config), Path("out"), config=config, seed=3)
    part = cell_of(one("disputed_train", config), Path("out"), config=config, seed=3)
    assert whole.base is not None
    assert part.base is not None
    assert whole.base.folder == part.base.folder
    assert whole.base.config.rounds.num_rounds == 0
    assert (whole.config.rounds.control, part.config.rounds.control) == (True, False)
    assert part.config.rounds.disputed == "train"
    assert part.config.seed == 3


def test_a_shorter_stage_1_is_trained_by_itself_and_has_its_own_control() -> None:
    config = PRESETS["recommended"]().of_run()
    cell = cell_of(one("short_stage1", config), Path("out"), config=config, seed=0)
    assert cell.base is not None
    assert cell.base.config.stage1.num_epochs == cell.config.stage1.num_epochs == config.stage1.num_epochs // 3
    assert cell.config.rounds.control
    assert cell.folder != cell.base.folder
