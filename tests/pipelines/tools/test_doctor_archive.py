"""What `doctor --archive` finds in the data, by its rules, and on a whole small archive."""

from pathlib import Path

import numpy as np
import pytest

from pipelines.tools import doctor_archive
from pipelines.tools.doctor import Level, render
from pipelines.tools.doctor_archive import check_held_out, check_p0, check_sure, check_training
from system.archive.amounts import Amount
from system.config import RunConfig, resolve
from system.errors import UserError
from system.presets import PRESETS
from tests.kept import unpack

NONE = Amount(40, 10, 0, 0, 0)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(unpack(tmp_path_factory.mktemp("kept")) / "archive")


def settings(*changes: str) -> RunConfig:
    return resolve(PRESETS["paper"](), settings=changes)


def test_without_an_outlined_mass_there_is_nothing_to_train_on() -> None:
    found = check_training(NONE, settings())
    assert (found.level, found.found) == (Level.MISSING, "none outlined in 40 images of split strong")


def test_fewer_images_with_a_mass_than_a_batch_has_places_for_are_said_with_the_batch_size_to_take() -> None:
    config = settings("stage1.batch_size=24", "stage1.negatives_per_positive=5")  # 4 places
    few = check_training(Amount(40, 10, 3, 2, 5), config)
    assert few.level is Level.ADVICE
    assert few.found == "5 outlined, in 3 images of 2 patients; a batch has 4 places for them, so it repeats images"
    assert "at most 6 times 3" in few.remedy
    assert check_training(Amount(40, 10, 4, 2, 5), config).level is Level.OK


@pytest.mark.parametrize(("steps", "times"), [(0, 1), (50, 5)])
def test_how_often_the_steps_show_each_mass_is_said(steps: int, times: int) -> None:
    config = settings("stage1.batch_size=24", "stage1.negatives_per_positive=5", f"stage1.steps_per_epoch={steps}")
    found = check_training(Amount(400, 100, 40, 20, 50), config).found
    assert f"Stage 1 shows each {times} times an epoch" in found


def test_few_patients_with_a_mass_give_a_wide_interval_in_words() -> None:
    found = check_held_out("validation", Amount(60, 20, 18, 10, 18), "models are chosen by them")
    assert found.level is Level.ADVICE
    assert found.found.endswith("a sensitivity of 0.7 will have a 95 % interval of about 0.40 to 0.89")
    assert found.remedy.startswith("models are chosen by them: differences below 0.25 are hard to tell from chance")


def test_many_patients_with_a_mass_are_enough_and_none_is_too_few() -> None:
    assert check_held_out("test", Amount(600, 200, 120, 60, 130), "x").level is Level.OK
    none = check_held_out("test", NONE, "the result is measured on them")
    assert none.level is Level.MISSING
    assert none.remedy == "give patients with outlined masses to split test"


@pytest.mark.parametrize(
    ("num_with", "num_without", "level"),
    [(16, 200, Level.ADVICE), (200, 16, Level.ADVICE), (60, 60, Level.OK), (0, 90, Level.ADVICE)],
)
def test_p0_is_held_against_what_so_few_taught_breasts_can_show(num_with: int, num_without: int, level: Level) -> None:
    config = settings("rounds.p0.start=0.95")
    found = check_p0(num_with + num_without, num_with, num_without, config)
    assert found.level is level
    assert ("can be known to" in found.found) is (level is Level.ADVICE)


def test_labels_none_of_which_is_sure_enough_mean_empty_pools() -> None:
    found = check_sure(np.array([0.4, 0.55, 0.62]), dict.fromkeys([0.95, 0.75]))
    assert found.level is Level.MISSING
    assert found.found == "of 3 labelled weak breasts, 0 at p0 0.95, 0 at p0 0.75"
    assert "the surest is 0.62, so all pools would be empty: lower rounds.p0" in found.remedy


def test_labels_are_sure_on_either_side_of_p0() -> None:
    found = check_sure(np.array([0.02, 0.8, 0.5]), dict.fromkeys([0.95, 0.75]))
    assert (found.level, found.found) == (Level.OK, "of 3 labelled weak breasts, 1 at p0 0.95, 2 at p0 0.75")


def test_an_archive_of_a_few_exams_is_told_what_it_lacks(archive: str) -> None:
    checks = {check.subject: check for check in doctor_archive.run(archive, settings())}
    assert list(checks) == [
        *("masses that train", "masses in validation", "masses in test"),
        *("reports that teach", "reports to mine", "labels sure enough"),
    ]
    assert checks["masses in test"].found.startswith("6 of 3 patients; ")
    assert checks["masses in test"].level is Level.ADVICE
    assert checks["labels sure enough"].level is Level.MISSING
    assert "all pools would be empty" in render(list(checks.values()), width=200)


def test_fewer_reports_than_the_folds_need_are_said(archive: str) -> None:
    config = settings("reports.annotated_share=0.1")  # those of one patient
    found = {check.subject: check for check in doctor_archive.run(archive, config)}["reports that teach"]
    assert found.level is Level.MISSING
    assert found.remedy == "annotate more patients who have a report"


def test_no_archive_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        doctor_archive.run(str(tmp_path), settings())
