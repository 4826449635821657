"""Each of the doctor's checks by its rules; the machine itself is looked at once."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pipelines.tools import doctor
from pipelines.tools.doctor import GIB, Check, Level, check_bytes, check_requirement, exit_code, render
from system.config import RunConfig, resolve
from system.presets import PRESETS


def of(checks: Sequence[Check], subject: str) -> Check:
    (check,) = [check for check in checks if check.subject == subject]
    return check


def with_settings(preset: str, *settings: str) -> RunConfig:
    """The preset with `dotted.key=value` changed."""
    return resolve(PRESETS[preset](), settings=settings)


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.mark.parametrize(
    ("version", "level"),
    [("2.60.0", Level.OK), ("2.61.1", Level.MISSING), ("2.59.0", Level.MISSING), ("", Level.MISSING)],
)
def test_version_is_compared_with_the_requirement(version: str, level: Level) -> None:
    assert check_requirement(Requirement("ray[data]>=2.60,<2.61"), version=version).level is level


def test_wrong_version_is_named_with_the_required_one() -> None:
    check = check_requirement(Requirement("torch>=2.11,!=2.13.0"), version="2.13.0")
    assert check.found == "2.13.0, required !=2.13.0,>=2.11"
    assert check.remedy.startswith("install torch")


@pytest.mark.parametrize(("free", "level"), [(GIB - 1, Level.MISSING), (GIB, Level.ADVICE), (20 * GIB, Level.OK)])
def test_disk_is_missing_below_what_is_needed_and_advised_below_what_is_comfortable(free: int, level: Level) -> None:
    assert check_bytes("disk", free=free, needed=GIB, comfortable=20 * GIB, remedy="free some").level is level


def test_exit_code_is_one_only_when_something_required_is_missing() -> None:
    ok, advice, missing = (Check("x", level, "") for level in (Level.OK, Level.ADVICE, Level.MISSING))
    assert exit_code([ok, advice]) == 0
    assert exit_code([ok, advice, missing]) == 1


def test_remedy_stands_below_its_check() -> None:
    lines = render(
        [Check("disk", Level.MISSING, "0.1 GiB", "free some room"), Check("ray", Level.OK, "2.60.0")], width=80
    ).splitlines()
    assert lines[0].split() == ["missing", "disk", "0.1", "GiB"]
    assert lines[1].strip() == "→ free some room"
    assert lines[2].split() == ["ok", "ray", "2.60.0"]


def test_demo_preset_lacks_nothing_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.show(PRESETS["demo"](), out=tmp_path / "not" / "there" / "yet") == 0
    assert "built from the reports" in capsys.readouterr().out


def test_local_run_without_its_gpus_is_missing_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    check = of(doctor.run(with_settings("demo", "resources.train.gpus=1")), "GPUs")
    assert check.level is Level.MISSING
    assert check.found == "none, training asks for 1"


def test_cluster_run_is_only_advised_about_gpus_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    check = of(doctor.run(with_settings("demo", "resources.train.gpus=1", "resources.cluster.address=auto")), "GPUs")
    assert check.level is Level.ADVICE


def test_weights_that_cannot_be_fetched_are_missing(no_hub: None) -> None:
    checks = doctor.run(PRESETS["paper"]())
    assert of(checks, "network weights").found == "timm/hrnet_w48.ms_in1k is not in the hub cache"
    assert {of(checks, name).level for name in ("network weights", "report encoder")} == {Level.MISSING}


def test_local_weights_are_found_where_the_config_says(tmp_path: Path, no_hub: None) -> None:
    weights = tmp_path / "hrnet.safetensors"
    weights.write_bytes(b"x")
    config = with_settings("demo", "net.pretrained=true", f"net.weights={weights}", f"reports.encoder={tmp_path}")
    checks = doctor.run(config)
    assert {of(checks, name).level for name in ("network weights", "report encoder")} == {Level.OK}


def test_pydensecrf_is_missing_only_when_it_is_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    ours, theirs = (with_settings("demo", f"infer.refine.backend={backend}") for backend in ("grid", "pydensecrf"))
    assert doctor.check_crf(ours).level is Level.OK
    assert doctor.check_crf(theirs).level is Level.MISSING


@pytest.mark.parametrize(
    ("length", "level"), [(10, Level.OK), (39, Level.OK), (40, Level.MISSING), (120, Level.MISSING)]
)
def test_a_temporary_folder_in_which_ray_could_not_open_a_socket_is_missing_a_shorter_one(
    length: int, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * (length - 1))
    found = of(doctor.run(with_settings("demo")), "Ray's folder")
    assert found.level is level
    assert ("set RAY_TMPDIR to a short one" in found.remedy) is (level is Level.MISSING)
    joined = of(doctor.run(with_settings("demo", "resources.cluster.address=auto")), "Ray's folder")
    assert joined.level is Level.OK
