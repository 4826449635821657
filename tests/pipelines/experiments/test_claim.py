"""A folder belongs to one experiment."""

from pathlib import Path

import pytest

from pipelines.experiments.claim import claim
from system.errors import UserError


def test_a_folder_is_made_and_holds_what_the_experiment_does(tmp_path: Path) -> None:
    file = tmp_path / "out" / "sweep.yaml"
    claim(file, "# sweep of loss\n", what="sweep")
    assert file.read_text(encoding="utf8") == "# sweep of loss\n"


def test_the_same_experiment_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    claim(file, "# sweep of loss, α 0.25\n", what="sweep")
    claim(file, "# sweep of loss, α 0.25\n", what="sweep")
    assert file.read_text(encoding="utf8") == "# sweep of loss, α 0.25\n"


def test_another_experiment_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "out" / "sweep.yaml"
    claim(file, "# sweep of loss\n", what="sweep")
    with pytest.raises(
        UserError,
        match=r"^out was begun as another sweep \(sweep of loss, now sweep of wide\): .* or choose another --out$",
    ):
        claim(file, "# sweep of wide\n", what="sweep")
    assert file.read_text(encoding="utf8") == "# sweep of loss\n"


def test_experiments_of_two_files_share_a_folder(tmp_path: Path) -> None:
    claim(tmp_path / "sweep.yaml", "# one", what="sweep")
    claim(tmp_path / "reproduce.yaml", "# another", what="reproduction")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reproduce.yaml", "sweep.yaml"]


def test_settings_that_differ_are_named_with_both_values_and_resources_may(tmp_path: Path) -> None:
    file = tmp_path / "out" / "sweep.yaml"
    claim(file, "# sweep of loss\nseed: 0\nstage1: {num_epochs: 3}\nresources: {cpus: 1}\n", what="sweep")
    claim(file, "# sweep of loss\nseed: 0\nstage1: {num_epochs: 3}\nresources: {cpus: 8}\n", what="sweep")
    with pytest.raises(UserError, match=r"another sweep \(seed: 0, now 1; stage1\.num_epochs: 3, now 4\): give"):
        claim(file, "# sweep of loss\nseed: 1\nstage1: {num_epochs: 4}\nresources: {cpus: 1}\n", what="sweep")


@pytest.mark.parametrize("text", ["# sweep of loss\n- 1\n", "# sweep of loss\nseed: [\n"])
def test_a_description_that_somebody_has_edited_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=r"\(see its sweep\.yaml, which is not what was written\)"):
        claim(file, "# sweep of loss\nseed: 1\n", what="sweep")
