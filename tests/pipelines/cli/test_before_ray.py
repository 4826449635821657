"""Settings that differ from those a folder was begun with are named with both values, before Ray starts."""

from pathlib import Path

import pytest

from pipelines import cluster
from system.config import as_yaml, resolve
from system.presets import demo
from system.run.folder import RunFolder
from tests.pipelines.cli.calling import Mammoloop
from tests.pipelines.fixture_types import MakeArchive


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "session", lambda *_, **__: pytest.fail("Ray was started"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that was begun with the demo's settings."""
    folder = RunFolder(tmp_path / "demo" / "run")
    with folder.claimed(demo()):
        pass
    return folder.path


@pytest.mark.parametrize("command", ["selftrain", "demo", "infer"])
def test_a_run_of_other_settings_is_refused_and_each_is_named(mammoloop: Mammoloop, run: Path, command: str) -> None:
    epochs = demo().stage1.num_epochs
    words = {
        "selftrain": ["--archive", "archive", "--out", str(run), "--preset", "demo"],
        "demo": ["--out", str(run.parent)],
        "infer": ["--run", str(run), "--round", "1"],
    }[command]
    called = mammoloop(command, *words, "--set", f"stage1.num_epochs={epochs + 1}", "--set", "seed=8")
    assert called.code == 2
    assert f"mammoloop: run run was begun with other settings (seed: 0, now 8; stage1.num_epochs: {epochs}, now " in (
        called.err
    )


def test_an_earlier_reproduction_of_other_settings_is_refused_and_each_is_named(
    mammoloop: Mammoloop, tmp_path: Path, make_archive: MakeArchive
) -> None:
    archive = make_archive(tmp_path / "archive", {})
    config = resolve(demo(), settings=["seed=5"]).of_run()
    for name in ("reproduce", "ablations"):
        (tmp_path / f"{name}.yaml").write_text(f"# on {archive.uri}\n{as_yaml(config)}", encoding="utf8")
    for table, what in (("table3", "reproduction"), ("ablations", "set of ablations")):
        words = ["reproduce", table, "--archive", archive.uri, "--out", str(tmp_path), "--preset", "demo"]
        called = mammoloop(*words, "--set", "resources.infer.stall_s=7")
        assert called.code == 2
        assert called.err == (
            f"mammoloop: {tmp_path.name} was begun as another {what} (seed: 5, now 0): "
            "give the same arguments, or choose another --out\n"
        )
