"""The page of a finished run, put together from its stages: the kept run; needs no Ray."""

import re

import numpy as np
import pytest

from pipelines.page.gather import gather
from pipelines.page.mined import _Member, _Reports
from system.archive import Archive
from system.evaluation.read_back import read_back
from system.figures import format as text
from system.figures.rows import PageData
from system.records import Quadrant, image_key
from system.reports.text import Sections
from system.run.folder import RunFolder
from tests.kept import unpack


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return RunFolder(unpack(tmp_path_factory.mktemp("kept")) / "run")


@pytest.fixture(scope="module")
def archive(run: RunFolder) -> Archive:
    return run.archive(uri=str(run.path.parent / "archive"))


@pytest.fixture(scope="module")
def data(run: RunFolder, archive: Archive) -> PageData:
    return gather(run, archive=archive, config=run.config())


def test_the_sentence_is_made_of_the_tables_numbers(data: PageData) -> None:
    cells = {
        cell
        for row in data.headline
        for value in (row.mean, row.difference, *row.interval, *row.difference_interval)
        for cell in (text.share(value), text.signed(value))
    }
    numbers = re.findall(r"[+−]?\d\.\d+", data.sentence)
    assert len(numbers) > 2
    assert set(numbers) <= cells


def test_missed_lesions_and_false_positives_are_of_test_images_and_carry_their_ids(
    data: PageData, archive: Archive
) -> None:
    splits = {row["image_id"]: row["split"] for row in archive.table("images").to_pylist()}
    missed, wrong, _ = data.galleries
    assert missed.heading == f"Missed by {data.shown}"
    assert missed.items or wrong.items  # it learned nothing
    for gallery in data.galleries:
        for item in gallery.items:
            assert splits[item.image_id] == "test"


def test_the_numbers_of_missed_lesions_fit_the_sensitivity_at_the_point(data: PageData, run: RunFolder) -> None:
    shown = next(system for system in run.systems() if system.title == data.shown)
    num_lesions = len(read_back(shown.froc()).lesions)
    found = re.search(
        r"sensitivity (\d\.\d+)\), (?:(\d+) of (\d+) lesions are|no lesion is) missed", data.galleries[0].how
    )
    assert found is not None
    missed = int(found[2] or 0)
    assert found[3] in (None, str(num_lesions))
    assert text.share(1 - missed / num_lesions) == found[1]


def test_each_part_that_shows_a_lesion_is_there(data: PageData, run: RunFolder) -> None:
    kinds = {row.kind for row in data.parts}
    assert {"view", "source", "lesion size"} <= kinds
    lesions = {kind: sum(row.num_lesions for row in data.parts if row.kind == kind) for kind in kinds}
    assert set(lesions.values()) == {len(read_back(run.stage1.froc()).lesions)}


def member(p_mass: float, side: str = "L") -> _Member:
    return _Member(image_key("a"), "a", Quadrant.FP, p_mass, 0.5, "study", side, "CC", "")


REPORTS = _Reports({"study": Sections("Mass in the left breast. No mass in the right breast.", "")})


@pytest.mark.parametrize(
    ("p_mass", "side", "flag"),
    [
        (0.25, "L", "rules read a mass here, the label is 0.25"),  # taught as FP though the report has a mass
        (0.97, "R", "rules read no mass here, the label is 0.97"),
        (0.97, "L", ""),
        (0.03, "R", ""),
    ],
)
def test_a_report_that_rules_and_label_read_differently_is_flagged(p_mass: float, side: str, flag: str) -> None:
    assert REPORTS.flag(member(p_mass, side)) == flag
    assert bool(REPORTS.disagreement(member(p_mass, side))) is bool(flag)


def test_a_report_in_which_the_rules_find_nothing_is_not_flagged() -> None:
    assert not _Reports({"study": Sections("Technically good.", "")}).flag(member(0.9))
    assert not _Reports({}).flag(member(0.9))


def test_a_label_that_is_further_from_the_rules_weighs_more() -> None:
    near, far = (REPORTS.disagreement(member(p_mass)) for p_mass in (0.4, 0.1))
    assert (near, far) == (pytest.approx(0.6), pytest.approx(0.9))
    assert np.isfinite(far)
