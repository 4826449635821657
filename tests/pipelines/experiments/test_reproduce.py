"""The paper's grids as cells, and one of them trained as a whole on a tiny synthetic archive."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from pipelines.experiments import reproduce
from system.archive import Archive
from system.config import RunConfig, resolve
from system.errors import UserError
from system.metrics import PatientCounts
from system.presets import demo
from system.published import NO_NUMBERS, TABLE_3, TABLES, Data
from system.records import Split
from system.run.folder import RunFolder
from tests.pipelines.fixture_types import MakeArchive


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return demo().of_run()


def cells_of(name: str, config: RunConfig, *, seed: int = 0) -> dict[tuple[str, ...], reproduce.Cell]:
    return {row.labels: reproduce.cell_of(row, Path("out"), config=config, seed=seed) for row in TABLES[name].rows}


def test_a_row_without_weak_data_is_stage_1_alone_and_the_row_with_them_goes_on_from_it(config: RunConfig):
    cells = cells_of("table3", config)
    without, with_weak = cells["25%", "no"], cells["25%", "yes"]
    assert (without.config.rounds.num_rounds, without.base) == (0, None)
    assert (with_weak.config.rounds.num_rounds, with_weak.base) == (2, without)
    assert with_weak.config.strong_share == without.config.strong_share == 0.25
    assert len({cell.folder for cell in cells.values()}) == 8


def test_the_same_settings_are_the_same_cell_in_every_table(config: RunConfig):
    with_all = cells_of("table3", config)["25%", "yes"]
    assert cells_of("figure4", config)["25%", "100%"] == with_all
    assert cells_of("table4", config)["hard", "soft"] == with_all  # the demo's own labels
    assert cells_of("figure4", config)["25%", "0%"] == cells_of("table3", config)["25%", "no"]


def test_cells_differ_by_what_the_table_varies_and_by_the_seed(config: RunConfig):
    hard = {
        (cell.config.loss.mask_labels, cell.config.loss.report_labels): cell.folder
        for cell in cells_of("table4", config).values()
    }
    assert len(hard) == len(set(hard.values())) == 4
    without = cells_of("table3", config)["25%", "no"]
    goes_on = [cell.base for name in ("table4", "figure4") for cell in cells_of(name, config).values() if cell.base]
    assert all(base == without for base in goes_on), (
        "tables in one folder share stage 1 only if they agree on its settings"
    )
    shares = [cell.config.weak_share for labels, cell in cells_of("figure4", config).items() if labels[1] != "0%"]
    assert shares == [0.25, 0.5, 0.75, 1.0]
    assert cells_of("table3", config, seed=1)["25%", "yes"].folder != cells_of("table3", config)["25%", "yes"].folder


def test_every_cells_miner_has_an_address_of_its_own(config: RunConfig):
    cells = cells_of("table4", resolve(config, settings=["rounds.miner=s3://bucket/miner"]))
    places = {cell.config.rounds.miner for cell in cells.values()}
    assert len(places) == 4
    assert all(place.startswith("s3://bucket/miner/strong_share_0.25-") for place in places)


def test_only_cells_of_all_weak_data_and_the_presets_labels_train_more_supervised_steps_beside(config: RunConfig):
    trained = {
        labels
        for name in TABLES
        for labels, cell in cells_of(name, config).items()
        if cell.base and cell.config.rounds.control
    }
    assert trained == {
        ("10%", "yes"),
        ("25%", "yes"),
        ("50%", "yes"),
        ("100%", "yes"),
        ("25%", "100%"),
        ("hard", "soft"),
    }


MISPRINT = (0.673, 0.725, 0.801, 0.826, 0.753)  # the paper's own row: its points average 0.756


def test_the_papers_means_are_those_of_its_sensitivities():
    for table in TABLES.values():
        for row in table.rows:
            *points, mean = row.paper
            if row.paper not in (NO_NUMBERS, MISPRINT):
                assert mean == pytest.approx(sum(points) / len(points), abs=0.0011)
    assert [row.paper[-1] for row in TABLE_3.rows if row.data is Data.WEAK] == [0.725, 0.753, 0.780, 0.794]


def modes(*, found: int, found_anew: int) -> reproduce.Modes:
    """Return the counts of ten patients with a lesion each, of which so many are found in either mode."""

    def counts(num_found: int) -> PatientCounts:
        hits = np.zeros((1, 10))
        hits[0, :num_found] = 1
        nothing = sparse.csr_array((1, 10))
        one = np.ones(10, dtype=np.int64)
        return PatientCounts(tuple(f"p{n}" for n in range(10)), one, one, found=sparse.csr_array(hits), false=nothing)

    return reproduce.Modes(counts(found), counts(found_anew))


def show(name: str, out: Path, *, config: RunConfig) -> None:
    """Show a table whose rows without weak data find 3 of 10, in the second mode 2, and the others 6, and 7."""
    table = TABLES[name]
    without, others = modes(found=3, found_anew=2), modes(found=6, found_anew=7)
    counts = [[without if row.data is Data.STRONG else others] for row in table.rows]
    control = [[modes(found=5, found_anew=4) if row.data is Data.WEAK else None] for row in table.rows]
    reproduce._show(name, table, out, counts=counts, control=control, config=config, seeds=[0])


def test_a_table_is_printed_and_written_in_both_modes_with_paired_gains(
    config: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show("table3", tmp_path, config=config)
    printed = " ".join(capsys.readouterr().out.split())
    assert "test set; by the candidates' scores" in printed
    assert "test set; second mode, the map cut anew at each operating point" in printed
    found = json.loads((tmp_path / "table3.json").read_text())
    for rows, mean, gain, more in (("rows", 0.6, 0.3, 0.5), ("rows_cut_anew", 0.7, 0.5, 0.4)):
        last = found[rows][-1]
        assert (last["mean"], last["gain"], last["more_steps"]) == tuple(map(pytest.approx, (mean, gain, more)))
        assert last["gain_interval"][0] <= last["gain"] <= last["gain_interval"][1]
        assert last["gain_interval"][0] > 0
        assert found[rows][0]["gain"] is None


def test_table_4_says_which_thresholds_were_chosen_on_the_images_that_it_reports_on(
    config: RunConfig, tmp_path: Path
) -> None:
    def caption(name: str, *settings: str) -> str:
        show(name, tmp_path, config=resolve(config, settings=settings))
        return json.loads((tmp_path / f"{name}.json").read_text())["captions"]["sweep"]

    assert "Every model's mask and candidate threshold are chosen on these very images" in caption(
        "table4", "froc.candidates=threshold"
    )
    assert "Every model's mask threshold is chosen on these very images" in caption(
        "table4", "froc.candidates=own_peak"
    )
    assert "on these very images" not in caption("table3")


class Begun(Exception):
    """The folder was taken, and work would begin."""


def begin(archive: Archive, out: Path, config: RunConfig) -> None:
    reproduce.run("table3", archive.uri, out, config=config)


def test_a_folder_of_other_settings_is_refused(
    config: RunConfig, make_archive: MakeArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(*_: object, **__: object) -> None:
        raise Begun

    monkeypatch.setattr(reproduce.selftrain, "prepare", prepare)
    archive, elsewhere = (make_archive(tmp_path / name, {"a": Split.STRONG}) for name in ("archive", "elsewhere"))
    out = tmp_path / "out"
    for _ in range(2):  # the same goes on
        with pytest.raises(Begun):
            begin(archive, out, config)
    for place, other in ((elsewhere, config), (archive, resolve(config, settings=["seed=3"]))):
        with pytest.raises(UserError, match=r"was begun as another reproduction \((on |seed: )"):
            begin(place, out, other)


def test_without_rounds_there_is_nothing_to_reproduce(config: RunConfig, tmp_path: Path):
    with pytest.raises(UserError, match=r"rounds\.num_rounds=0 leaves no weak data"):
        reproduce.run("table3", "archive", tmp_path, config=resolve(config, settings=["rounds.num_rounds=0"]))


def start(out: Path, name: str, settings: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    followed = ["--set", "rounds.promote=always"]  # so that a cell's result is its round, whatever it learned
    words = ["reproduce", name, "--preset", "demo", "--config", str(settings), *followed, "--out", out.name]
    command = [sys.executable, "-m", "pipelines", *words]
    return subprocess.run(
        command, cwd=out.parent, env=dict(environment), capture_output=True, text=True, check=False, timeout=500
    )


@pytest.mark.ray
@pytest.mark.slow
def test_a_table_is_trained_printed_and_written_and_a_failed_cell_is_tried_again(
    tmp_path: Path, tiny_settings: Path, ray_environment: Mapping[str, str]
) -> None:
    settings, out = tiny_settings, tmp_path / "out"
    # Two rows of table 4 need no training of their own but this one cell: break it, see it named, mend it.
    name = "strong_share_0.25-weak_share_1.0-mask_labels_soft-report_labels_hard-seed_0"
    cell, base = (RunFolder(out / "cells" / each) for each in (name, "stage1-strong_share_0.25-seed_0"))
    broken = cell.round(1).checkpoint.folder
    broken.parent.mkdir(parents=True)
    broken.write_text("a file where a folder must be")
    first = start(out, "table4", settings, ray_environment)
    assert first.returncode == 2
    assert f"mammoloop: 1 of 4 cells failed: {name}; see their log.txt" in first.stderr
    assert "Traceback" not in first.stderr
    models = {path: path.stat().st_mtime_ns for path in out.glob("cells/*/*/checkpoint/attempt_*/model.safetensors")}
    assert len(models) == 1 + 3 + 4  # stage 1, the three that went well, and what four cells took over
    broken.unlink()
    again = start(out, "table4", settings, ray_environment)
    assert again.returncode == 0, again.stderr[-3000:]
    assert all(path.stat().st_mtime_ns == written for path, written in models.items())
    assert "(0.769)" in again.stdout
    found = json.loads((out / "table4.json").read_text())
    assert [row["labels"] for row in found["rows"]] == [
        ["hard", "hard"],
        ["hard", "soft"],
        ["soft", "hard"],
        ["soft", "soft"],
    ]
    assert all(row["mean"] is None or 0 <= row["mean"] <= 1 for row in found["rows"])
    assert not cell.stage1.froc(Split.VALIDATION).finished
    assert cell.round(1).froc(Split.VALIDATION).finished
    own, shared = (run.stage1.checkpoint.path("model.safetensors") for run in (cell, base))
    assert own.samefile(shared)
