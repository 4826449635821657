"""`doctor --archive`, `compare` and `status` as they are called: options, exit codes, what is printed."""

import json
from pathlib import Path

import pytest

from tests.kept import unpack
from tests.pipelines.cli.calling import Mammoloop


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("kept"))


def test_doctor_shows_an_archive_below_the_machine_and_takes_settings(mammoloop: Mammoloop, kept: Path) -> None:
    words = ["--preset", "demo", "--archive", str(kept / "archive"), "--set", "rounds.p0={start: 0.99, step: 0}"]
    code, out, _ = mammoloop("doctor", *words)
    assert code == 1  # no label is as sure
    assert out.index("disk") < out.index("masses that train")
    assert "0 at p0 0.99" in out


def test_doctor_refuses_a_place_without_an_archive(mammoloop: Mammoloop, tmp_path: Path) -> None:
    code, _, err = mammoloop("doctor", "--preset", "demo", "--archive", str(tmp_path / "none"))
    assert code == 2
    assert len(err.splitlines()) == 1


def test_compare_takes_a_run_and_a_system_of_it_and_writes_both_files(
    mammoloop: Mammoloop, kept: Path, tmp_path: Path
) -> None:
    run, text, page = kept / "run", tmp_path / "compare.json", tmp_path / "compare.html"
    code, out, _ = mammoloop("compare", "--json", str(text), "--page", str(page), str(run), f"{run}:round_01")
    assert code == 0
    assert "run:round_01" in out
    assert f"page: {page}" in out.replace("\n", "")
    assert len(json.loads(text.read_text())["runs"]) == 2


def test_one_run_is_not_compared(mammoloop: Mammoloop, kept: Path) -> None:
    code, _, err = mammoloop("compare", str(kept / "run"))
    assert (code, err) == (2, "mammoloop: compare takes two runs or more, found 1: name them one after another\n")


def test_status_prints_lines_or_json(mammoloop: Mammoloop, kept: Path) -> None:
    code, out, _ = mammoloop("status", "--run", str(kept / "run"))
    assert (code, out.splitlines()[0]) == (0, "run: finished, its result is supervised")
    code, out, _ = mammoloop("status", "--run", str(kept / "run"), "--json")
    assert (code, json.loads(out)["state"]) == (0, "finished")


def test_status_of_a_folder_without_a_run_is_refused(mammoloop: Mammoloop, tmp_path: Path) -> None:
    code, _, err = mammoloop("status", "--run", str(tmp_path))
    assert code == 2
    assert "holds no run" in err
