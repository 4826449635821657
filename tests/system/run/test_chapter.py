"""A chapter that was told what to go on from, and what the rounds in it and after it go on from."""

from pathlib import Path

import pytest

from system.errors import UserError
from system.rounds import Chosen, Gain, Promotion
from system.run.chapter import Chapter
from system.run.folder import RunFolder
from system.run.going_on import check_start
from system.run.results import ArchivePin, Thresholds
from system.run.stage import Written
from tests.system.run.test_folder import freeze_pools, froc_result


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run of two rounds, the second promoted, that has come to its end."""
    folder = RunFolder(tmp_path / "run")
    folder.archive_pin.once(lambda _: Written(ArchivePin("archive", {}, "k")))
    for system in (folder.stage1, folder.round(1), folder.round(2)):
        system.thresholds.once(lambda _: Written(Thresholds(0.3, "chosen", 0.1, "chosen")))
        system.froc().once(lambda _: Written(froc_result()))
    for number in (1, 2):
        freeze_pools(folder, number)
        decide(folder, number, promoted=number == 2)
    folder.chosen.once(lambda _: Written(Chosen("round_02", "round 2", {}, "best")))
    return folder


def decide(folder: RunFolder, number: int, *, promoted: bool) -> None:
    gain = Gain(0.5, 0.4, 0.1, (0.0, 0.2))
    folder.round(number).promotion.once(lambda _: Written(Promotion(promoted, "stage1", gain, "by hand")))


def begin(folder: RunFolder, *, start: str, first: int) -> Chapter:
    chapter = folder.last_chapter.next
    chapter.archive_pin.once(lambda _: Written(ArchivePin("archive", {}, "k", first_round=first, start=start)))
    return chapter


@pytest.mark.parametrize(("start", "expected"), [("", "round_02"), ("round_01", "round_01"), ("stage1", "stage1")])
def test_its_first_round_goes_on_from_what_it_was_told(run: RunFolder, start: str, expected: str) -> None:
    begin(run, start=start, first=3)
    assert run.before(3).name == expected


@pytest.mark.parametrize(("promoted", "expected"), [(True, "round_03"), (False, "round_01")])
def test_its_next_round_goes_on_from_its_own_or_from_that(run: RunFolder, promoted: bool, expected: str) -> None:
    begin(run, start="round_01", first=3)
    decide(run, 3, promoted=promoted)
    assert run.before(4).name == expected


def test_the_chapter_after_it_may_go_on_from_anything(run: RunFolder) -> None:
    begin(run, start="round_01", first=3)
    decide(run, 3, promoted=False)
    begin(run, start="", first=4)
    assert run.before(4).name == "round_02"
    assert run.before(3).name == "round_01"


def test_a_system_was_trained_on_the_archive_of_its_chapter(run: RunFolder) -> None:
    second = begin(run, start="round_01", first=3)
    first = Chapter(run.path, 1)
    assert [run.read_by(each) for each in (run.stage1, run.control(1), run.round(2))] == [first] * 3
    assert [run.read_by(each) for each in (run.control(3), run.round(3))] == [second] * 2


def test_a_system_that_is_not_there_is_refused_with_those_that_are(run: RunFolder) -> None:
    with pytest.raises(UserError, match="no measured system 'round_07': it has stage1, round_01, round_02"):
        check_start(run, "round_07", num_rounds=3, more=True)


def test_a_start_without_a_further_round_is_refused(run: RunFolder) -> None:
    run.path.joinpath("config.yaml").write_text("# mammoloop run, schema 3\nrounds:\n  num_rounds: 2\n")
    with pytest.raises(UserError, match=r"give --rounds \+1 as well"):
        check_start(run, "round_01", num_rounds=2, more=False)
    check_start(run, "round_01", num_rounds=2, more=True)
    check_start(run, "round_01", num_rounds=3, more=False)


def test_in_the_middle_of_a_chapter_its_own_start_alone_is_taken(run: RunFolder) -> None:
    begin(run, start="round_01", first=3)
    check_start(run, "round_01", num_rounds=3, more=True)
    with pytest.raises(UserError, match="which go on from round_01"):
        check_start(run, "stage1", num_rounds=3, more=True)
