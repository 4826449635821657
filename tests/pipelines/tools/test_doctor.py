"""The doctor's checks are told apart rightly; the machine itself is looked at once."""

import pytest
from packaging.requirements import Requirement

from pipelines.tools import doctor
from pipelines.tools.doctor import GIB, Check, Level, check_bytes, check_requirement, exit_code, render
from system.presets import PRESETS


def of(checks, subject):
    (check,) = [check for check in checks if check.subject == subject]
    return check


def with_settings(preset, **changes):
    """The preset with `part={"field": value}` changed."""
    base = PRESETS[preset]()
    return base.model_copy(
        update={part: getattr(base, part).model_copy(update=values) for part, values in changes.items()}
    )


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.mark.parametrize(
    ("version", "level"),
    [("2.60.0", Level.OK), ("2.61.1", Level.MISSING), ("2.59.0", Level.MISSING), ("", Level.MISSING)],
)
def test_version_is_held_against_the_requirement(version, level):
    assert check_requirement(Requirement("ray[data]>=2.60,<2.61"), version=version).level is level


def test_wrong_version_is_named_with_the_required_one():
    check = check_requirement(Requirement("torch>=2.11,!=2.13.0"), version="2.13.0")
    assert check.found == "2.13.0, required !=2.13.0,>=2.11"
    assert check.remedy.startswith("install torch")


@pytest.mark.parametrize(("free", "level"), [(GIB - 1, Level.MISSING), (GIB, Level.ADVICE), (20 * GIB, Level.OK)])
def test_disk_is_missing_below_what_is_needed_and_advised_below_what_is_comfortable(free, level):
    assert check_bytes("disk", free=free, needed=GIB, comfortable=20 * GIB, remedy="free some").level is level


def test_exit_code_is_one_only_when_something_required_is_missing():
    ok, advice, missing = (Check("x", level, "") for level in (Level.OK, Level.ADVICE, Level.MISSING))
    assert exit_code([ok, advice]) == 0
    assert exit_code([ok, advice, missing]) == 1


def test_remedy_stands_below_its_finding():
    lines = render(
        [Check("disk", Level.MISSING, "0.1 GiB", "free some room"), Check("ray", Level.OK, "2.60.0")]
    ).splitlines()
    assert lines[0].split() == ["missing", "disk", "0.1", "GiB"]
    assert lines[1].strip() == "→ free some room"
    assert lines[2].split() == ["ok", "ray", "2.60.0"]


def test_demo_preset_lacks_nothing_here(tmp_path, capsys):
    assert doctor.report(PRESETS["demo"](), out=tmp_path / "not" / "there" / "yet") == 0
    assert "built from the reports" in capsys.readouterr().out


def test_local_run_without_its_gpus_is_missing_them(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    check = of(doctor.run(with_settings("demo", cluster={"train_gpus": 1.0})), "GPUs")
    assert check.level is Level.MISSING
    assert check.found == "none, training asks for 1"


def test_cluster_run_is_only_advised_about_gpus_elsewhere(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    check = of(doctor.run(with_settings("demo", cluster={"train_gpus": 1.0, "address": "auto"})), "GPUs")
    assert check.level is Level.ADVICE


def test_weights_that_cannot_be_fetched_are_missing(no_hub):
    checks = doctor.run(PRESETS["paper"]())
    assert of(checks, "network weights").found == "timm/hrnet_w48.ms_in1k is not in the hub cache"
    assert {of(checks, name).level for name in ("network weights", "report encoder")} == {Level.MISSING}


def test_local_weights_are_found_where_the_config_says(tmp_path, no_hub):
    weights = tmp_path / "hrnet.safetensors"
    weights.write_bytes(b"x")
    config = with_settings(
        "demo", net={"pretrained": True, "weights": str(weights)}, reports={"encoder": str(tmp_path)}
    )
    checks = doctor.run(config)
    assert {of(checks, name).level for name in ("network weights", "report encoder")} == {Level.OK}


def test_pydensecrf_is_missing_only_when_it_is_the_backend(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    demo = PRESETS["demo"]()
    refine = demo.infer.refine.model_copy(update={"backend": "pydensecrf"})
    assert of([doctor._crf(demo)], "pydensecrf").level is Level.OK
    assert of([doctor._crf(with_settings("demo", infer={"refine": refine}))], "pydensecrf").level is Level.MISSING
