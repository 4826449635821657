"""The command line as a whole: every command, the help, the configuration, and how mistakes end."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from pipelines.cli import options
from pipelines.cli.main import app
from pipelines.cli.words import ORDER
from system.archive.layouts import LAYOUTS
from system.config import RunConfig, resolve
from system.presets import PRESETS
from tests.pipelines.cli.calling import Mammoloop

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
HEAVY = ("torch", "ray", "timm", "transformers", "matplotlib", "pyarrow", "pandas")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example_of_itself(mammoloop: Mammoloop, command: str) -> None:
    code, out, _ = mammoloop(command, "--help")
    assert code == 0
    assert re.search(
        rf"Example: mammoloop {command} (list |export |table3 |convert |[a-z]+\.csv )?--",
        " ".join(out.replace("│", " ").split()),
    )


def test_help_names_every_command(mammoloop: Mammoloop) -> None:
    code, out, _ = mammoloop("--help")
    assert code == 0
    assert {"demo", "phantom", "ingest", "label", "selftrain", "explain", "sweep", "doctor", "config"} <= set(COMMANDS)
    assert all(command in out for command in COMMANDS)


def test_every_command_has_a_file_of_its_name() -> None:
    names = (path.stem for path in (ROOT / "pipelines" / "cli").glob("[!_]*.py"))
    files = {name.replace("_", "-") for name in names}
    assert files - {"main", "ending", "lines", "options", "words"} == set(COMMANDS)


def test_help_loads_nothing_heavy() -> None:
    code = f"import sys, pipelines.cli.main; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_names_in_the_options_are_those_of_the_tables() -> None:
    assert list(options.PRESET_NAMES) == list(PRESETS)
    assert list(options.LAYOUT_NAMES) == list(LAYOUTS)


def test_config_prints_what_can_be_read_back(mammoloop: Mammoloop) -> None:
    code, out, _ = mammoloop("config", "--preset", "demo", "--set", "rounds.num_rounds=3")
    assert code == 0
    found = resolve(PRESETS["demo"](), text=out)
    assert found == resolve(PRESETS["demo"](), settings=["rounds.num_rounds=3"])
    assert found.rounds.num_rounds == 3


def test_config_of_a_preset_without_synthetic_exams_is_that_of_a_run(mammoloop: Mammoloop) -> None:
    _, out, _ = mammoloop("config", "--preset", "paper")
    assert resolve(RunConfig(), text=out) == PRESETS["paper"]()


def test_config_lays_the_file_over_the_preset_and_settings_over_both(mammoloop: Mammoloop, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("seed: 5\nstage1:\n  batch_size: 12\n")
    code, out, _ = mammoloop(
        "config", "--preset", "paper", "--config", str(file), "--set", "seed=6", "--set", "stage1.num_epochs=2"
    )
    assert code == 0
    found = yaml.safe_load(out)
    assert (found["seed"], found["stage1"]["batch_size"], found["stage1"]["num_epochs"]) == (6, 12, 2)
    assert found["net"]["backbone"] == "hrnet_w48"


def test_an_unknown_preset_ends_with_2_and_names_those_there_are(mammoloop: Mammoloop) -> None:
    code, _, err = mammoloop("config", "--preset", "papers")
    assert code == 2
    assert "'papers' is no preset; choose one of demo, films, workstation, recommended, paper, cluster" in err


def test_a_wrong_configuration_ends_with_2_and_names_every_mistake(mammoloop: Mammoloop) -> None:
    code, out, err = mammoloop("config", "--set", "stage1.batch_sise=6", "--set", "seed=-1")
    assert (code, out) == (2, "")
    assert err.startswith("mammoloop: ")
    assert "stage1.batch_sise: no such setting; did you mean stage1.batch_size?" in err
    assert "seed: expected at least 0, found -1" in err
    assert "Traceback" not in err


def test_a_config_file_that_is_not_there_is_refused(mammoloop: Mammoloop, tmp_path: Path) -> None:
    code, _, err = mammoloop("config", "--config", str(tmp_path / "none.yaml"))
    assert code == 2
    assert "none.yaml" in err
    assert "does not exist" in err


@pytest.mark.parametrize("size", ["320", "320*256", "x256", "320x", "320x256x3", "-320x256", "wide"])
def test_a_size_that_is_none_is_refused_with_an_example(mammoloop: Mammoloop, tmp_path: Path, size: str) -> None:
    code, _, err = mammoloop("phantom", "--out", str(tmp_path / "out"), "--size", size)
    assert code == 2
    assert f"'{size}' is no size; write rows x columns, e.g. 320x256" in err
    assert not (tmp_path / "out").exists()


def test_a_size_out_of_range_is_refused(mammoloop: Mammoloop, tmp_path: Path) -> None:
    code, _, err = mammoloop("phantom", "--out", str(tmp_path / "out"), "--size", "10x256")
    assert code == 2
    assert "height_px" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words", [["ingest", "--archive", "a", "--source", "no-such-folder"], ["phantom"], ["no-such-command"]]
)
def test_other_mistakes_of_the_user_end_with_2_as_well(mammoloop: Mammoloop, words: list[str]) -> None:
    code, _, err = mammoloop(*words)
    assert code == 2
    assert "Traceback" not in err


def test_the_version_is_printed(mammoloop: Mammoloop) -> None:
    from importlib.metadata import version

    assert mammoloop("--version")[:2] == (0, f"mammoloop {version('mammoloop')}\n")


def test_help_lists_the_commands_in_the_order_of_use(mammoloop: Mammoloop) -> None:
    lines = [line.strip("│ ").split(" ")[0] for line in mammoloop("--help").out.splitlines()]
    assert [word for word in lines if word in ORDER] == list(ORDER)
    assert set(ORDER) <= set(COMMANDS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_the_commands(shell: str) -> None:
    asked = {"_MAMMOLOOP_COMPLETE": f"complete_{shell}", "COMP_WORDS": "mammoloop se", "COMP_CWORD": "1"}
    asked |= {"_TYPER_COMPLETE_ARGS": "mammoloop se", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    code = "import sys; sys.argv = ['mammoloop']; from pipelines.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert "selftrain" in done.stdout


def test_a_network_that_timm_does_not_have_is_refused_by_config(mammoloop: Mammoloop) -> None:
    code, out, err = mammoloop("config", "--set", "net.backbone=hrnet_w19")
    assert (code, out) == (2, "")
    assert err.startswith("mammoloop: net.backbone: timm has no model 'hrnet_w19'; near to it: hrnet_w18, ")


def test_a_number_of_trials_of_a_grid_is_refused_before_anything_starts(mammoloop: Mammoloop, tmp_path: Path) -> None:
    words = ["sweep", "--run", str(tmp_path), "--archive", "a", "--out", str(tmp_path / "s"), "--preset", "workstation"]
    code, _, err = mammoloop(*words, "--space", "paper_grid", "--trials", "2")
    assert code == 2
    assert err == (
        "mammoloop: --trials 2: the space is a grid of 9 settings, and all of them are tried; leave --trials out, or "
        "choose a space that is searched\n"
    )
