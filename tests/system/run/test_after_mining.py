"""Whether a round trains, from the pools that it has on disk."""

import pytest

from system.rounds import RoundsConfig, Stop
from system.run.after_mining import training_of
from system.run.folder import RunFolder
from system.run.systems import Round
from tests.kept import unpack


@pytest.fixture(scope="module")
def first_round(tmp_path_factory: pytest.TempPathFactory) -> Round:
    return RunFolder(unpack(tmp_path_factory.mktemp("kept")) / "run").round(1)


def test_a_round_whose_reports_are_none_sure_enough_trains_nothing(first_round: Round) -> None:
    found = training_of(first_round, first_round.pools.result(), config=RoundsConfig())
    assert isinstance(found, Stop)
    assert "of 12 weak images at p0 0.55, 12 have a report that is not sure enough;" in found.reason
